"""The contents of a report: what the outputs of a study give, in order and under unique names."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from pydantic import ValidationError

from drnbench.config.trial import explain
from drnbench.outputs import captions, long_names, macros, outputs
from drnbench.outputs.base import Output, StudyResults
from drnbench.outputs.headline import sentences
from drnbench.render import style, text
from drnbench.render.style import CaptionedFigure
from drnbench.render.table import CaptionedTable
from drnbench.results.costs import read_costs
from drnbench.results.plan_record import PlanRecord
from drnbench.results.scores import Scores
from drnbench.results.summary import summarise
from drnbench.store import Store

Named = TypeVar("Named", CaptionedTable, CaptionedFigure)


def results_of(scores: Scores, store: Store) -> StudyResults:
    """Return the results of a study whose scores are read."""
    return StudyResults(scores, summarise(scores), read_costs(scores, store), store)


def outputs_of(plan: PlanRecord) -> tuple[list[Output], list[str]]:
    """Return the outputs of a study in the order of its report: those that it declares and the automatic ones.

    Returns:
        The outputs, and a warning for each declared one that is not installed here or that another version recorded.

    """
    declared, warnings = list[Output](), list[str]()
    for record in plan.outputs:
        kind, fields = record["kind"], {name: value for name, value in record.items() if name != "kind"}
        if kind not in outputs:
            warnings.append(f"an output of this study is left out: no output {kind!r} is installed here")
            continue
        try:
            # As JSON, in which a tuple may be a list.
            declared.append(outputs.get(kind).model_validate_json(json.dumps(fields)))
        except ValidationError as error:
            warnings.append(f"an output of this study is left out: {kind}: {explain(error)}")
    kinds = {type(output) for output in declared}
    registered = (outputs.get(name) for name in outputs.list())
    automatic = [kind() for kind in registered if kind.automatic and kind not in kinds]
    return sorted([*declared, *automatic], key=lambda output: output.position), warnings


def tables(study: StudyResults, shown: Sequence[Output]) -> list[CaptionedTable]:
    """Return the tables of some outputs."""
    names = long_names.long_names(study.scores)
    return [long_names.in_table(table, names) for table in _unique(t for output in shown for t in output.tables(study))]


def figures(study: StudyResults, shown: Sequence[Output]) -> list[CaptionedFigure]:
    """Return the figures of some outputs, in the style of a report."""
    with style.styled():
        names = long_names.long_names(study.scores)
        figures = _unique(figure for output in shown for figure in output.figures(study))
        overlap = captions.overlap(study.scores)
        figures = [replace(figure, caption=" ".join([figure.caption, *overlap])) for figure in figures]
        return [long_names.in_figure(figure, names) for figure in figures]


def headline(study: StudyResults, shown: Sequence[Output]) -> str:
    """Return what a study shows, in one to three sentences, for a terminal (ASCII minus)."""
    return text.plain(" ".join(sentences(study, shown)))


def macros_tex(study: StudyResults, shown: Sequence[Output]) -> str:
    """Return the text of macros.tex."""
    return macros.render(
        study,
        (group for output in shown for group in output.macros(study)),
        (line for name in outputs.list() for line in outputs.get(name).quantities),
    )


def _unique(items: Iterable[Named | None]) -> list[Named]:
    """Return what there is, with a number at names that are taken: `rho`, `rho_2`."""
    named: dict[str, Named] = {}
    for item in items:
        if item is None:
            continue
        name, n = item.name, 1
        while name in named:
            n += 1
            name = f"{item.name}_{n}"
        named[name] = replace(item, name=name)
    return list(named.values())
