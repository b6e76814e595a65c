"""The report: tables, figures, LaTeX macros and one HTML page, from the store alone, also while a sweep runs.

    results.reading -> statistics -> summary, costs -> outputs -> render

Every number goes through `results.summary`. The plan names the study's outputs, the registry has their classes, and each
is asked for its tables, figures, sentences and macros.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from drnbench.outputs import captions, compose, page
from drnbench.outputs.base import Output, StudyResults
from drnbench.outputs.parts import Parts
from drnbench.outputs.sources import digest_of_sources
from drnbench.outputs.stored_report import Report, keep
from drnbench.render import fonts, html, latex, markdown, paper, style
from drnbench.render.style import CaptionedFigure
from drnbench.render.table import CaptionedTable, with_columns
from drnbench.results import costs, reading, summary
from drnbench.results.plan_record import location_of
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
    location = location_of(store, name)
    made_from = digest_of_sources(store, location)
    study, parts = compose.results_of(reading.read(store, location), store), Parts()
    declared, warnings = compose.outputs_of(study.scores.plan)
    shown = [parts.guarded(output) for output in declared]
    settings = study.scores.plan.settings
    folder = store.study(location)
    tables = parts.make("every table", lambda: compose.tables(study, shown), list[CaptionedTable]())
    headline = parts.make("the headline", lambda: compose.headline(study, shown), "")
    origin = read_provenance(study.scores, store)
    warnings += parts.make("the fonts of figures", lambda: fonts.lacking(_names(study.scores)), list[str]())
    files = list[Path]()
    label = _label(study.scores)
    labels = [label if n == 0 else f"{label}-{table.name}" for n, table in enumerate(tables)]
    as_latex = functools.cache(lambda n: latex.render(tables[n], labels[n]))
    for file, maker in _texts(study, shown, tables, as_latex, headline, origin).items():
        text = parts.make(file, maker, None)
        if text is not None:
            files.append(folder / file)
            # Synced together at the end.
            text = _in_context(text, study.scores) if file.endswith(".csv") else text
            write_text(files[-1], text, durable=False)
    figures = list[CaptionedFigure]()
    with style.styled():
        for figure in parts.make("every figure", lambda: compose.figures(study, shown), list[CaptionedFigure]()):
            kept = replace(figure, data=_in_context(figure.data, study.scores)) if figure.data else figure
            saved = parts.make(figure.name, functools.partial(style.save, kept, folder, origin.lines()), list[Path]())
            files += saved
            figures += [figure] if saved else []
    wanted = {record["kind"] for record in study.scores.plan.outputs}
    warnings += [line for kind, line in parts.absent.items() if kind in wanted]
    document = parts.make("paper.tex", lambda: _paper(study.scores, tables, as_latex, figures, headline, origin), None)
    if document is not None:
        files.append(folder / "paper.tex")
        write_text(files[-1], document, durable=False)
    files.append(folder / "report.html")
    shown_figures = parts.make(
        "the figures of report.html", lambda: html.page_figures(figures, folder), list[html.PageFigure]()
    )
    content = html.Content(tables, shown_figures, headline, files, origin, warnings, parts.failed)
    text = page.render(study, content, parts)
    if text is None:
        files.pop()
    else:
        write_text(files[-1], text, durable=False)
    done, planned = study.scores.counts
    first = parts.make("the first table", lambda: markdown.terminal(tables[0]) if tables else "", "")
    report = Report(
        f"{settings.study}, {settings.text}", headline, first, files, planned - done, warnings, parts.failed
    )
    keep(report, store, location, made_from)
    return report


def _texts(
    study: StudyResults,
    shown: Sequence[Output],
    tables: Sequence[CaptionedTable],
    as_latex: Callable[[int], str],
    headline: str,
    origin: Provenance,
) -> dict[str, Callable[[], str]]:
    """Return the text files of a report, each with what makes it; `as_latex` sets a table by its number."""
    comment = latex.comment(origin.lines())
    texts: dict[str, Callable[[], str]] = {
        "summary.csv": lambda: summary.to_csv(study.results),
        "summary.json": lambda: _summary_json(study, origin, headline),
        "costs.csv": lambda: costs.to_csv(study.costs),
        "macros.tex": lambda: comment + compose.macros_tex(study, shown),
    }
    for n, table in enumerate(tables):
        texts |= _texts_of_table(table, functools.partial(as_latex, n), origin)
    return texts


def _names(scores: Scores) -> list[str]:
    """Return the names that figures write: of arms, axes, test sets and images."""
    names = [arm.name for arm in scores.arms] + [axis.title for axis in scores.axes]
    images = {image for table in scores.tables.values() for image in map(str, table.columns)}
    return [*names, *(condition.dataset for condition in scores.conditions), *images]


def _texts_of_table(
    table: CaptionedTable, as_latex: Callable[[], str], origin: Provenance
) -> dict[str, Callable[[], str]]:
    return {
        f"table_{table.name}.md": lambda: markdown.render(table) + markdown.comment(origin.lines()),
        f"table_{table.name}.tex": lambda: latex.comment(origin.lines()) + as_latex(),
        f"table_{table.name}.csv": table.to_csv,
    }


def _paper(
    scores: Scores,
    tables: Sequence[CaptionedTable],
    as_latex: Callable[[int], str],
    figures: Sequence[CaptionedFigure],
    headline: str,
    origin: Provenance,
) -> str:
    label = _label(scores)
    written = [(f"table_{table.name}", as_latex(n)) for n, table in enumerate(tables)]
    return latex.comment(origin.lines()) + paper.render(captions.question(scores), headline, written, figures, label)


def _label(scores: Scores) -> str:
    """Return the label of a study's first table, and the beginning of all others."""
    settings = scores.plan.settings
    return f"{settings.study}-{settings.folder}" if settings.overrides else settings.study


def _in_context(text: str, scores: Scores) -> str:
    """Return a CSV file whose rows say which settings they are of and, where they have intervals, at which level."""
    intervals = {"half_width", "delta_low"}.intersection(text.partition("\n")[0].split(","))
    columns = {name: value for name, value in scores.csv_columns.items() if intervals or name == "settings"}
    return with_columns(text, columns)


def _summary_json(study: StudyResults, origin: Provenance, headline: str) -> str:
    """Return summary.json: headline, settings, origin, and the rows of summary.csv; infinity is the text "inf", and NaN null."""
    rows = [
        dict(
            zip(summary.COLUMNS, summary.row(result), strict=True),
            **study.scores.csv_columns,
            verdict=result.verdict,
            contender=study.scores.is_contender(study.scores.arm(result.arm)),
            higher_is_better=summary.higher_is_better(result.metric),
        )
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
