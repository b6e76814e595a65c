"""Sentences on the gap between training and test images: along the axis, and what the subject changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from drnbench.outputs import gap_values
from drnbench.outputs.cell_sentences import NAMED, context
from drnbench.outputs.gap_values import GapValue
from drnbench.outputs.verdicts import TWO_SEEDS
from drnbench.render import text, x_axis
from drnbench.results.scores import Arm, Scores
from drnbench.results.statistics import ALPHA, STAR_SEEDS

if TYPE_CHECKING:
    from drnbench.outputs.gap import Gap

SIGNS = {-1: "smaller", 1: "larger", 0: "not significantly different"}


def sentences(scores: Scores, output: Gap) -> list[str]:
    """Return how the gap runs along the axis, and how that of the subject differs; [] where there is none yet."""
    first: dict[str, GapValue] = {}
    for (name, _), gap in gap_values.gaps(scores, output).items():
        first.setdefault(name, gap)  # of several test sets, the first
    if all(scores.arm(name).seedless for name in first):
        return []
    return [sentence for sentence in (_along_axis(scores, output, first), _subject(scores, first)) if sentence]


def _along_axis(scores: Scores, output: Gap, gaps: Mapping[str, GapValue]) -> str:
    """Return the gap at both ends of the axis, with the baseline's values on all others."""
    start = scores.baseline or next((arm for arm in scores.arms if arm.kind == "grid"), None)
    if start is None:
        return ""
    axis = scores.plan.axis(output.x)
    line = [arm for arm in scores.arms if arm.kind == "grid" and arm.name in gaps
            and all(value == start.values[path] for path, value in arm.values.items() if path != axis.path)]  # fmt: skip
    if not line:
        return ""
    line.sort(key=lambda arm: x_axis.position(axis, arm.values[axis.path]))
    ends = [gaps[line[0].name], gaps[line[-1].name]]
    others = [f"{a.title}={text.shown(start.values[a.path], a.path)}" for a in scores.axes if a is not axis]
    subject = f"The gap in {text.style(output.metric).label} between training and test images"
    subject += f" of {', '.join(others)}" if others else ""
    values = [
        f"{_value(gap)} at {axis.title}={text.shown(arm.values[axis.path], axis.path)}"
        for gap, arm in zip(ends, (line[0], line[-1]), strict=True)
    ]
    sample = f"({text.span([gap.seeds for gap in ends], 'seed')}{_bicubic(ends)})"
    if len(line) == 1:
        return f"{subject} is {values[0]} {sample}."
    change = gap_values.change(scores, *ends)
    if change is None or change.p is None or change.p >= ALPHA:
        return f"{subject} is {values[0]} and {values[1]} {sample}."
    # Better on training images is positive where higher is better, and negative where lower is.
    verb = "grows" if (change.mean > 0) == text.style(output.metric).higher_is_better else "falls"
    return f"{subject} {verb} from {values[0]} to {values[1]} {sample}."


def _value(gap: GapValue) -> str:
    style = text.style(gap.metric)
    half = "" if gap.half is None else f" ± {text.number(gap.half, style.delta_decimals)}"
    return f"{text.signed(gap.value, style.delta_decimals)}{half}{style.unit}"


def _bicubic(gaps: Sequence[GapValue]) -> str:
    """Return the gaps of bicubic: which images there are moves a gap, too."""
    style = text.style(gaps[0].metric)
    values = [text.signed(gap.bicubic, style.delta_decimals) for gap in gaps if gap.bicubic is not None]
    if len(values) < len(gaps):
        return ""
    return f"; bicubic on the same images: {' and '.join(dict.fromkeys(values))}{style.unit}"


def _subject(scores: Scores, gaps: Mapping[str, GapValue]) -> str:
    """Return the difference between the subject's gap and the baseline's."""
    compared = {arm.name: arm for arm in scores.subject if arm.name in gaps and gaps[arm.name].delta is not None}
    if not compared:
        return ""
    arms = list(compared.values())
    shared = _shared(scores, arms)
    subject = f"With {', '.join(shared)}" if shared else f"Against {scores.baseline_label}"
    few = ""
    if all(gaps[name].low is None for name in compared):
        few = " One seed: no interval."
    elif all(gaps[name].p is None for name in compared):
        few = " One test image, or no spread: nothing is tested."
    elif all(gaps[name].seeds < STAR_SEEDS for name in compared):
        few = f" {TWO_SEEDS}"
    basis = _basis(scores, gaps, arms)
    if len(arms) == 1:
        gap = gaps[arms[0].name]
        return f"{subject} it is {_adjective(gap.sign, [gap])}, {_delta(gap)}{basis}.{few}"
    parts = []
    for sign in SIGNS:
        group = sorted((a for a in arms if gaps[a.name].sign == sign), key=lambda arm: gaps[arm.name].delta or 0.0)
        if group:
            shown = group if len(arms) <= NAMED or len(group) < 2 else [group[0], group[-1]]
            cells = ", ".join(f"{context(scores, a, arms) or a.name} with {_delta(gaps[a.name])}" for a in shown)
            adjective = _adjective(sign, [gaps[arm.name] for arm in group])
            parts.append(f"{adjective} in {len(group)} of {len(arms)} ({cells})")
    return f"{subject} it is {'; '.join(parts)}{basis}.{few}"


def _basis(scores: Scores, gaps: Mapping[str, GapValue], arms: Sequence[Arm]) -> str:
    """Write how many seeds the differences have, where arms have not the same number, and the correction of their tests."""
    seeds = []
    for arm in arms:
        base = scores.baseline_of(arm, gaps[arm.name].test)
        pair = [gaps[name].seeds for name in (arm.name, base.name if base else arm.name) if name in gaps]
        seeds.append(min(pair))
    parts = [text.span(seeds, "seed")] if len({*seeds, *(gaps[arm.name].seeds for arm in arms)}) > 1 else []
    tests = sum(gap.p_holm is not None for gap in gaps.values())
    parts += [f"after Holm's correction over {tests} gaps"] if tests > 1 else []
    return f"; {', '.join(parts)}" if parts else ""


def _adjective(sign: int, group: Sequence[GapValue]) -> str:
    return SIGNS[sign] if any(gap.p is not None for gap in group) else "not tested"


def _shared(scores: Scores, arms: Sequence[Arm]) -> list[str]:
    """Return the values of the compared axes, where all arms are cells of the grid that share them."""
    if any(arm.kind != "grid" for arm in arms):
        return []
    return [
        f"{axis.title}={text.shown(arms[0].values[axis.path], axis.path)}"
        for axis in scores.axes
        if axis.path in scores.compared_on and all(arm.values[axis.path] == arms[0].values[axis.path] for arm in arms)
    ]


def _delta(gap: GapValue) -> str:
    style = text.style(gap.metric)
    interval = gap_values.between(gap, style.delta_decimals)
    return f"{text.signed(gap.delta or 0.0, style.delta_decimals)}{style.unit} {interval}".rstrip()
