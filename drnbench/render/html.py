"""report.html: one page that holds everything, pictures included, and can be mailed or printed."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from drnbench.render import text
from drnbench.render.style import CaptionedFigure
from drnbench.render.table import CaptionedTable, group_runs
from drnbench.results.provenance import Provenance
from drnbench.results.scores import Scores
from drnbench.results.summary import Results
from drnbench.store import Store, read_json
from drnbench.store.environment import SIGNATURE, count_signatures

STATES = ("done", "running", "missing", "interrupted", "lost", "damaged", "failed")


def render(
    scores: Scores,
    results: Results,
    tables: Sequence[CaptionedTable],
    figures: Sequence[CaptionedFigure],
    headline: str,
    store: Store,
    files: Sequence[Path],
    origin: Provenance,
    warnings: Sequence[str] = (),
) -> str:
    """Return the page; every string of the study is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("drnbench.render", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    folder = store.study(scores.plan.location)
    done, planned = scores.counts
    return environment.get_template("report.html.j2").render(
        plan=scores.plan,
        axes=[(axis.title, [text.shown(value, axis.path) for value in axis.values]) for axis in scores.plan.axes],
        baseline=scores.baseline_label if scores.baseline else "none",
        headline=headline.replace(" -", " −").replace("[-", "[−"),
        done=done,
        planned=planned,
        tables=[(table, group_runs(table.columns)) for table in tables],
        figures=[
            {
                "caption": f.caption,
                "name": f.name,
                "wide": f.figure.get_figwidth() > 5,
                "data": _data(folder / f"{f.name}.png"),
            }
            for f in figures
        ],
        effects=_effects(scores, results),
        confidence=scores.confidence,
        tests_at=scores.tests_at,
        margins=bool(scores.plan.margin),
        warnings=[*scores.plan.warnings, *_signature_warnings(scores, store), *warnings],
        exclusions=[(arm.name, seed, reason) for arm in scores.arms for seed, reason in arm.excluded],
        arms=scores.arms,
        failures=[(arm.name, t) for arm in scores.arms for t in arm.trials if t.message],
        states=_states(scores),
        stages=_stages(scores, store),
        held=_held(scores, store),
        files=[path.name for path in files],
        facts=origin.facts(),
        origin=origin,
    )


def _data(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


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


def _signature_warnings(scores: Scores, store: Store) -> list[str]:
    """Return what the plan could not know before the runs: results of one table from machines that round differently."""
    if any("signature" in warning for warning in scores.plan.warnings):
        return []
    keys = [key for key in scores.plan.stages if store.state(store.stage(key)) == "done"]
    stored = [read_json(store.stage(key) / "stage.json") or {} for key in keys]
    signatures = count_signatures([record for record in stored if "signature" in record])
    if signatures < 2:
        return []
    return [f"The stages come from {signatures} numerics signatures ({SIGNATURE}): this report mixes them."]


def _stages(scores: Scores, store: Store) -> list[dict[str, Any]]:
    """Return the stages in the plan's order, counted by name and state as the store has them now."""
    names = list(dict.fromkeys(s.name for s in scores.plan.stages.values()))
    out = []
    for name in names:
        states = [store.state(store.stage(k)) for k, s in scores.plan.stages.items() if s.name == name]
        out.append({"name": name, "n": len(states), "states": [(s, states.count(s)) for s in STATES if s in states]})
    return out


def _held(scores: Scores, store: Store) -> list[str]:
    """Return the units that run where this process cannot see them, each with its holder."""
    stages = {store.stage(key): f"stage {stage.name} {key[:12]}" for key, stage in scores.plan.stages.items()}
    trials = {store.trial(trial.key): f"trial {trial.key[:12]}" for arm in scores.arms for trial in arm.trials}
    held = {name: store.unseen_holder(folder) for folder, name in {**stages, **trials}.items()}
    return [f"{name}: {holder}" for name, holder in held.items() if holder]
