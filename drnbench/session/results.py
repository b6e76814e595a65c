"""The results of a study as tidy frames, tables and figures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, TypeVar

from drnbench.errors import UsageError, nearest
from drnbench.outputs import compose
from drnbench.outputs.base import Output, StudyResults
from drnbench.render import assets
from drnbench.render.style import CaptionedFigure
from drnbench.render.table import CaptionedTable
from drnbench.results import reading, summary
from drnbench.results.plan_record import PlanRecord
from drnbench.results.value_tables import COLUMNS
from drnbench.session.image_comparison import ComparedImage, compare
from drnbench.store import Store, stored_rows

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

T = TypeVar("T")


class Results:
    """One study of a store, read when it is first asked for.

    Args:
        store: the results folder.
        name: of the study, or `<study>/<settings>` where it has several reports.
        failed: units that failed in the run just ended, a line each.

    Raises:
        UsageError: the store has no plan of that study, or several.

    """

    def __init__(self, store: Store, name: str, failed: Sequence[str] = ()) -> None:
        self.store, self.failed = store, tuple(failed)
        self._scores = reading.read(store, name)
        self.name = self.plan.study

    def __repr__(self) -> str:
        done, planned = self._scores.counts
        return f"<Results of {self.name}, {self.plan.settings.text}: {done} of {planned} trials, in {self.store.root}>"

    @property
    def plan(self) -> PlanRecord:
        """The study as it was planned: arms, trials, keys, protocol."""
        return self._scores.plan

    @cached_property
    def _study(self) -> StudyResults:
        return compose.results_of(self._scores, self.store)

    @cached_property
    def _outputs(self) -> list[Output]:
        return compose.outputs_of(self.plan)[0]

    @cached_property
    def headline(self) -> str:
        """The headline of the report: one to three sentences."""
        return compose.headline(self._study, self._outputs)

    @cached_property
    def per_image(self) -> pd.DataFrame:
        """Every score: arm, kind, seed, dataset, kernel, scale, image, metric, value; one row an image and metric."""
        import pandas as pd

        parts = []
        for (arm, condition, metric), square in self._scores.tables.items():
            rows = (
                square.rename_axis(columns=None).reset_index().melt("seed", var_name="image").dropna(subset=["value"])
            )
            rows[["arm", "kind", "metric"]] = arm, self._scores.arm(arm).kind, metric
            rows[["dataset", "kernel", "scale"]] = condition
            parts.append(rows[list(COLUMNS)])
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))

    @cached_property
    def summary(self) -> pd.DataFrame:
        """The rows of summary.csv: mean, half-width and difference to the baseline by arm, condition and metric."""
        import pandas as pd

        rows = [summary.row(result) for result in self._study.results.values()]
        return pd.DataFrame(rows, columns=list(summary.COLUMNS)).assign(**self._scores.csv_columns)

    @cached_property
    def history(self) -> pd.DataFrame:
        """Losses and validations while stages trained: arm, seed, stage, step, name, value, time (seconds since 1970)."""
        import pandas as pd

        columns = ["arm", "seed", "stage", "step", "name", "value", "time"]
        parts = []
        for trial in self.plan.trials:
            for key in trial.stages:
                table = stored_rows(self.store.stage(key) / "history.parquet")
                if table is not None:
                    rows = table.to_pandas()
                    rows[["arm", "seed", "stage"]] = trial.arm, trial.seed, self.plan.stages[key].name
                    parts.append(rows)
        return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)

    @cached_property
    def _tables(self) -> dict[str, CaptionedTable]:
        return {table.name: table for table in compose.tables(self._study, self._outputs)}

    @cached_property
    def _figures(self) -> dict[str, CaptionedFigure]:
        return {figure.name.removeprefix("figure_"): figure for figure in compose.figures(self._study, self._outputs)}

    @property
    def tables(self) -> list[str]:
        """The names of the study's tables."""
        return list(self._tables)

    @property
    def figures(self) -> list[str]:
        """The names of the study's figures; drawing them takes seconds."""
        return list(self._figures)

    def table(self, name: str | None = None) -> pd.DataFrame:
        """Return a table as it is printed, cells as text.

        Args:
            name: one of `tables`; None: the first.

        Raises:
            UsageError: the study has no such table.

        """
        return _named(self._tables, name, "table", self.name).frame()

    def figure(self, name: str | None = None) -> Figure:
        """Return a figure, in the style of the report.

        Args:
            name: one of `figures`; None: the first.

        Raises:
            UsageError: the study has no such figure.

        """
        figure = _named(self._figures, name, "figure", self.name).figure
        # A figure outside of pyplot has no picture in a notebook unless its inline backend is on.
        setattr(figure, "_repr_png_", lambda: _png(figure))  # noqa: B010 - an attribute that matplotlib does not know
        return figure

    def compare(
        self, *arms: str, image: str | None = None, dataset: str | None = None, kernel: str | None = None
    ) -> ComparedImage:
        """Return one test image through several arms, side by side with LR, HR and the scores of the image.

        Args:
            arms: names, such as "ρ=0.3"; none: every arm whose pictures the store keeps.
            image: its name, such as "butterfly"; None: the one on which the first two arms differ most.
            dataset: test set; None: the first that has pictures of all the arms.
            kernel: spec of the degradation; None: the first.

        Raises:
            UsageError: there is no such arm, image or test set, or the store keeps no picture of all the arms.

        """
        return compare(self._scores, self.store, arms, image, dataset, kernel)

    def _repr_html_(self) -> str:
        first = next(iter(self._tables.values()), None)
        done, planned = self._scores.counts
        unfinished = "" if done == planned else f"<p>{done} of {planned} trials are done.</p>"
        body = "" if first is None else assets.html_table(first)
        return f"{unfinished}<p>{escape(self.headline)}</p>{body}"


def _png(figure: Figure) -> bytes:
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()


def _named(entries: dict[str, T], name: str | None, kind: str, study: str) -> T:
    if not entries:
        raise UsageError(f"study {study!r} has no {kind} yet")
    if name is None:
        return next(iter(entries.values()))
    if name not in entries:
        raise UsageError(f"study {study!r} has no {kind} {name!r}: {nearest(name, entries)}")
    return entries[name]
