"""The report: tables, figures, LaTeX macros and one HTML page, from the store alone, also while a sweep runs.

    frame -> statistics -> summary -> tables, macros, figures, words -> html

`write` is all that other packages need. Every number goes through `summary`; what draws adds none.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from drnbench.store import Store, write_text

__all__ = ["Report", "write"]


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


def write(store: Store, name: str) -> Report:
    """Write every report of a study into its folder of the store and return what it says.

    Raises:
        UsageError: the store has no plan of that study, or a metric of it is not known here.

    """
    from drnbench.report import figures, frame, html, latex, macros, markdown, summary, tables, words

    scores = frame.read(store, name)
    folder = store.study(name)
    results = summary.summarise(scores)
    bodies = tables.bodies(scores, results)
    texts = {"summary.csv": summary.to_csv(results), "macros.tex": macros.render(scores, results)}
    for n, body in enumerate(bodies):
        label = name if n == 0 else f"{name}-{body.name}"
        texts[f"table_{body.name}.md"] = markdown.render(body)
        texts[f"table_{body.name}.tex"] = latex.render(body, label)
        texts[f"table_{body.name}.csv"] = summary.to_csv({(r.arm, r.place, r.metric): r for r in body.results})
    files = []
    for file, text in texts.items():
        write_text(folder / file, text)
        files.append(folder / file)
    with figures.styled():
        drawn = figures.draw(scores, results, store)
        for figure in drawn:
            files += figures.save(figure, folder)
    headline = words.headline(scores, results)
    page = folder / "report.html"
    write_text(page, html.render(scores, results, bodies, drawn, headline, store, [*files, page]))
    done, planned = scores.counts
    return Report(headline, markdown.terminal(bodies[0]), [*files, page], planned - done)
