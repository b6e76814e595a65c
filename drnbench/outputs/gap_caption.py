"""Notes on the gap between training and test images, for its table and its figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drnbench.outputs import captions
from drnbench.outputs.gap_values import Gaps
from drnbench.render import text
from drnbench.results.scores import Scores
from drnbench.results.statistics import STAR_SEEDS
from drnbench.results.summary import Results

if TYPE_CHECKING:
    from drnbench.outputs.gap import Gap


def notes(scores: Scores, output: Gap, gaps: Gaps, results: Results) -> str:
    """Return the meaning of a gap, of its sign, and of its intervals."""
    metric = text.style(output.metric)
    sign = "Positive" if metric.higher_is_better else "Negative"
    trains, tests = ([getattr(gap, side) for gap in gaps.values()] for side in ("train", "test"))
    train, test = (", ".join(dict.fromkeys(condition.dataset for condition in side)) for side in (trains, tests))
    parts = [
        f"Gap: {metric.label} on training images ({train}) minus {metric.label} on test images ({test}).",
        f"{sign}: better on the training images, which is overfitting as far as it exceeds the gap of bicubic on the",
        "same images; that one is the difference of the images alone.",
        *captions.unfinished(scores),
        f"Gap ± {scores.confidence} half-width over seeds: of these images.",
    ]
    if any(gap.delta is not None for gap in gaps.values()):
        parts.append(
            f"Δ gap: to {scores.baseline_label}, paired by seed and image, with its {scores.confidence} interval over seeds and "
            "the images of both sets."
        )
        if any(gap.p_holm is not None and gap.seeds >= STAR_SEEDS for gap in gaps.values()):
            parts.append(f"* not 0: Holm-adjusted {scores.limit} over all Δ of this table.")
    seeds = [gap.seeds for gap in gaps.values() if not scores.arm(gap.arm).seedless]
    parts.append(f"{', '.join([*([text.span(seeds, 'seed')] if seeds else []), scores.plan.settings.text])}.")
    shown = [[results[gap.arm, side, gap.metric] for side in (gap.train, gap.test)] for gap in gaps.values()]
    scales = sorted({condition.scale for condition in tests})
    return " ".join(
        [
            *parts,
            captions.emphasis(scores),
            *captions.lost_images(scores, (side for sides in shown for side in sides)),
            *captions.unranked(scores, (test for _, test in shown)),
            *captions.left_out(scores),
            *captions.kernel_specs(tests),
            *captions.training_images(scores),
            *captions.measured(scores, [output.metric], scales),
        ]
    )
