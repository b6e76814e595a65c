"""report.html: one page that holds everything, pictures included, and can be mailed or printed."""

from __future__ import annotations

import base64
import math
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drnbench.render import assets, text
from drnbench.render import dark as dark_mode
from drnbench.render.style import CaptionedFigure
from drnbench.render.table import CaptionedTable, group_runs
from drnbench.results import inventory
from drnbench.results.provenance import Provenance
from drnbench.results.scores import Scores
from drnbench.results.summary import Results
from drnbench.store import Store, read_json
from drnbench.store.environment import SIGNATURE, count_signatures

STATES = ("done", "running", "missing", "interrupted", "lost", "damaged", "failed")


BYTES = 15_000_000
"""Size of a page: pictures that would make it larger lie beside it."""
CHARTS = {
    "images": (
        "Images", "explorer",
        ("Any arm against any other, LR or HR. To pan, drag or use the arrow keys; to zoom, double click, use plus and minus, "
        "or the wheel over an image that was clicked. All views move together."),
    ),
    "scores": (
        "Scores of each image", "score-chart",
        "One point an image, means over seeds; on the dotted line two arms are equal. A click on a point or a name opens the image.",
    ),
    "curves": (
        "Training curves", "curve-chart", "Line: mean over the seeds of an arm; band: from its lowest to its highest seed.",
    ),
    "tradeoff": (
        "Trade-off", "tradeoff-chart",
        "A metric against what it costs, one point an arm, with the interval over seeds; hollow: the baseline.",
    ),
}  # fmt: skip
"""Heading, element and sentence of each part that the script draws."""


@dataclass(frozen=True)
class PageFigure:
    """A figure as a page shows it.

    Attributes:
        name, caption: of the figure.
        data: data URI of its PNG; its file name where it would make the page too large.
        dark: data URI of it for dark mode; empty: it stands on white there.
        wide: it takes the width of a page.
        flat: it is much wider than high.

    """

    name: str
    caption: str
    data: str
    dark: str
    wide: bool
    flat: bool


@dataclass(frozen=True)
class Content:
    """What the other files of a report hold, and a page shows.

    Attributes:
        tables, headline, origin: of the report.
        figures: as `page_figures` gives them.
        files: of the report, in the order of use.
        warnings: of the report, beside those of the plan.
        failed_parts: a line for each part of the report that could not be made.

    """

    tables: Sequence[CaptionedTable]
    figures: Sequence[PageFigure]
    headline: str
    files: Sequence[Path]
    origin: Provenance
    warnings: Sequence[str] = ()
    failed_parts: Sequence[str] = ()


def render(
    scores: Scores,
    results: Results,
    store: Store,
    content: Content,
    data: Mapping[str, Any] | None = None,
    pictures: Mapping[str, Any] | None = None,
) -> str:
    """Return the page; every string of the study is escaped.

    Args:
        scores, results, store: of the study.
        content: of the report.
        data: what the script draws, as `drnbench.outputs.page` makes it; None: nothing.
        pictures: the images of the explorer, as `drnbench.outputs.page_pictures` makes them.

    """
    done, planned = scores.counts
    effects, charts = _effects(scores, results), list(_charts(data, pictures))
    stages = {key: store.state(store.stage(key)) for key in scores.plan.stages}
    return assets.template("report.html.j2").render(
        assets=assets,
        plan=scores.plan,
        axes=[(axis.title, [text.shown(value, axis.path) for value in axis.values]) for axis in scores.plan.axes],
        baseline=scores.baseline_label if scores.baseline else "none",
        headline=_lead(content.headline),
        done=done,
        planned=planned,
        tables=[(table, group_runs(table.columns)) for table in content.tables],
        figures=content.figures,
        effects=effects,
        confidence=scores.confidence,
        tests_at=scores.tests_at,
        margins=bool(scores.plan.margin),
        warnings=[*scores.plan.warnings, *_signature_warnings(scores, store, stages), *content.warnings],
        failed_parts=content.failed_parts,
        exclusions=[(arm.name, seed, reason) for arm in scores.arms for seed, reason in arm.excluded],
        arms=scores.arms,
        failures=[(arm.name, t) for arm in scores.arms for t in arm.trials if t.message],
        states=_states(scores),
        stages=_stages(scores, stages),
        held=_held(scores, store),
        files=[path.name for path in content.files],
        facts=[*content.origin.facts(), ("disk", _disk(scores, store))],
        links=_links(scores, store),
        origin=content.origin,
        data=data,
        pictures=pictures,
        charts=charts,
        sections=[
            ("answer", "Answer"),
            ("tables", "Tables"),
            *([("comparisons", "Comparisons")] if effects else []),
            *([("figures", "Figures")] if content.figures[1:] else []),
            *((id_, title) for id_, title, *_ in charts),
            ("trials", "Trials"),
            ("origin", "Origin"),
            ("files", "Files"),
        ],
    )


def render_index(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the index page of a store.

    Args:
        name: of the store.
        rows: of each report `study`, `settings`, `question`, `states` (state and number of trials), `date`, `answer`, `page`
            (its path from the store; empty without one) and `failure`, the reason why there is no answer.

    """
    return assets.template("index.html.j2").render(
        assets=assets, name=name, rows=[{**row, "answer": _lead(row["answer"])} for row in rows]
    )


def _lead(headline: str) -> tuple[str, str]:
    """Split off the first sentence of a headline, with minus signs."""
    headline = headline.replace(" -", " −").replace("[-", "[−").replace("(-", "(−")
    sentence = re.match(r".*?[^.]\.(?= [A-Z])", headline)
    end = sentence.end() if sentence else len(headline)
    return headline[:end], headline[end:]


def _charts(data: Mapping[str, Any] | None, pictures: Mapping[str, Any] | None) -> Iterator[tuple[str, str, str, str]]:
    """Yield the parts that the script draws, as far as there is something to draw."""
    if data is None:
        return
    scored = any(condition["images"] for condition in data["conditions"])
    drawn = {"images": pictures, "scores": scored, "curves": data["curves"], "tradeoff": scored and data["costs"]}
    yield from ((id_, *CHARTS[id_]) for id_, content in drawn.items() if content)


def rounded(values: Iterable[float], metric: str) -> list[float | str | None]:
    """Return values with a digit more than tables have, for data; JSON has neither NaN, which is None, nor infinity."""
    digits = text.style(metric).delta_decimals + 1
    return [
        round(value, digits) if math.isfinite(value) else None if math.isnan(value) else str(value)
        for value in map(float, values)
    ]


def picture_bytes(figures: Sequence[PageFigure], data: Mapping[str, Any] | None) -> int:
    """Return the bytes of a page that are left for pictures beside its figures and data."""
    held = sum(len(figure.data) + len(figure.dark) for figure in figures)
    return max(0, BYTES - held - len(assets.block(data)) - len(assets.script()) - 500_000)


def page_figures(figures: Iterable[CaptionedFigure], folder: Path) -> list[PageFigure]:
    """Return what a page shows of figures that are saved in a folder: those that it has no room for by their file names."""
    left, shown = BYTES, []
    for figure in figures:
        file = folder / f"{figure.name}.png"
        data, dark = _uri("png", file.read_bytes()), ""
        left -= len(data)
        if left > 0:
            dark = _uri("webp", dark_mode.webp(file, figure.figure))
            dark = dark if len(dark) < left else ""
            left -= len(dark)
        width, height = figure.figure.get_size_inches()
        shown.append(
            PageFigure(
                figure.name, figure.caption, data if left > 0 else file.name, dark, width > 5, width > 2.2 * height
            )
        )
    return shown


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _disk(scores: Scores, store: Store) -> str:
    """Return the size of the stages and trained trials of a study, in words.

    Untrained methods are one trial for every setting, and grow with the studies of others.
    """
    trials = sorted({trial.key for trial in scores.plan.trials if trial.stages})
    folders = [*map(store.stage, scores.plan.stages), *map(store.trial, trials)]
    total = sum(sum(inventory.sizes(folder).values()) for folder in folders)
    return f"{total / 2**20:.1f} MiB in {len(folders)} stages and trained trials, of which other studies may share some"


def _links(scores: Scores, store: Store) -> list[tuple[str, str, str]]:
    """Return where the same runs are in MLflow: heading, the command that serves them first, and the address."""
    mirrors = read_json(store.study(scores.plan.location) / "mirror.json") or {}
    servers = [uri for uri in mirrors if uri.startswith(("http://", "https://"))]
    if servers:
        return [("in MLflow", "", uri) for uri in servers]
    option = "" if store.root.name == "results" else f" --results {shlex.quote(store.root.name)}"
    return [
        (
            "in MLflow",
            f"python -m drnbench ui{option}",
            "http://127.0.0.1:5000/#/experiments?workflowType=machine_learning",
        )
    ]


def _effects(scores: Scores, results: Results) -> list[dict[str, str]]:
    """Return one line for each comparison: interval, test and share of images won."""
    rows = []
    for r in results.values():
        d = r.difference
        if d is None:
            continue
        decimals = text.style(r.metric).delta_decimals
        rows.append(
            {
                "arm": r.arm,
                "condition": r.condition.label,
                "metric": text.style(r.metric).label,
                "delta": text.signed(d.mean, decimals),
                "interval": text.interval(d, decimals),
                "won": f"{100 * d.won:.0f} %",
                "p": "" if r.p_holm is None else ("< 0.001" if r.p_holm < 0.001 else f"{r.p_holm:.3f}"),
                "n": f"{'–' if scores.arm(r.arm).seedless else d.seeds} × {d.images}",
                "level": {
                    "method": "method",
                    "checkpoints": "these checkpoints",
                    "image": "this image",
                    "none": "one value",
                }[d.level]
                if not scores.arm(r.arm).seedless
                else "not trained",
                "verdict": r.verdict,
                "margin": f"{r.equivalence} ({r.margin:g})" if r.equivalence and r.margin is not None else "",
            }
        )
    return rows


def _states(scores: Scores) -> list[tuple[str, int]]:
    states = [trial.state for arm in scores.arms for trial in arm.trials]
    return [(state, states.count(state)) for state in STATES if state in states]


def _signature_warnings(scores: Scores, store: Store, states: Mapping[str, str]) -> list[str]:
    """Return what the plan could not know before the runs: results of one table from machines that round differently."""
    if any("signature" in warning for warning in scores.plan.warnings):
        return []
    keys = [key for key, state in states.items() if state == "done"]
    stored = [read_json(store.stage(key) / "stage.json") or {} for key in keys]
    signatures = count_signatures([record for record in stored if "signature" in record])
    if signatures < 2:
        return []
    return [f"The stages come from {signatures} numerics signatures ({SIGNATURE}): this report mixes them."]


def _stages(scores: Scores, by_key: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the stages in the plan's order, counted by name and state as the store has them now."""
    names = list(dict.fromkeys(s.name for s in scores.plan.stages.values()))
    out = []
    for name in names:
        states = [by_key[key] for key, stage in scores.plan.stages.items() if stage.name == name]
        out.append({"name": name, "n": len(states), "states": [(s, states.count(s)) for s in STATES if s in states]})
    return out


def _held(scores: Scores, store: Store) -> list[str]:
    """Return the units that run where this process cannot see them, each with its holder."""
    stages = {store.stage(key): f"stage {stage.name} {key[:12]}" for key, stage in scores.plan.stages.items()}
    trials = {store.trial(trial.key): f"trial {trial.key[:12]}" for arm in scores.arms for trial in arm.trials}
    held = {name: store.unseen_holder(folder) for folder, name in {**stages, **trials}.items()}
    return [f"{name}: {holder}" for name, holder in held.items() if holder]
