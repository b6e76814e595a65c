"""What outputs of any kind give to a report: order, names, sentences, macros, and warnings in place of failures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from drnbench import Curve, Table
from drnbench.config.study import build
from drnbench.errors import UsageError
from drnbench.outputs import compose, outputs, report, stored_report
from drnbench.outputs.base import Macros, Output, StudyResults
from drnbench.render.style import COLUMN_IN, CaptionedFigure, new_figure
from drnbench.render.table import CaptionedTable
from drnbench.store import Store, read_json, write_json
from tests.fake_store import fill, plan_of
from tests.outputs.conftest import composed, gain, rho_study


@pytest.fixture
def register() -> Iterator[Any]:
    """Register outputs for one test."""
    outputs.list()  # the built-in ones
    before = dict(outputs._entries)
    yield outputs.register
    outputs._entries.clear()
    outputs._entries.update(before)


class Note(Output):
    """Gives one of everything."""

    text: str = "A note."

    def tables(self, study: StudyResults) -> list[CaptionedTable]:
        return [CaptionedTable.plain("note", self.text, ["arm", "n"], [[arm.name, "1"] for arm in study.scores.arms])]

    def figures(self, study: StudyResults) -> list[CaptionedFigure | None]:
        figure = new_figure(COLUMN_IN, 1.0)
        figure.subplots()
        return [None, CaptionedFigure("figure_note", self.text, figure)]

    def sentences(self, study: StudyResults) -> list[str]:
        return [self.text, ""]

    def macros(self, study: StudyResults) -> list[Macros]:
        return [Macros("ρ=0.3", {"Note": "1"}, self.text)]


def of(store: Store, *declared: Output) -> tuple[StudyResults, list[Output]]:
    fill(store, plan_of(rho_study(outputs=declared)), gain)
    return composed(store)


def test_everything_that_an_output_gives_is_in_the_report(store: Store, register: Any) -> None:
    register("note")(Note)
    fill(store, plan_of(rho_study(outputs=[Note(), Note(text="Another note.")])), gain)
    made = report.write(store, "unpaired")
    folder = store.study("unpaired/quick")
    # The table that every report has stands first.
    assert [p.name for p in made.files if p.suffix == ".md"] == ["table_rho.md", "table_note.md", "table_note_2.md"]
    assert {"figure_note.png", "figure_note_2.png"} <= {p.name for p in made.files}
    assert (folder / "table_note.csv").read_text(encoding="utf-8").splitlines()[:2] == [
        "arm,n,settings",
        'ρ=0,1,"unpaired, profile quick"',
    ]
    macros = (folder / "macros.tex").read_text(encoding="utf-8")
    assert r"\newcommand{\drnNoteRhoZeroPointThree}{1}" in macros
    assert r"\newcommand{\drnNoteRhoZeroPointThreeAltA}{1}" in macros
    assert made.headline.endswith(" A note. Another note.")
    assert made.warnings == []


@pytest.mark.parametrize("position", ["opening", "before", "after", "instead"])
def test_sentences_stand_where_an_output_wants_them(store: Store, register: Any, position: Any) -> None:
    kind = type("Placed", (Note,), {"headline": position, "__module__": __name__})
    register("placed")(kind)
    headline = compose.headline(*of(store, kind()))
    compared = "The positive control is detected"
    if position == "instead":
        assert headline.startswith("A note. Of 12 differences in score to ρ=0: none significantly better, ")
    elif position == "after":
        assert headline.startswith(compared)
        assert headline.endswith(" A note.")
    else:
        assert headline.startswith(f"A note. {compared}")


def test_an_automatic_output_is_in_every_report_and_only_once(store: Store, register: Any) -> None:
    kind = type("Everywhere", (Note,), {"automatic": True, "position": -1, "__module__": __name__})
    register("everywhere")(kind)
    assert [table.name for table in compose.tables(*of(store))] == ["note", "rho"]
    assert compose.headline(*of(store, kind(text="Declared."))).endswith(" Declared.")


def test_an_output_is_read_as_it_was_declared(store: Store) -> None:
    declared = [Curve(x="adapt.rho", log=True), Table(rows="adapt.rho", metrics=("psnr_y",), costs=("macs",))]
    _, shown = of(store, *declared)
    assert shown[:2] == [declared[1], declared[0]]  # tables first


@pytest.mark.fast_variants(1)
@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"kind": "hologram", "x": "adapt.rho"}, ("'hologram'", "installed")),
        ({"kind": "curve", "x": "adapt.rho", "z": 1}, ("curve", "z")),
    ],
)
def test_an_output_that_cannot_be_had_is_a_warning(
    store: Store, record: dict[str, Any], words: tuple[str, ...]
) -> None:
    fill(store, plan_of(rho_study()), gain)
    path = store.study("unpaired/quick") / "plan.json"
    plan = read_json(path)
    write_json(path, {**plan, "outputs": [record, *plan["outputs"]]})
    made = report.write(store, "unpaired")
    (warning,) = made.warnings
    assert all(word in warning for word in words)
    assert "\n" not in warning
    assert warning.replace("'", "&#39;") in (store.study("unpaired/quick") / "report.html").read_text(encoding="utf-8")
    assert "figure_psnr_y_rho.png" in {p.name for p in made.files}
    current = stored_report.current(store, "unpaired/quick")
    assert current is not None
    assert current.warnings == made.warnings


@pytest.mark.parametrize("wrong", ["rho", {"x": "adapt.rho"}, Curve])
def test_what_is_no_output_is_refused(wrong: Any) -> None:
    study = rho_study()
    fields = {name: getattr(study, name) for name in type(study).model_fields}
    with pytest.raises(UsageError, match="outputs"):
        build({**fields, "outputs": [wrong]}, "s")


def test_an_output_without_a_name_is_refused() -> None:
    study = rho_study()
    fields = {name: getattr(study, name) for name in type(study).model_fields}
    nameless = type("Nameless", (Output,), {"__module__": __name__})
    with pytest.raises(UsageError, match=r"Nameless has no name.*outputs\.register"):
        build({**fields, "outputs": [nameless()]}, "s")


def test_a_study_keeps_its_outputs_when_it_is_copied_or_written() -> None:
    study = rho_study()
    assert study.model_copy(update={"seeds": 1}).outputs == study.outputs
    assert study.model_dump()["outputs"][1]["x"] == "adapt.rho"


def test_a_method_that_is_not_installed_is_reported_from_its_scores(store: Store) -> None:
    fill(store, plan_of(rho_study()), gain)
    path = store.study("unpaired/quick") / "plan.json"
    text = json.dumps(read_json(path)).replace('"method": "drn"', '"method": "elsewhere"')
    write_json(path, json.loads(text.replace('"scheme": "unpaired"', '"scheme": null')))
    assert report.write(store, "unpaired").headline
