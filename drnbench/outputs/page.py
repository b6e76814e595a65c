"""report.html, and the data that its script draws: plain lists and dictionaries, arms and conditions by number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from drnbench.config.outputs import COSTS
from drnbench.outputs import page_pictures, training
from drnbench.outputs.arm_selection import representative
from drnbench.outputs.base import StudyResults
from drnbench.outputs.parts import Parts
from drnbench.render import html, text
from drnbench.render.style import COLOURS
from drnbench.results.costs import scaled_unit
from drnbench.results.histories import SHARED
from drnbench.results.provenance import configurations
from drnbench.results.scores import Condition, Scores

STEPS = 80
"""Points of a training curve: more are not seen on a screen."""
SHOWN = 8
"""Arms whose training curves are shown first."""
GREY = 7
"""Number of the colour that belongs to no arm."""
Json = dict[str, Any]


def render(study: StudyResults, content: html.Content, parts: Parts) -> str | None:
    """Return report.html; without what its script draws where that fails, and None where the page does."""
    folder = study.store.study(study.scores.plan.location)
    drawn = parts.make("the data of report.html", lambda: data(study), None)
    pictures = parts.make(
        "the pictures of report.html",
        lambda: page_pictures.pictures(study, folder, html.picture_bytes(content.figures, drawn)),
        None,
    )
    return parts.make(
        "report.html", lambda: html.render(study.scores, study.results, study.store, content, drawn, pictures), None
    )


def data(study: StudyResults) -> Json:
    """Return what the script draws, pictures aside; numbers are rounded, and no value is NaN or infinite."""
    scores = study.scores
    condition, metric = scores.primary
    numbers = {arm.name: n for n, arm in enumerate(scores.arms)}
    trained = [arm.name for arm in scores.arms if not arm.seedless]
    shown = [arm.name for arm in representative(scores) if not arm.seedless][:SHOWN]
    return {
        "arms": [arm.name for arm in scores.arms],
        "baselines": [numbers[arm.name] for arm in scores.arms if scores.is_baseline(arm)],
        "pair": _pair(scores, numbers),
        "shown": [numbers[name] for name in (trained if len(trained) <= SHOWN else shown)],
        "colours": [colour for n, colour in enumerate(COLOURS) if n != GREY],
        "styles": [trained.index(arm.name) if not arm.seedless else None for arm in scores.arms],
        "metrics": {name: _style(name) for names in scores.metrics.values() for name in names},
        "primary": {"condition": scores.conditions.index(condition), "metric": metric},
        "conditions": [_condition(study, c) for c in scores.conditions],
        "curves": _curves(study, numbers),
        "costs": _costs(study),
        "configurations": _configurations(scores),
    }


def _pair(scores: Scores, numbers: Mapping[str, int]) -> list[int]:
    """Return the two arms that are compared first: the baseline, and the first trained arm that the question is about."""
    base = scores.baseline or scores.arms[0]
    others = [arm for arm in (*scores.subject, *reversed(scores.arms)) if arm is not base]
    trained = [arm for arm in others if not arm.seedless]
    return [numbers[base.name], numbers[[*trained, *others, base][0].name]]


def _style(metric: str) -> Json:
    style = text.style(metric)
    return {
        "label": style.label, "unit": style.unit, "decimals": style.decimals, "deltaDecimals": style.delta_decimals,
    }  # fmt: skip


def _condition(study: StudyResults, condition: Condition) -> Json:
    """Return the images of a condition, and by metric the scores of each arm, means over its seeds, and their mean."""
    scores = study.scores
    metrics = scores.metrics[condition]
    tables = {metric: [scores.tables.get((arm.name, condition, metric)) for arm in scores.arms] for metric in metrics}
    tables = {metric: frames for metric, frames in tables.items() if any(frame is not None for frame in frames)}
    images = list(dict.fromkeys(name for frames in tables.values() for f in frames if f is not None for name in f))
    return {
        "label": condition.label,
        "images": images,
        "scores": {
            metric: [
                None
                if frame is None
                else html.rounded(frame.mean(axis=0, skipna=False).reindex(images).to_numpy(), metric)
                for frame in frames
            ]
            for metric, frames in tables.items()
        },
        "means": {
            metric: [
                None if r is None or r.mean is None else html.rounded([r.mean, r.half_width or 0.0], metric)
                for r in (study.results.get((arm.name, condition, metric)) for arm in scores.arms)
            ]
            for metric in tables
        },
    }


def _costs(study: StudyResults) -> Json:
    costs: Json = {}
    for name in COSTS:
        values = [study.costs[arm.name].get(name) or None for arm in study.scores.arms]
        if any(values):
            label, divisor = scaled_unit(name, [value for value in values if value])
            costs[name] = {"label": label, "values": [value and float(f"{value / divisor:.4g}") for value in values]}
    return costs


def _configurations(scores: Scores) -> Json:
    """Return the fields that all arms share, and of each arm its others; None for one without a configuration."""
    fields = configurations(scores)
    first = next(iter(fields.values()), {})
    common = {path: value for path, value in first.items() if all(own.get(path) == value for own in fields.values())}
    own = [fields.get(arm.name) for arm in scores.arms]
    return {
        "common": common,
        "own": [None if f is None else {p: value for p, value in f.items() if p not in common} for f in own],
    }


def _curves(study: StudyResults, numbers: Mapping[str, int]) -> Json | None:
    """Return the training curves of each stage: mean over the seeds of an arm, lowest and highest; None without any."""
    frame = study.histories
    names = [] if frame is None else training.curve_names(frame)
    if frame is None or not names:
        return None
    frame = frame[frame["name"].isin(names)]
    recorded = set(frame["stage"])
    stages = [n for n in dict.fromkeys(stage.name for stage in study.scores.plan.stages.values()) if n in recorded]
    values = frame.groupby(["stage", "name", "arm", "step"], sort=True)["value"].agg(["mean", "min", "max", "size"])
    steps: dict[tuple[int, ...], int] = {}
    series = []
    for labels, rows in values.groupby(level=[0, 1, 2], sort=False):
        stage, name, arm = map(str, labels)
        # Where a seed still trains, the mean of the others would jump.
        whole = rows[rows["size"] == rows["size"].max()].droplevel([0, 1, 2])
        kept = whole.iloc[_spread(len(whole))]
        line = {
            "stage": stages.index(stage),
            "curve": names.index(name),
            "arm": -1 if arm == SHARED else numbers[arm],
            "steps": steps.setdefault(tuple(map(int, kept.index)), len(steps)),
            "mean": _five_digits(kept["mean"]),
        }
        if rows["size"].max() > 1:
            line |= {"low": _five_digits(kept["min"]), "high": _five_digits(kept["max"])}
        series.append(line)
    in_words = [training.curve_label(name).replace("\n", ", ") for name in names]
    return {
        "stages": stages,
        "curves": [
            {"label": label, "log": not name.startswith(training.VALIDATION)}
            for name, label in zip(names, in_words, strict=True)
        ],
        "steps": [list(entries) for entries in steps],
        "series": series,
    }


def _spread(count: int) -> list[int]:
    """Return at most STEPS positions of a curve, the first and the last among them."""
    if count <= STEPS:
        return list(range(count))
    return [round(n * (count - 1) / (STEPS - 1)) for n in range(STEPS)]


def _five_digits(values: Any) -> list[float | None]:
    return [float(f"{value:.5g}") if math.isfinite(value) else None for value in values.tolist()]
