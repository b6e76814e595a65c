"""The headline of a study whose question has an answer in each of several cells: networks, kernels, scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drnbench.outputs import verdicts
from drnbench.render import text
from drnbench.results.scores import Arm, Condition, Scores
from drnbench.results.summary import Result, Results

NAMED = 4
"""So many cells are named one by one; of more, the ends."""
WORDS = {1: "better", -1: "worse", 0: "not told apart"}


@dataclass(frozen=True)
class Cell:
    """One arm of the subject on its first evaluation, against its baseline."""

    arm: Arm
    condition: Condition
    result: Result


def cells(scores: Scores, results: Results) -> list[Cell]:
    """Return every cell of the subject that has something to compare with."""
    out = []
    for arm in scores.subject:
        condition = scores.primary_of(arm)
        result = results.get((arm.name, condition, scores.metrics[condition][0])) if condition else None
        if condition is not None and result is not None and result.difference is not None:
            out.append(Cell(arm, condition, result))
    # What nobody trains is a reference by another name, unless there is nothing else.
    return [cell for cell in out if not cell.arm.seedless] or out


def sentences(scores: Scores, results: Results) -> list[str]:
    """Return the control's sentence where there is one, the answer, and whether anything is trained at all."""
    found = cells(scores, results)
    if not found:
        return [f"No arm has scores to compare with {scores.baseline_label} yet."]
    blind, control = _control(scores, results, found)
    return [s for s in (control, _answer(scores, found, blind), _below(scores, results, found)) if s]


def context(scores: Scores, arm: Arm, among: Sequence[Arm], skip: Sequence[str] = ()) -> str:
    """Return the axis values that tell an arm from others: `network=S, kernel=bd`."""
    if arm.kind != "grid":
        return arm.name
    told = []
    for axis in scores.axes:
        path = axis.path
        if path not in skip and len({repr(a.values[path]) for a in among if a.kind == "grid"}) > 1:
            told.append(f"{axis.title}={text.shown(arm.values[path], path)}")
    return ", ".join(told)


def _answer(scores: Scores, found: list[Cell], blind: list[Cell]) -> str:
    # One seed tells nothing of a method: among arms with more, such an arm is only counted.
    single = [c for c in found if c.result.difference and c.result.difference.seeds < 2]
    caution = verdicts.caution([c.result for c in found])
    if len(single) < len(found):
        found = [c for c in found if c not in single]
    else:
        single = []
    if single:
        caution += f" {text.count(len(single), 'more arm')} with one seed, not judged."
    arms = [c.arm for c in found]
    metrics = {c.result.metric for c in found}
    condition = text.common([c.condition for c in found])
    where = verdicts.where(f" on {condition}" if condition else "", metrics.pop() if len(metrics) == 1 else "psnr_y")
    sizes = verdicts.samples([c.result.difference for c in found if c.result.difference])
    tail = _blind(scores, found, blind) + caution
    what = _what(scores, arms)
    if len(found) == 1:
        said = {1: "gains", -1: "loses", 0: "is not told apart:"}[verdicts.sign(found[0].result)]
        subject = what or f"{found[0].arm.name} against {scores.baseline_label}"
        return f"{subject} {said} {verdicts.amount(found[0].result)}{where} ({sizes}).{tail}"
    parts = []
    for sign, word in WORDS.items():
        group = [c for c in found if verdicts.sign(c.result) == sign]
        if any(
            not sign and c.result.difference and verdicts.effect(c.result.difference, c.result.metric) for c in group
        ):
            word = f"{word} after Holm's correction"  # noqa: PLW2901
        if group:
            parts.append(_group(scores, group, found, word))
    head = f"{what}," if what and where else what or f"Against {scores.baseline_label}"
    return f"{head}{where} ({sizes}): {'; '.join(parts)}.{tail}"


def _group(scores: Scores, group: list[Cell], found: list[Cell], word: str) -> str:
    arms = [c.arm for c in found]

    def one(c: Cell) -> str:
        unit = "" if len({c.result.metric for c in found}) == 1 else f" {text.style(c.result.metric).label}"
        return f"{context(scores, c.arm, arms) or c.condition.label} with {verdicts.amount(c.result)}{unit}"

    higher = text.style(group[0].result.metric).higher_is_better
    ordered = sorted(group, key=lambda c: c.result.difference.mean if c.result.difference else 0.0, reverse=higher)
    many = f"{len(group)} of {len(found)}"
    if len(group) == len(found):
        many = "both" if len(found) == 2 else f"all {len(found)}"
        if word.startswith("not "):
            many, word = "neither" if len(found) == 2 else f"none of {len(found)}", word.removeprefix("not ")
    if len(found) <= NAMED or len(group) == 1:
        return f"{many} {word} ({', '.join(one(c) for c in ordered)})"
    return f"{many} {word} (best {one(ordered[0])}; worst {one(ordered[-1])})"


def _what(scores: Scores, arms: Sequence[Arm]) -> str:
    """Return `dual on against off`, where all arms differ from their baselines in the same way; else nothing."""
    if any(arm.kind != "grid" for arm in arms):
        return ""
    told = []
    for axis in scores.axes:
        path, base = axis.path, scores.compared_on.get(axis.path)
        values = {repr(arm.values[path]) for arm in arms}
        if path not in scores.compared_on or values == {repr(base)}:
            continue
        if len(values) > 1:
            return ""
        value = arms[0].values[path]
        joint = " " if isinstance(value, str) else "="
        told.append(f"{axis.title}{joint}{text.shown(value, path)} against {text.shown(base, path)}")
    return " and ".join(told)


def _blind(scores: Scores, found: list[Cell], blind: list[Cell]) -> str:
    level = [c for c in found if verdicts.sign(c.result) == 0]
    unseen = [c for c in level if c in blind]
    if not unseen:
        return ""
    if len(unseen) == len(level):
        return " The control shows no gain here, so what is not told apart is not shown to be equal."
    names = ", ".join(context(scores, c.arm, [c.arm for c in found]) for c in unseen[:NAMED])
    names += f" and {len(unseen) - NAMED} more" if len(unseen) > NAMED else ""
    return f" For {names} the control shows no gain, so not told apart is not shown to be equal there."


def _control(scores: Scores, results: Results, found: list[Cell]) -> tuple[list[Cell], str]:
    """Return the cells in which no gain could be seen, and the sentence on where the instrument sees."""
    if scores.control is None:
        return [], ""
    values = scores.plan.control_values
    axes = {a.path: a for a in scores.axes}
    told = [repr(v) if axes[p].named else f"{axes[p].title}={text.shown(v, p)}" for p, v in values.items()]
    name = ", ".join(told) or repr(scores.control.name)
    seen: dict[tuple[str, Condition], Result] = {}
    blind, asked = [], set()
    for cell in found:
        controls = scores.controls_of(cell.arm, cell.condition)
        mine = [
            r for c in controls if (r := results.get((c.name, cell.condition, cell.result.metric))) and r.difference
        ]
        asked |= {(c.name, cell.condition) for c in controls}
        seen |= {(r.arm, r.condition): r for r in mine}
        if not any(r.difference and verdicts.effect(r.difference, r.metric) > 0 for r in mine):
            blind.append(cell)
    if not seen:
        return blind, f"The positive control {name} has no scores yet, so whether a gain would be seen is open."
    by_effect: dict[int, list[Result]] = {}
    for r in seen.values():
        assert r.difference is not None
        by_effect.setdefault(verdicts.effect(r.difference, r.metric), []).append(r)
    arms = [scores.arm(r.arm) for r in seen.values()]

    def ends(group: list[Result]) -> str:
        ordered = sorted(group, key=lambda r: r.difference.mean if r.difference else 0.0, reverse=True)
        picked = ordered if len(ordered) <= 2 else [ordered[0], ordered[-1]]
        words = []
        for r in picked:
            told = context(scores, scores.arm(r.arm), arms, tuple(values)) or (
                "" if len(seen) == 1 else r.condition.label
            )
            words.append(verdicts.amount(r) + (f" for {told}" if told else ""))
        return (" to " if len(ordered) > 2 else " and ").join(words)

    sighted, rest = by_effect.get(1, []), [*by_effect.get(0, []), *by_effect.get(-1, [])]
    many = f" in {len(sighted)} of {len(seen)} cells" if len(seen) > 1 else ""
    once = all(r.difference and r.difference.level != "method" for r in sighted)
    if not sighted:
        return blind, f"The instrument cannot see: {name}, the positive control, is at {ends(rest)} from its baseline."
    can = "With one seed the instrument seems to see" if once else "The instrument can see"
    sentence = f"{can}{many}: {name} gains {ends(sighted)}"
    return blind, sentence + (f"; it cannot where the control is at {ends(rest)}." if rest else ".")


def _below(scores: Scores, results: Results, found: list[Cell]) -> str:
    """Say so where no trained arm reaches the untrained reference: differences between failures mean little."""
    conditions = list(dict.fromkeys((c.condition, c.result.metric) for c in found))
    failed = [(p, name) for p, m in conditions if (name := verdicts.below_reference(scores, results, p, m))]
    if not failed:
        return ""
    reason = "so these are differences between networks that are not trained enough."
    if len(failed) == len(conditions):
        return f"No trained arm reaches {'bicubic' if len(failed) > 1 else failed[0][1]}, {reason}"
    shown = ", ".join(condition.label for condition, _ in failed[:NAMED])
    return f"On {shown}{' and more' if len(failed) > NAMED else ''} no trained arm reaches bicubic, {reason}"
