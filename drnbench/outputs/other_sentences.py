"""Headlines of studies that ask for a gap between training and test images, or for what D learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from drnbench.outputs import gap_values
from drnbench.outputs.cell_sentences import NAMED, context
from drnbench.outputs.dual_kernel import METRIC, error_condition
from drnbench.render import text, x_axis
from drnbench.results.scores import Arm, Scores
from drnbench.results.summary import Result, Results


def gap_sentences(scores: Scores, out: dict[str, Any]) -> list[str]:
    """Return how the gap runs along the axis, and what the subject makes of it; [] where there is none yet."""
    found = gap_values.gaps(scores, out)
    first: dict[str, gap_values.Gap] = {}
    for (name, _), gap in found.items():
        first.setdefault(name, gap)  # of several test sets, the first
    if not any(not scores.arm(name).seedless for name in first):
        return []
    return [s for s in (_course(scores, out, first), _subject(scores, first)) if s]


def _course(scores: Scores, out: dict[str, Any], first: dict[str, gap_values.Gap]) -> str:
    axis = scores.plan.axis(out["x"])
    s = text.style(out["metric"])
    start = scores.baseline or next((a for a in scores.arms if a.kind == "grid"), None)
    if start is None:
        return ""
    line = [a for a in scores.arms if a.kind == "grid" and a.name in first
            and all(v == start.values[p] for p, v in a.values.items() if p != axis.path)]  # fmt: skip
    if not line:
        return ""
    line.sort(key=lambda a: x_axis.position(axis, a.values[axis.path]))
    ends = [first[line[0].name], first[line[-1].name]]

    def value(gap: gap_values.Gap) -> str:
        half = "" if gap.half is None else f" ± {text.number(gap.half, s.delta_decimals)}"
        return f"{text.signed(gap.value, s.delta_decimals)}{half}{s.unit}"

    def at(arm: Arm) -> str:
        return f"{axis.title}={text.shown(arm.values[axis.path], axis.path)}"

    others = [f"{a.title}={text.shown(start.values[a.path], a.path)}" for a in scores.axes if a is not axis]
    told = f" of {', '.join(others)}" if others else ""
    sizes = text.span([gap.seeds for gap in ends], "seed")
    known = [text.signed(gap.bicubic, s.delta_decimals) for gap in ends[: len(line)] if gap.bicubic is not None]
    if len(known) == len(ends):
        # Which images there are moves a gap, too: bicubic tells by how much.
        sizes += f"; bicubic on the same images: {' and '.join(dict.fromkeys(known))}{s.unit}"
    subject = f"The gap in {s.label} between training and test images{told}"
    if len(line) == 1:
        return f"{subject} is {value(ends[0])} at {at(line[0])} ({sizes})."
    halves = [gap.half for gap in ends]
    apart = abs(ends[1].value - ends[0].value) > sum(half or 0.0 for half in halves) and None not in halves
    if not apart:
        return f"{subject} is {value(ends[0])} at {at(line[0])} and {value(ends[1])} at {at(line[-1])} ({sizes})."
    verb = "grows" if abs(ends[1].value) > abs(ends[0].value) else "falls"
    return f"{subject} {verb} from {value(ends[0])} at {at(line[0])} to {value(ends[1])} at {at(line[-1])} ({sizes})."


def _subject(scores: Scores, first: dict[str, gap_values.Gap]) -> str:
    found = [
        (arm, first[arm.name]) for arm in scores.subject if arm.name in first and first[arm.name].delta is not None
    ]
    if not found:
        return ""
    arms = [arm for arm, _ in found]
    shared = [
        f"{a.title}={text.shown(arms[0].values[a.path], a.path)}"
        for a in scores.axes
        if a.path in scores.compared_on
        and all(arm.kind == "grid" and arm.values[a.path] == arms[0].values[a.path] for arm in arms)
    ]
    parts = []
    for sign, word in ((-1, "smaller"), (1, "larger"), (0, "not told apart")):
        group = [(arm, gap) for arm, gap in found if gap.sign == sign]
        group.sort(key=lambda pair: pair[1].delta or 0.0)
        if group:
            shown = group if len(found) <= NAMED or len(group) < 2 else [group[0], group[-1]]
            parts.append(f"{word} in {len(group)} of {len(found)} ({_list(scores, shown, arms)})")
    if len(found) == 1:
        gap = found[0][1]
        parts = [f"{ {-1: 'smaller', 1: 'larger', 0: 'not told apart'}[gap.sign] }, {_amount(gap)}"]
    who = f"With {', '.join(shared)}" if shared else f"Against {scores.baseline_label}"
    few = " One seed: no interval." if all(gap.low is None for _, gap in found) else ""
    return f"{who} it is {'; '.join(parts)}.{few}"


def _list(scores: Scores, shown: Sequence[tuple[Arm, gap_values.Gap]], arms: Sequence[Arm]) -> str:
    return ", ".join(f"{context(scores, arm, arms) or arm.name} with {_amount(gap)}" for arm, gap in shown)


def _amount(gap: gap_values.Gap) -> str:
    s = text.style(gap.metric)
    between = gap_values.between(gap, s.delta_decimals)
    return f"{text.signed(gap.delta or 0.0, s.delta_decimals)}{s.unit}" + (f" {between}" if between else "")


def dual_sentence(scores: Scores, results: Results) -> str:
    """Return how far D is from the true degradation; nothing where no D was looked at."""
    known: list[tuple[Arm, Result]] = []
    for arm in [a for a in scores.arms if a.kind == "grid" and (not scores.plan.subject or a in scores.subject)]:
        condition = error_condition(scores, arm)
        result = results.get((arm.name, condition, METRIC)) if condition else None
        if result is not None and result.mean is not None:
            known.append((arm, result))
    if not known:
        return ""
    known.sort(key=lambda pair: pair[1].mean or 0.0)
    arms = [arm for arm, _ in known]
    s = text.style(METRIC)

    def one(arm: Arm, result: Result) -> str:
        half = "" if result.half_width is None else f" ± {text.number(result.half_width, s.decimals)}"
        told = context(scores, arm, arms)
        return f"{text.number(result.mean or 0.0, s.decimals)}{half}" + (f" for {told}" if told else "")

    sizes = f"{text.span([r.n_seeds for _, r in known], 'seed')}, {text.span([r.n_images for _, r in known], 'image')}"
    if len(known) == 1:
        return f"D is within {one(*known[0])} gray levels of the true degradation ({sizes})."
    low, high = (text.number(r.mean or 0.0, s.decimals) for r in (known[0][1], known[-1][1]))
    shown = known if len(known) <= NAMED else [known[0], known[-1]]
    told = (
        ", ".join(one(arm, r) for arm, r in shown)
        if len(known) <= NAMED
        else f"from {one(*shown[0])} to {one(*shown[1])}"
    )
    return f"D is within {low} to {high} gray levels of the true degradation ({sizes}): {told}."
