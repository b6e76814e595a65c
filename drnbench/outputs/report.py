"""The report: tables, figures, LaTeX macros and one HTML page, from the store alone, also while a sweep runs.

    reading -> frame -> statistics -> summary, costs -> tables, gaptable, macros, figures, words -> html

`write` is all that other packages need. Every number goes through `summary`; what draws adds none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from drnbench.outputs import (
    crops,
    curve,
    dual_kernel,
    gap_figure,
    gap_table,
    heatmap,
    kernels,
    macros,
    pareto,
    search_figure,
    tables,
    tradeoff,
    training,
)
from drnbench.outputs import headline as words
from drnbench.render import html, latex, markdown, style
from drnbench.render.style import CaptionedFigure
from drnbench.results import costs as costing
from drnbench.results import reading, summary
from drnbench.results.costs import Costs
from drnbench.results.plan_record import find_plan
from drnbench.results.scores import Scores
from drnbench.results.summary import Results
from drnbench.store import Store, read_json, write_json, write_text

MADE_BY = ("outputs", "render", "results", "published")
"""The packages whose files decide what a report says."""

__all__ = ["Report", "current", "write"]


@dataclass(frozen=True)
class Report:
    """What was written.

    Attributes:
        headline: what the study shows, in one to three sentences.
        table: the first table in plain text, for a terminal.
        files: everything written, in the order of use.
        incomplete: trials that are planned and not done.

    """

    headline: str
    table: str
    files: list[Path]
    incomplete: int


def current(store: Store, name: str) -> Report | None:
    """Return the report that `write` left, where nothing it was made from has changed since; else None.

    Drawing takes seconds; a run that finds everything done shows what is there.
    """
    record = read_json(store.study(name) / "report.json")
    if not record or record["made_from"] != _made_from(store, name):
        return None
    files = [store.study(name) / file for file in record["files"]]
    if not all(file.exists() for file in files):
        return None
    return Report(record["headline"], record["table"], files, record["incomplete"])


def _made_from(store: Store, name: str) -> str:
    """A digest of everything a report reads: the plan, the scores and histories by size and time, this code."""
    total = hashlib.sha256()
    package = Path(__file__).parents[1]
    for path in sorted(p for folder in MADE_BY for p in (package / folder).iterdir()):
        if path.is_file():
            total.update(path.read_bytes())
    plan = find_plan(store, name)
    total.update(plan.model_dump_json().encode() if plan else b"")
    total.update(json.dumps(read_json(store.study(name) / "search.json"), sort_keys=True).encode())
    made = ("per_image.parquet", "scores.json")  # what D learned is written with the scores
    files = [store.trial(key) / file for key in sorted(plan.keys if plan else ()) for file in made]
    files += [
        store.stage(key) / file for key in (plan.stages if plan else ()) for file in ("history.parquet", "stage.json")
    ]
    for path in files:
        try:
            stat = path.stat()
            state = stat.st_size, stat.st_mtime_ns
        except FileNotFoundError:
            state = None
        total.update(f"{path.parent.name}/{path.name} {state}".encode())
    return total.hexdigest()


def write(store: Store, name: str) -> Report:
    """Write every report of a study into its folder of the store and return what it says.

    Raises:
        UsageError: the store has no plan of that study, or a metric of it is not known here.

    """
    scores = reading.read(store, name)
    folder = store.study(name)
    results = summary.summarise(scores)
    costs = costing.read(scores, store)
    bodies = [*tables.bodies(scores, results, costs), *gap_table.bodies(scores, results)]
    texts = {"summary.csv": summary.to_csv(results), "costs.csv": costing.to_csv(costs)}
    texts["macros.tex"] = macros.render(scores, results, costs)
    for n, body in enumerate(bodies):
        label = name if n == 0 else f"{name}-{body.name}"
        texts[f"table_{body.name}.md"] = markdown.render(body)
        texts[f"table_{body.name}.tex"] = latex.render(body, label)
        texts[f"table_{body.name}.csv"] = body.csv or summary.to_csv(
            {(r.arm, r.condition, r.metric): r for r in body.results}
        )
    files = []
    for file, text in texts.items():
        write_text(folder / file, text)
        files.append(folder / file)
    with style.styled():
        drawn = draw(scores, results, costs, store)
        for figure in drawn:
            files += style.save(figure, folder)
    headline = words.headline(scores, results)
    page = folder / "report.html"
    write_text(page, html.render(scores, results, bodies, drawn, headline, store, [*files, page]))
    done, planned = scores.counts
    report = Report(headline, markdown.terminal(bodies[0]), [*files, page], planned - done)
    record = {"made_from": _made_from(store, name), **asdict(report), "files": [file.name for file in report.files]}
    write_json(folder / "report.json", record)
    return report


def draw(scores: Scores, results: Results, costs: Costs, store: Store) -> list[CaptionedFigure]:
    """Return every figure that the scores so far can give, those that the study declares first."""
    kinds: dict[str, Callable[[dict[str, Any]], CaptionedFigure | None]] = {
        "curve": lambda out: curve.draw(scores, results, out),
        "heatmap": lambda out: heatmap.draw(scores, results, out),
        "tradeoff": lambda out: tradeoff.draw(scores, results, costs, out),
        "gap": lambda out: gap_figure.draw(scores, out),
        "dualkernel": lambda out: dual_kernel.draw(scores, results, store, out),
    }
    declared = [kinds[out["kind"]](out) for out in scores.plan.outputs if out["kind"] in kinds]
    names: set[str] = set()
    unique = []
    for figure in declared:
        if figure is None:
            continue
        name, n = figure.name, 1
        while name in names:
            n += 1
            name = f"{figure.name}_{n}"
        names.add(name)
        unique.append(CaptionedFigure(name, figure.caption, figure.figure))
    always = (
        search_figure.draw(scores), pareto.draw(scores), training.draw(scores, store), crops.draw(scores, store),
        kernels.draw(scores, store),
    )  # fmt: skip
    return [*unique, *(f for f in always if f)]
