"""The content of a study's parent run, read from its report: the answer, the table, best arms, comparisons, the origin."""

from __future__ import annotations

import getpass
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from drnbench.results.plan_record import PlanRecord
from drnbench.store import Store, read_json
from drnbench.tracking import names, reading
from drnbench.tracking.reading import Point, TrialView

ANSWER = 1500
"""Characters of the answer in the description; the report has all of it."""
SEEN = 20
"""Trials that are asked for the names of their images."""
COLUMNS = 4
"""Metrics, and charts of images, of the view that `ui` opens."""
VIEW = "drnbench"
"""Name of that view; its URL ends in `?viewStateShareKey=drnbench`."""
FOLDERS = {"table_": "tables", "figure_": "figures"}
"""Beginning of a file's name -> its folder among the artifacts; other files stand beside the folders."""


def description(store: Store, plan: PlanRecord, *, final: bool) -> str:
    """Return the Markdown that MLflow shows on top of the parent run: the question, the answer, the first table.

    Args:
        store: of the study.
        plan: of the study.
        final: the report is that of this state; without, the question alone, as an earlier answer may be wrong by now.

    """
    parts, folder = [plan.question], store.study(plan.location)
    record = read_json(folder / "summary.json") if final else None
    if record is None:
        return plan.question
    if answer := names.clipped(record.get("headline") or "", ANSWER):
        parts.append(f"**Answer:** {answer}")
    files = (read_json(folder / "report.json") or {}).get("files") or sorted(
        path.name for path in folder.glob("table_*.md")
    )
    first = next((folder / file for file in files if file.startswith("table_") and file.endswith(".md")), None)
    ending = _origin(record.get("provenance") or {})
    if first is not None and first.is_file():
        room = names.TAG_LENGTH - len("\n\n".join([*parts, *ending])) - 200
        parts.append(_table(first, room))
    return "\n\n".join(part for part in [*parts, *ending] if part)


def _table(path: Path, room: int) -> str:
    """Return the rows of a table in Markdown that there is room for, without the spaces that align them."""
    lines = [
        re.sub("-{3,}", "--", re.sub(" {2,}", " ", line))
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("|")
    ]
    kept = [line for n, line in enumerate(lines) if sum(map(len, lines[: n + 1])) + n <= room]
    rest = f"{len(lines) - len(kept)} more rows in `tables/{path.name}`." if len(kept) < len(lines) else ""
    return "\n".join(kept) + (f"\n\n{rest}" if rest else "") if len(kept) > 2 else f"The table is `tables/{path.name}`."


def _origin(origin: Mapping[str, Any]) -> list[str]:
    versions = ", ".join(f"{name} {' and '.join(texts)}" for name, texts in (origin.get("versions") or {}).items())
    facts = [
        ("Made by", f"`{origin['command']}`" if origin.get("command") else ""),
        ("versions", versions),
        ("commit", ", ".join(origin.get("commits") or [])),
        ("hardware", "; ".join(origin.get("hardware") or [])),
    ]
    line = "; ".join(f"{name} {text}" for name, text in facts if text)
    return [names.clipped(line, 1000)] if line else []


def points(store: Store, plan: PlanRecord, time: int) -> tuple[list[Point], dict[str, str]]:
    """Return the metrics of the best arm of each test set and of each comparison, and tags that name the best arms.

    Args:
        store: of the study.
        plan: of the study.
        time: of the points, in milliseconds since 1970.

    """
    rows = (read_json(store.study(plan.location) / "summary.json") or {}).get("results") or []
    several = len({row["scale"] for row in rows}) > 1
    values: dict[str, float] = {}
    best: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        place = "/".join([row["metric"], row["dataset"], row["kernel"], *([f"x{row['scale']}"] if several else [])])
        if isinstance(row["delta"], float) and math.isfinite(row["delta"]):
            values[names.safe(f"delta/{place}/{row['arm']}")] = row["delta"]
        if row.get("contender") and isinstance(row["mean"], float):
            sign = 1 if row["higher_is_better"] else -1
            if place not in best or sign * row["mean"] > sign * best[place]["mean"]:
                best[place] = row
    values |= {names.safe(f"best/{place}"): row["mean"] for place, row in best.items()}
    tags = {names.safe(f"best/{place}"): f"{row['arm']}" for place, row in best.items()}
    return [Point(name, 0, value, time) for name, value in values.items()], tags


def datasets(store: Store, views: Iterable[TrialView]) -> list[tuple[str, str, str]]:
    """Return the image sets of trials by content: name, fingerprint, and what they are for; each once."""
    sets = dict[tuple[str, str, str], None]()
    for view in views:
        for key in view.plan.stages:
            sets |= dict.fromkeys(_training_sets(read_json(store.stage(key) / "unit.json") or {}))
        sets |= dict.fromkeys((e.source, e.images, "evaluation") for e in view.plan.wanted)
    return [(name, digest[:36], purpose) for name, digest, purpose in sets]


def _training_sets(unit: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    stage = unit.get("stage") or {}
    for field, purpose in (("data", "training"), ("unpaired", "training without pairs")):
        if (data := stage.get(field)) and (digest := unit.get(f"{field}_digest")):
            yield data["source"], digest, purpose


def source(store: Store, plan: PlanRecord, views: Iterable[TrialView]) -> dict[str, str]:
    """Return MLflow's tags on the origin of a run: study file, commit of drnbench, user."""
    commit = None
    for view in views:
        for path in (view.units[-1][1] / "scores.json", *(store.stage(key) / "stage.json" for key in view.plan.stages)):
            commit = commit or ((read_json(path) or {}).get("git") or {}).get("commit")
        if commit:
            break
    name = Path(plan.file).name if plan.file else f"{plan.study}.py"
    return {
        "mlflow.source.name": name,
        "mlflow.source.type": "LOCAL",
        **({"mlflow.source.git.commit": commit} if commit else {}),
    }


def user() -> str:
    """Return the name of the user who mirrors; of a container without one, a word for it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def per_image(frame: Any) -> dict[str, Any]:
    """Return scores as MLflow's table artifacts have them: a row an image, test set and kernel, a column a metric.

    Args:
        frame: columns image, dataset, kernel, metric, value and perhaps others; infinite values become text.

    """
    wide = frame.pivot_table("value", ["image", "dataset", "kernel"], "metric", sort=False, dropna=False).dropna(
        how="all"
    )
    rows = [[*key, *map(_cell, values)] for key, values in zip(wide.index, wide.to_numpy().tolist(), strict=True)]
    return {"columns": ["image", "dataset", "kernel", *wide.columns], "data": rows}


def by_arm(views: Iterable[TrialView]) -> dict[str, Any]:
    """Return the scores of all arms as MLflow's table artifacts have them: a row an image and metric, a column an arm.

    Seeds are averaged.
    """
    import pandas as pd

    parts = [rows.assign(arm=view.plan.arm) for view in views if (rows := reading.score_rows(view)) is not None]
    if not parts:
        return {"columns": [], "data": []}
    index = ["image", "dataset", "kernel", "scale", "metric"]
    frame = pd.concat(parts, ignore_index=True)
    means = frame.groupby([*index, "arm"], sort=False)["value"].mean().unstack("arm", sort=False)  # noqa: PD010 - of a grouping
    data = [
        [*map(str, key), *map(_cell, values)]
        for key, values in zip(means.index, means.to_numpy().tolist(), strict=True)
    ]
    return {"columns": [*index, *means.columns], "data": data}


def _cell(value: float) -> float | str | None:
    return None if math.isnan(value) else value if math.isfinite(value) else str(value)


def shared_view(views: Iterable[TrialView]) -> dict[str, Any]:
    """Return a view of MLflow's runs page as its "Share" button stores one: columns, and charts in a section of their own.

    The charts are the first metric against parameters, and the images of each test set by run. What another version of MLflow
    does not know it leaves out.
    """
    views = list(views)
    trained = next((view for view in views if view.plan.stages), views[0] if views else None)
    metrics = list(names.scores(trained.plan.wanted).values()) if trained else []
    images = list(dict.fromkeys(picture.name for view in views[:SEEN] for picture in reading.pictures(view)))
    images = [name for name in images if name.startswith("SR")]
    scores, costs = metrics[:COLUMNS], ("cost/parameters", "cost/macs", "cost/training_seconds")
    columns = ["attributes.`Created`", "attributes.`Duration`", "params.`arm`", "tags.`drnbench.state`"]
    charts: list[dict[str, Any]] = [
        {
            "type": "SCATTER", "displayName": f"{metric} against parameters", "runsCountToCompare": 100,
            "xaxis": {"key": "cost/parameters", "type": "METRIC"}, "yaxis": {"key": metric, "type": "METRIC"},
        }
        for metric in metrics[:1]
    ] + [{"type": "IMAGE", "imageKeys": [name], "step": 0, "showRunParams": False} for name in images[:COLUMNS]]  # fmt: skip
    section = VIEW
    return {
        "selectedColumns": [*columns, *(f"metrics.`{name}`" for name in (*scores, *costs))],
        "runsHiddenMode": "SHOW_ALL",
        "isAccordionReordered": True,
        "compareRunCharts": [
            {**chart, "uuid": f"{section}-{n}", "metricSectionId": section, "deleted": False, "isGenerated": False}
            for n, chart in enumerate(charts)
        ],
        "compareRunSections": [
            {
                "uuid": section,
                "name": section,
                "display": True,
                "isReordered": True,
                "deleted": False,
                "isGenerated": False,
            }
        ],
    }
