"""The report: tables, figures, LaTeX macros and one HTML page, from the store alone, also while a sweep runs.

    results.reading -> statistics -> summary, costs -> outputs -> render

Every number goes through `results.summary`. The plan names the study's outputs, the registry has their classes, and each
is asked for its tables, figures, sentences and macros.
"""

from __future__ import annotations

import json
import math

from drnbench.outputs import compose
from drnbench.outputs.base import StudyResults
from drnbench.outputs.stored_report import Report, keep
from drnbench.render import html, latex, markdown, style
from drnbench.render.table import with_columns
from drnbench.results import costs, reading, summary
from drnbench.results.provenance import Provenance, read_provenance
from drnbench.results.scores import Scores
from drnbench.store import Store, write_text


def write(store: Store, name: str) -> Report:
    """Write every file of a report into its folder of the store and return what it says.

    Args:
        store: the results folder.
        name: of the study, or `<study>/<settings>` where it has several reports.

    Raises:
        UsageError: the store has no plan of that study, or several, or no class is registered for a metric of it.

    """
    study = compose.results_of(reading.read(store, name), store)
    shown, warnings = compose.outputs_of(study.scores.plan)
    settings, location = study.scores.plan.settings, study.scores.plan.location
    label = f"{settings.study}-{settings.folder}" if settings.overrides else settings.study
    folder, tables, headline = store.study(location), compose.tables(study, shown), compose.headline(study, shown)
    origin = read_provenance(study.scores, store)
    texts = {
        "summary.csv": summary.to_csv(study.results),
        "summary.json": _summary_json(study, origin, headline),
        "costs.csv": costs.to_csv(study.costs),
        "macros.tex": latex.comment(origin.lines()) + compose.macros_tex(study, shown),
    }
    for n, table in enumerate(tables):
        tex = latex.render(table, label if n == 0 else f"{label}-{table.name}")
        texts[f"table_{table.name}.md"] = markdown.render(table) + markdown.comment(origin.lines())
        texts[f"table_{table.name}.tex"] = latex.comment(origin.lines()) + tex
        texts[f"table_{table.name}.csv"] = table.to_csv()
    files = [folder / file for file in texts]
    for path, text in zip(files, texts.values(), strict=True):
        # Synced together at the end.
        write_text(path, _in_context(text, study.scores) if path.suffix == ".csv" else text, durable=False)
    figures = compose.figures(study, shown)
    with style.styled():
        for figure in figures:
            files += style.save(figure, folder, origin.lines())
    files.append(folder / "report.html")
    page = html.render(study.scores, study.results, tables, figures, headline, store, files, origin, warnings)
    write_text(files[-1], page, durable=False)
    done, planned = study.scores.counts
    report = Report(
        f"{settings.study}, {settings.text}", headline, markdown.terminal(tables[0]), files, planned - done, warnings
    )
    keep(report, store, location)
    return report


def _in_context(text: str, scores: Scores) -> str:
    """Return a CSV file whose rows say which settings they are of and, where they have intervals, at which level."""
    intervals = {"half_width", "delta_low"}.intersection(text.partition("\n")[0].split(","))
    columns = {name: value for name, value in scores.csv_columns.items() if intervals or name == "settings"}
    return with_columns(text, columns)


def _summary_json(study: StudyResults, origin: Provenance, headline: str) -> str:
    """Return summary.json: headline, settings, origin, and the rows of summary.csv; infinity is the text "inf", and NaN null."""
    rows = [
        dict(zip(summary.COLUMNS, summary.row(result), strict=True), **study.scores.csv_columns)
        for result in study.results.values()
    ]
    content = {
        "study": origin.settings.study,
        "question": study.scores.plan.question,
        "profile": origin.settings.profile,
        "overrides": dict(origin.settings.overrides),
        "headline": headline,
        "provenance": origin.record(),
        "results": [{column: _finite(value) for column, value in row.items()} for row in rows],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _finite(value: object) -> object:
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return None if math.isnan(value) else str(value)
