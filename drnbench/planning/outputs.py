"""Whether what a study wants to see can be drawn from what it measures; said before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from drnbench import published
from drnbench.config.outputs import Curve, DualKernel, Gap, Heatmap, Output, Table, Tradeoff
from drnbench.errors import UsageError, nearest

if TYPE_CHECKING:
    from drnbench.planning.graph import PlannedTrial


def check(outputs: Sequence[Output], trials: Sequence[PlannedTrial], where: str) -> None:
    """Refuse an output that asks for a metric, a test set or a published method that is not there.

    Raises:
        UsageError: which output, what it lacks, what there is.

    """
    measured = {e.metric for trial in trials for e in trial.unit.wanted}
    for out in outputs:
        here = f"{where}: {type(out).__name__}"
        for metric in _metrics(out):
            if metric not in measured:
                raise UsageError(f"{here}: no arm is measured in {metric!r}: {nearest(metric, measured)}")
        if isinstance(out, Table):
            names = published.methods()
            for peer in out.peers:
                if peer not in names:
                    raise UsageError(f"{here}: no published numbers of {peer!r}: {nearest(peer, names)}")
        if isinstance(out, DualKernel) and "dual_mae" not in measured:
            raise UsageError(
                f"{here}: D is looked at where dual_mae is measured: add it to the metrics of an Evaluate, "
                "and train at least one arm with a dual network"
            )
        if isinstance(out, Gap):
            _check_gap(out, trials, here)


def _metrics(out: Output) -> tuple[str, ...]:
    if isinstance(out, Table):
        return out.metrics
    if isinstance(out, (Curve, Tradeoff)):
        return (out.y,)
    return (out.metric,) if isinstance(out, (Heatmap, Gap)) else ()


def _check_gap(out: Gap, trials: Sequence[PlannedTrial], here: str) -> None:
    evaluations = trials[0].trial.evaluate
    sources = [e.source for e in evaluations]
    for source in (out.train, out.test):
        if source is not None and source not in sources:
            raise UsageError(f"{here}: no Evaluate has the source {source!r}: {nearest(source, sources)}")
    if len(set(sources)) < 2:
        raise UsageError(f"{here}: two test sets are wanted, the training images and others: add an Evaluate")


def plain(out: Output, trial: Any) -> dict[str, Any]:
    """Return an output as plain data, with the sources of a gap filled in."""
    fields = {"kind": type(out).__name__.lower(), **out.model_dump(mode="json")}
    if isinstance(out, Gap):
        sources = [e.source for e in trial.evaluate]
        fields["train"], fields["test"] = out.train or sources[0], out.test or sources[1]
    return fields
