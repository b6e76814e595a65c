"""PooledSets: differences over several test sets at once, and mean ranks, as a table and macros."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from drnbench.outputs import on_demand, outputs
from drnbench.outputs.base import Macros, Output, StudyResults

if TYPE_CHECKING:
    from drnbench.render.table import CaptionedTable


@outputs.register("pooled")
class PooledSets(Output):
    """A table, in the report of every study with two test sets or more: differences of each set and over all sets."""

    summary = "table and macros: differences to the baseline pooled over test sets, and mean ranks"
    automatic = True
    position = 55
    quantities = (
        "PooledDelta, PooledDeltaLow, PooledDeltaHigh  mean over the test sets of Δ, each set counting alike",
    )

    def tables(self, study: StudyResults) -> Sequence[CaptionedTable | None]:
        """See `Output`."""
        return [on_demand.pooled_table.captioned_table(study)]

    def macros(self, study: StudyResults) -> list[Macros]:
        """See `Output`."""
        return on_demand.pooled_table.macros(study)
