"""Figure: the rank of every arm on each of several test sets, and its mean rank."""

from __future__ import annotations

from collections.abc import Sequence

from drnbench.evaluation import metrics
from drnbench.outputs import captions
from drnbench.outputs.arm_selection import representative
from drnbench.render import style, text
from drnbench.render.style import COLUMN_IN, GREY, MARKERS, PAGE_IN, CaptionedFigure
from drnbench.results.ranking import different_images, on_the_same_seeds
from drnbench.results.scores import Arm, Condition, Scores
from drnbench.results.summary import Result, Results

MOST = 14
"""Arms that a figure has room for."""


def ranks(scores: Scores, results: Results, metric: str, arms: Sequence[Arm]) -> dict[Condition, dict[str, float]]:
    """Return the ranks of some arms, 1 for the best, on each condition on which all of them may be ranked; equal means share one."""
    ranked = {}
    for condition in scores.conditions:
        cells = [cell for arm in arms if (cell := results.get((arm.name, condition, metric))) is not None]
        means = {cell.arm: cell.mean for cell in cells if cell.mean is not None}
        if len(means) == len(arms) and not different_images(cells) and _comparable(scores, cells):
            sign = -1 if metrics.get(metric).higher_is_better else 1
            values = {arm: sign * mean for arm, mean in means.items()}
            ranked[condition] = {
                arm: 1 + sum(v < value for v in values.values()) + (sum(v == value for v in values.values()) - 1) / 2
                for arm, value in values.items()
            }
    return ranked


def _comparable(scores: Scores, cells: Sequence[Result]) -> bool:
    trained = [cell for cell in cells if not cell.seedless]
    return len(on_the_same_seeds(scores, trained)) == len(trained)


def draw(scores: Scores, results: Results, metric: str, width: style.Width = None) -> CaptionedFigure | None:
    """Return the figure; None under two test sets on which all arms may be ranked, or two arms."""
    scored = [
        arm for arm in scores.arms if any((arm.name, condition, metric) in results for condition in scores.conditions)
    ]
    arms = scored if len(scored) <= MOST else representative(scores)
    ranked = ranks(scores, results, metric, arms)
    if len(ranked) < 2 or len(arms) < 2:
        return None
    means = {arm.name: sum(by_arm[arm.name] for by_arm in ranked.values()) / len(ranked) for arm in arms}
    order = sorted(arms, key=lambda arm: means[arm.name])
    figure = style.new_figure(style.inches(width, PAGE_IN if len(ranked) > 4 else COLUMN_IN), 0.7 + 0.2 * len(arms))
    ax = figure.subplots()
    looks = style.palette(arms)
    for n, arm in enumerate(order):
        heights = [by_arm[arm.name] for by_arm in ranked.values()]
        look = looks.get(arm.name, {"color": GREY, "linestyle": ":"})
        ax.plot(range(len(ranked)), heights, marker=MARKERS[n % len(MARKERS)], **look)
        label = f"{style.legible(text.arm_label(scores, arm, arms))} ({means[arm.name]:.1f})"
        # Names stand in the order of mean ranks, which keeps them apart, with a thin line to the last rank.
        ax.annotate(
            label, (len(ranked) - 1, heights[-1]), xytext=(len(ranked) - 0.72, n + 1), textcoords="data", va="center",
            fontsize=7, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": look["color"], "linewidth": 0.4, "shrinkA": 1, "shrinkB": 3},
        )  # fmt: skip
    ax.set_ylim(len(arms) + 0.4, 0.6)
    ax.set_yticks(range(1, len(arms) + 1))
    ax.set_xlim(-0.2, len(ranked) - 0.8)
    ax.set_xticks(range(len(ranked)), [style.legible(_short(scores, c)) for c in ranked], rotation=20, ha="right")
    ax.set_ylabel("rank")
    name = f"figure_ranks_{text.slug(metric)}"
    return CaptionedFigure(name, _caption(metric, ranked, len(scored) - len(arms)), figure, _csv(ranked, means))


def _short(scores: Scores, condition: Condition) -> str:
    several = len({c.scale for c in scores.conditions}) > 1
    return text.slot_label(scores, condition, scale=several)


def _caption(metric: str, ranked: dict[Condition, dict[str, float]], left: int) -> str:
    parts = [
        f"Ranks by mean {text.style(metric).label} on {len(ranked)} test sets, 1 the best, with the mean rank behind each name.",
        "Ranks say nothing of the size of a difference, nor whether it is more than chance.",
    ]
    if left:
        parts.append(f"{text.count(left, 'arm')} not shown.")
    return " ".join([*parts, *captions.kernel_specs(ranked)])


def _csv(ranked: dict[Condition, dict[str, float]], means: dict[str, float]) -> str:
    rows = [[arm, mean, *(by_arm[arm] for by_arm in ranked.values())] for arm, mean in means.items()]
    return style.data(["arm", "mean_rank", *(condition.label for condition in ranked)], rows)
