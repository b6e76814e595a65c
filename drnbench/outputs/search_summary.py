"""The results of a study's search in words: for the headline, and for the caption of every table with its winner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from drnbench.config.outputs import Cost
from drnbench.config.search import AXIS, COSTS, DEFAULT, VALIDATION
from drnbench.render import style, text
from drnbench.results import labels
from drnbench.results.scores import Scores

COST_LABELS = {
    "parameters": "parameters",
    "macs": "MACs",
    "step_macs": "step MACs",
    "seconds": "seconds of training",
    "activations": "activations",
}


def label(objective: Mapping[str, Any]) -> str:
    """Return the label of an objective on an axis of a figure, in two lines."""
    measure = objective["what"]
    better = "higher is better" if objective["direction"] == "maximise" else "lower is better"
    if measure in COSTS:
        return f"{COST_LABELS[measure]}\n{better}"
    s = _style(measure)
    kernel = f"{labels.kernel(objective['kernel'])}, " if objective["kernel"] else ""
    unit = f" ({s.unit.strip()})" if s.unit else ""
    return f"{'validation ' if measure == VALIDATION else ''}{s.label}{unit}\n{kernel}{better}"


def where(objective: Mapping[str, Any]) -> str:
    """Return an objective with the images it is measured on: `PSNR-Y of held-out training images, gaussian σ=2`."""
    measure = objective["what"]
    if measure in COSTS:
        return COST_LABELS[measure]
    kernel = f", {labels.kernel(objective['kernel'])}" if objective["kernel"] else ""
    if measure == VALIDATION:
        return f"validation PSNR (held-out training images{kernel or ', kernel of the pairs'})"
    return f"{_style(measure).label} on {objective['source']}{kernel}"


def costs(scores: Scores, rows: str | None) -> tuple[Cost, ...]:
    """Return the costs among the search's objectives, which a table of its arms shows beside their scores."""
    if scores.search is None or rows != AXIS:
        return ()
    return tuple(cast("Cost", o["what"]) for o in scores.search["objectives"] if o["what"] in COSTS)


def value(objective: Mapping[str, Any], number: float) -> str:
    """Write the value of an objective."""
    measure = objective["what"]
    if measure in COSTS:
        return f"{number:,.0f} {COST_LABELS[measure]}" if number >= 1000 else f"{number:.3g} {COST_LABELS[measure]}"
    s = _style(measure)
    return f"{text.number(number, s.delta_decimals)}{s.unit}"


def best(search: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the best candidate, or the Pareto front in its order."""
    by_number = {candidate["number"]: candidate for candidate in search["candidates"]}
    return [by_number[number] for number in search["best"]]


def data(search: Mapping[str, Any], candidates: Sequence[Mapping[str, Any]]) -> str:
    """Return candidates as CSV: number, state, the values of the space, the objectives (empty without a score), the best."""
    paths = [parameter["path"] for parameter in search["space"]]
    measures = [objective["what"] for objective in search["objectives"]]
    objectives = [o["what"] if measures.count(o["what"]) == 1 else where(o) for o in search["objectives"]]
    rows = [
        [
            candidate["number"], candidate["state"], *(candidate["values"].get(path) for path in paths),
            *(candidate["mean"] or [None] * len(objectives)), candidate["number"] in search["best"],
        ]
        for candidate in candidates
    ]  # fmt: skip
    return style.data(["candidate", "state", *paths, *objectives, "best"], rows)


def baseline(search: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the candidate with the default values; None where it has no score."""
    candidate: dict[str, Any] | None = search["baseline"]
    return candidate if candidate and candidate["mean"] and candidate["state"] == "complete" else None


def rerun(search: Mapping[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    """Return the candidates of the front that are run again with fresh seeds, each with the number of its arm."""
    arms = search["found"]
    return [(arms.index(c["values"]) + 1, c) for c in best(search) if c["values"] in arms]


def sentences(scores: Scores) -> list[str]:
    """Return the course and the result of the search, and what the scores after it are; [] without a search."""
    search = scores.search
    if search is None:
        return []
    titles = labels.listing([dimension["title"] for dimension in search["space"]])
    objectives, tried = _objectives(search), _tried(search)
    if search["state"] != "done":
        progress = f"{tried} of {search['trials']} candidates by {objectives}; {_best(search, 'best so far')}"
        return [f"The search over {titles} goes on: {progress}."]
    another = any(arm.kind == "grid" and arm.name != DEFAULT for arm in scores.arms)
    default = "" if another else ", which is the default itself"
    return [
        f"The search over {titles} tried {tried} candidates by {objectives}: {_best(search, 'best')}{default}.",
        *selection(scores),
        f"The following are fresh seeds ({_seeds(search['fresh_seeds'])}) on images that the search did not look at.",
    ]


def selection(scores: Scores) -> list[str]:
    """Return what the search knew of a kernel that the study takes as unknown; [] where it knew nothing."""
    search = scores.search
    if search is None:
        return []
    if scores.oracle_kernels:
        kernels = labels.listing(scores.oracle_kernels)
        reason = f"it looks at HR images under {kernels}, which the study takes as unknown"
        return [f"The selection is an oracle: {reason}; the kernel of the pairs or LR consistency would not be one."]
    declared = dict.fromkeys(labels.kernel(o["kernel"]) for o in search["objectives"] if o["kernel"])
    assumed = [kernel for kernel in declared if kernel in scores.hidden_kernels]
    if not assumed:
        return []
    return [f"The selection sees no HR image under {labels.listing(assumed)}, and takes that kernel as known."]


def caption(scores: Scores) -> list[str]:
    """Return the sentences of a table's caption; [] without a search."""
    search = scores.search
    if search is None:
        return []
    default = scores.plan.baseline_values.get(AXIS)
    arms = {DEFAULT: default, **{a.name: a.name for a in scores.arms if a.kind == "grid" and a.name != DEFAULT}}
    settings = [f"{label}: {values}" for label, name in arms.items() if (values := _values(scores, search, name))]
    state = "" if search["state"] == "done" else " (not over yet)"
    seeds = text.count(len(search["seeds"]), "seed")
    return [
        f"{'; '.join(settings)}." if settings else "",
        f"Found{state} by {search['how']} among {_tried(search)} candidates, {seeds} each, by {_objectives(search)};",
        f"run again with seeds {_seeds(search['fresh_seeds'])}, which no candidate had.",
        *selection(scores),
        "The images of this table took no part in the search.",
    ]


def _style(measure: str) -> text.MetricStyle:
    return text.style("psnr_y" if measure == VALIDATION else measure)


def _objectives(search: Mapping[str, Any]) -> str:
    return " against ".join(where(objective) for objective in search["objectives"])


def _tried(search: Mapping[str, Any]) -> str:
    states = [candidate["state"] for candidate in search["candidates"] if candidate["state"] != "running"]
    incomplete = [f"{states.count(state)} {state}" for state in ("pruned", "failed") if state in states]
    return f"{len(states)}" + (f" ({', '.join(incomplete)})" if incomplete else "")


def _best(search: Mapping[str, Any], adjective: str) -> str:
    front, objectives = best(search), search["objectives"]
    if not front:
        return "none is scored yet"
    if len(objectives) == 1:
        return f"{adjective} {front[0]['label']} with {value(objectives[0], front[0]['mean'][0])}"
    points = [
        f"front {number}, {candidate['label']}, with "
        + " and ".join(value(objective, mean) for objective, mean in zip(objectives, candidate["mean"], strict=True))
        for number, candidate in rerun(search)
    ]
    return "; ".join([f"{len(front)} on the front", *points])


def _values(scores: Scores, search: Mapping[str, Any], name: str | None) -> str:
    """Return the values that an arm has on the paths of the space."""
    arm = next((arm for arm in scores.arms if arm.name == name), None)
    if arm is None or arm.config is None:
        return ""
    values = [(dimension["title"], _at(arm.config, dimension["path"])) for dimension in search["space"]]
    return ", ".join(f"{title}={text.shown(value)}" for title, value in values if value is not None)


def _at(config: Mapping[str, Any], path: str) -> Any:
    """Return the plain value at a path of a trial's configuration; None where there is none."""
    at: Any = {**config, **{stage["name"]: stage for stage in config["stages"]}}
    for part in path.split("."):
        by_name = {str(n): item for n, item in enumerate(at)} if isinstance(at, list) else at
        at = by_name.get(part) if isinstance(by_name, Mapping) else None
    return None if isinstance(at, (Mapping, list)) else at


def _seeds(seeds: Sequence[int]) -> str:
    return f"{seeds[0]}–{seeds[-1]}" if len(seeds) > 1 else str(seeds[0])
