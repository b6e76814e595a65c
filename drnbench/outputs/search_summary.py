"""What a study's search did, in words: for the headline, and for the caption of every table that its winner stands in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drnbench.config.search import AXIS, COSTS, DEFAULT, VALIDATION
from drnbench.render import text
from drnbench.results import labels
from drnbench.results.scores import Scores

COST_LABELS = {"parameters": "parameters", "macs": "MACs", "step_macs": "step MACs", "seconds": "seconds of training"}


def of(scores: Scores) -> dict[str, Any] | None:
    """Return what the study's search did so far; None where it declares none, or none was begun."""
    return scores.search


def label(objective: Mapping[str, Any]) -> str:
    """Return how an objective is called on an axis, in two lines."""
    what = objective["what"]
    better = "higher is better" if objective["direction"] == "maximise" else "lower is better"
    if what in COSTS:
        return f"{COST_LABELS[what]}\n{better}"
    s = text.style("psnr_y" if what == VALIDATION else what)
    kernel = f"{labels.kernel(objective['kernel'])}, " if objective["kernel"] else ""
    unit = f" ({s.unit.strip()})" if s.unit else ""
    return f"{'validation ' * (what == VALIDATION)}{s.label}{unit}\n{kernel}{better}"


def where(objective: Mapping[str, Any]) -> str:
    """Return what an objective is measured on: `PSNR-Y of held-out training images, gaussian σ=2`."""
    what = objective["what"]
    if what in COSTS:
        return COST_LABELS[what]
    kernel = f", {labels.kernel(objective['kernel'])}" if objective["kernel"] else ""
    if what == VALIDATION:
        return f"validation PSNR (held-out training images{kernel})"
    return f"{text.style(what).label} on {objective['source']}{kernel}"


def costs(scores: Scores, rows: str | None) -> tuple[str, ...]:
    """Return the costs that the search looked at, which a table of its arms shows beside their scores."""
    found = of(scores)
    if found is None or rows != AXIS:
        return ()
    return tuple(one["what"] for one in found["objectives"] if one["what"] in COSTS)


def value(objective: Mapping[str, Any], number: float) -> str:
    """Write the value of an objective."""
    what = objective["what"]
    if what in COSTS:
        return f"{number:,.0f} {COST_LABELS[what]}" if number >= 1000 else f"{number:.3g} {COST_LABELS[what]}"
    s = text.style("psnr_y" if what == VALIDATION else what)
    return f"{text.number(number, s.delta_decimals)}{s.unit}"


def headline(scores: Scores) -> list[str]:
    """Return what the search did and found, and what the scores after it are."""
    found = of(scores)
    if found is None:
        return []
    tried = _tried(found)
    titles = _join([one["title"] for one in found["space"]])
    by = " against ".join(where(one) for one in found["objectives"])
    if found["state"] != "done":
        return [
            f"The search over {titles} goes on: {tried} of {found['trials']} candidates by {by}; {_best(found, 'best so far')}."
        ]
    return [
        f"The search over {titles} tried {tried} candidates by {by}: {_best(found, 'best')}{_same(scores)}.",
        f"What follows are fresh seeds ({_seeds(found['fresh_seeds'])}) on images that the search did not look at.",
    ]


def caption(scores: Scores) -> list[str]:
    """Return the sentences of a table's caption."""
    found = of(scores)
    if found is None:
        return []
    default = _values(scores, found, scores.plan.baseline_values.get(AXIS))
    arms = [f"default: {default}"] if default else []
    arms += [
        f"{arm.name}: {told}"
        for arm in scores.arms
        if arm.kind == "grid" and arm.name != DEFAULT and (told := _values(scores, found, arm.name))
    ]
    by = " against ".join(where(one) for one in found["objectives"])
    state = "" if found["state"] == "done" else " (not over yet)"
    tried, seeds = _tried(found), text.count(len(found["seeds"]), "seed")
    how = f"Found{state} by {found['how']} among {tried} candidates, {seeds} each, by {by};"
    again = f"run again with seeds {_seeds(found['fresh_seeds'])}, which no candidate had."
    apart = "The images of this table took no part in the search."
    return [f"{'; '.join(arms)}." if arms else "", how, again, apart]


def _tried(found: Mapping[str, Any]) -> str:
    states = [one["state"] for one in found["candidates"] if one["state"] != "running"]
    less = [f"{states.count(s)} {s}" for s in ("pruned", "failed") if s in states]
    return f"{len(states)}" + (f" ({', '.join(less)})" if less else "")


def best(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the best candidate, or the front in its order."""
    by_number = {one["number"]: one for one in found["candidates"]}
    return [by_number[number] for number in found["best"]]


def again(found: Mapping[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    """Return what of the front is run again, each with the number that its arm is called by."""
    shown = found["found"]
    return [(shown.index(one["values"]) + 1, one) for one in best(found) if one["values"] in shown]


def _best(found: Mapping[str, Any], word: str) -> str:
    front = best(found)
    if not front:
        return "none is scored yet"
    objectives = found["objectives"]
    if len(objectives) > 1:
        listed = []
        for n, one in again(found):
            told = " and ".join(value(*pair) for pair in zip(objectives, one["mean"], strict=True))
            listed.append(f"front {n}, {one['label']}, with {told}")
        return "; ".join([f"{len(front)} on the front", *listed])
    return f"{word} {front[0]['label']} with {value(objectives[0], front[0]['mean'][0])}"


def _same(scores: Scores) -> str:
    return (
        ""
        if any(arm.kind == "grid" and arm.name != DEFAULT for arm in scores.arms)
        else ", which is the default itself"
    )


def _values(scores: Scores, found: Mapping[str, Any], name: str | None) -> str:
    """Return the values that an arm has on the paths of the space."""
    arm = next((arm for arm in scores.arms if arm.name == name), None)
    if arm is None or arm.config is None:
        return ""
    told = [(one["title"], _at(arm.config, one["path"])) for one in found["space"]]
    return ", ".join(f"{title}={text.shown(v)}" for title, v in told if v is not None)


def _at(config: Mapping[str, Any], path: str) -> Any:
    stages = {stage["name"]: stage for stage in config["stages"]}
    at: Any = {**config, **stages}
    for part in path.split("."):
        at = (
            at[int(part)]
            if isinstance(at, list) and part.isdigit()
            else at.get(part)
            if isinstance(at, Mapping)
            else None
        )
        if at is None:
            return None
    return None if isinstance(at, (Mapping, list)) else at


def _seeds(seeds: Sequence[int]) -> str:
    return f"{seeds[0]}–{seeds[-1]}" if len(seeds) > 1 else str(seeds[0])


def _join(words: list[str]) -> str:
    return ", ".join(words[:-1]) + (" and " if len(words) > 1 else "") + words[-1]
