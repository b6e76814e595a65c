"""The layout of an SR paper's table, and what a study table may leave out."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image
from rich.cells import cell_len

from drnbench import Axis, Crops, Evaluate, Table, Tradeoff
from drnbench.config.study import Study
from drnbench.outputs import compose, report
from drnbench.render.latex_text import escape
from drnbench.render.markdown import terminal
from drnbench.render.paper import CLASS
from drnbench.render.table import CaptionedTable, Column, Entry, Row
from drnbench.render.text import plain, slug
from drnbench.store import Store
from tests.fake_store import fill, plan_of
from tests.outputs.conftest import composed, rho_study
from tests.outputs.shapes import LOSS, one_stage
from tests.outputs.test_latex import compiled

SETS = [Evaluate(name, metrics=("psnr_y", "ssim_y")) for name in ("Set5", "photos/test")]
pytestmark = pytest.mark.usefixtures("unrendered")


def scale_study(**fields: Any) -> Study:
    wanted: dict[str, Any] = {
        "base": one_stage(evaluate=SETS, method="drn", model={"n_feats": 8}),
        "axes": [Axis("scale", [2, 4]), Axis("loss", LOSS)],
        "seeds": 3,
        "baseline": {"loss": "off"},
        "outputs": [Table(rows="loss", layout="paper", costs=("parameters",), peers=("RCAN", "SAN"))],
    }
    return Study(**{**wanted, **fields})


def first(store: Store, study: Study, effect: Any = None) -> CaptionedTable:
    fill(store, plan_of(study), effect or (lambda arm, kernel: 0.3 * ("on" in arm.name)), costs=True)
    return compose.tables(*composed(store))[0]


def cells(table: CaptionedTable) -> list[list[str]]:
    return [[entry.text for entry in row.entries] for row in table.rows]


def test_the_rows_of_a_paper_are_scale_method_costs_and_one_cell_a_test_set(store: Store) -> None:
    table = first(store, scale_study())
    assert [(column.group, column.header) for column in table.columns] == [
        ("", "scale"), ("", "method"), ("", "Params (M)"), ("Set5", "PSNR-Y / SSIM-Y"), ("photos-test", "PSNR-Y / SSIM-Y"),
    ]  # fmt: skip
    labels = [(row[0], row[1]) for row in cells(table)]
    assert labels == [
        ("×2", "bicubic"), ("", "off (baseline)"), ("", "on"),  # nothing that is published at x2 is here
        ("×4", "bicubic"), ("", "off (baseline)"), ("", "on"), ("", "RCAN‡"), ("", "SAN‡"),
    ]  # fmt: skip


@pytest.mark.parametrize("layout", ["paper", "study"])
def test_published_methods_have_the_parameters_that_their_source_states(
    store: Store, layout: Literal["paper", "study"]
) -> None:
    axes = [Axis("loss", LOSS)]
    output = Table(rows="loss", layout=layout, costs=("parameters", "macs"), peers=("RCAN", "SAN"))
    table = first(store, scale_study(axes=axes, outputs=[output]))
    heads = [column.header for column in table.columns]
    names = 0 if layout == "study" else 1
    sizes = {row.entries[names].text.rstrip("‡"): row for row in table.rows}
    (at,) = (n for n, head in enumerate(heads) if head.startswith("Params"))
    shown = {name: sizes[name].entries[at].text for name in ("RCAN", "SAN")}
    assert shown in ({"RCAN": "15.6", "SAN": "15.8"}, {"RCAN": "15600", "SAN": "15800"})
    (at,) = (n for n, head in enumerate(heads) if "MACs" in head)
    assert sizes["RCAN"].entries[at].text == "–", "no source states multiply-adds of this input"


def test_each_number_of_a_cell_has_its_own_rank_and_star(store: Store) -> None:
    table = first(store, scale_study())
    trained = [row.entries[3] for row in table.rows if row.entries[1].text == "on"]
    for entry in trained:
        psnr, ssim = entry.parts
        assert psnr.bold
        assert psnr.mark == "*"
        assert "±" not in psnr.text
        assert len(ssim.main.partition(".")[2]) == 4
    assert "* better, † worse than loss=off" in table.notes
    assert "differences and their intervals are in summary.csv" in table.notes
    assert "‡ Published: as printed in" in table.notes


def test_a_lost_seed_is_said_in_the_cell(store: Store) -> None:
    study = scale_study(axes=[Axis("loss", LOSS)], outputs=[Table(rows="loss", layout="paper", metrics=("psnr_y",))])
    fill(
        store, plan_of(study), lambda arm, kernel: 0.0,
        change=lambda trial, rows: rows[(rows["metric"] != "psnr_y") | (rows["dataset"] != "Set5")] if trial.trial.seed == 1 else rows,
    )  # fmt: skip
    (table,) = compose.tables(*composed(store))[:1]
    assert all("2 of 3 seeds" in row.entries[2].text for row in table.rows if row.entries[1].text != "bicubic")


def test_a_table_shows_what_it_is_asked_for(store: Store) -> None:
    short = Table(rows="adapt.rho", delta=False, half_width=False, seeds=False, caption="Adaptation without pairs.")
    table = first(store, rho_study(outputs=[short]))
    assert table.caption == "Adaptation without pairs."
    assert not [column for column in table.columns if "Δ" in column.header or column.header == "seeds"]
    assert "±" not in " ".join(text for row in cells(table) for text in row)


def test_a_table_shows_marks_of_equivalence_or_not(store: Store) -> None:
    tables = [Table(rows="adapt.rho"), Table(rows="adapt.rho", equivalence=False)]
    first(store, rho_study(outputs=tables, margin={"psnr_y": 0.5}), lambda arm, kernel: 0.0)
    marked, plain_table = compose.tables(*composed(store))[:2]
    marks = ["".join(entry.mark for row in table.rows for entry in row.entries) for table in (marked, plain_table)]
    assert "≈" in marks[0]
    assert "≈" in marked.notes
    assert "≈" not in marks[1] + plain_table.notes


def test_the_caption_is_the_first_sentence_of_the_question_and_the_notes_have_the_rest(store: Store) -> None:
    question = "Do unpaired images help? They come from another camera."
    fill(store, plan_of(rho_study(), question=question))
    table = compose.tables(*composed(store))[0]
    assert table.caption == "Do unpaired images help?"
    assert table.notes.startswith("They come from another camera. Scores on photos-test")


SOME = settings(deadline=None, max_examples=20)
LETTERS = "abÅ中ρ_%$<"


@SOME
@given(
    st.lists(st.text(LETTERS, max_size=70), min_size=1, max_size=3),
    st.integers(1, 9),
    st.lists(st.integers(1, 30), min_size=1, max_size=5),
)
def test_a_table_in_a_terminal_has_80_columns_and_no_word_on_two_lines(
    labels: list[str], groups: int, digits: list[int]
) -> None:
    heads = [Column("arm", left=True), Column("seeds")]
    heads += [Column(f"Δ {n}", f"set {g}") for g in range(groups) for n in range(len(digits))]
    numbers = [Entry("1" * count, "[+0.1, +0.2]") for _ in range(groups) for count in digits]
    rows = tuple(Row((Entry(label), Entry("3"), *numbers)) for label in labels)
    text = terminal(CaptionedTable("wide", "A table.", tuple(heads), rows))
    lines = text.splitlines()
    assert max(map(cell_len, lines)) <= 80
    words = {word for label in labels for word in plain(label).split()}
    shown = {word for line in lines for word in line.split()}
    assert all(
        word in shown or any(part.endswith("…") and word.startswith(part[:-1]) for part in shown) for word in words
    )
    dropped = any(f"Δ {n}" not in text.partition("Without")[0] for n in range(len(digits)))
    assert dropped == ("table_wide.md has all columns" in " ".join(lines))


CLASSES = {
    "article, two columns": r"\documentclass[twocolumn]{article}\usepackage[textwidth=496pt,columnsep=22pt]{geometry}",
    "article": r"\documentclass{article}",
    "IEEEtran": r"\documentclass[conference]{IEEEtran}",
    "acmart": r"\documentclass[sigconf,nonacm]{acmart}",
    "elsarticle": r"\documentclass[5p,twocolumn]{elsarticle}",
}


NAMES = ("a_b%&#{}<script>", r"$\frac{a$", "中文方法", r"$\mathcal{L}_1$", "x" * 200)


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report with tables of every layout, figures and names of every kind."""
    tables = [Table(rows="loss", costs=("parameters", "macs")), Table(rows="loss", layout="paper", peers=("RCAN",)),
              Table(rows="loss", metrics=("psnr_y",), width="column"), Table(rows="loss", width="page")]  # fmt: skip
    arms = {name: {"pretrain.steps": 41 + n} for n, name in enumerate(NAMES)}
    study = scale_study(outputs=[*tables, Tradeoff(x="parameters"), Crops()], arms=arms)
    store = Store(tmp_path_factory.mktemp("paper"))
    fill(store, plan_of(study), costs=True, samples=True, sr_images=True, history=True)

    def save(figure: Figure, path: Path, **options: Any) -> None:
        size = tuple(round(72 * inches) for inches in figure.get_size_inches())
        Image.new("L", size, 200).save(path, options["format"], resolution=72)

    with mock.patch.object(Figure, "savefig", save):  # fonts in PDFs take longer than all else that a report does
        assert not report.write(store, "unpaired").failed
    return store.study("unpaired/quick")


@pytest.mark.real
def test_the_paper_includes_every_table_and_figure(paper: Path) -> None:
    text = (paper / "paper.tex").read_text(encoding="utf-8")
    for path in (*paper.glob("table_*.tex"), *paper.glob("figure_*.pdf")):
        assert f"{{{path.stem}}}" in text
    assert len(re.findall(r"\\label{fig:", text)) == text.count(r"\drnfigure{figure_")
    text = (paper / "table_loss.tex").read_text(encoding="utf-8")
    assert escape(NAMES[0]) in text
    assert NAMES[3] in text, "valid math stays math"
    assert escape(NAMES[1]).startswith(r"\$\textbackslash{}frac"), "broken math is text"
    assert escape(NAMES[1]) in text
    assert r"\drnglyphs{中文方法}{[U+4E2D U+6587 U+65B9 U+6CD5]}" in text


@pytest.mark.real
@pytest.mark.parametrize("name", CLASSES)
def test_the_paper_compiles_in_the_classes_of_papers_and_nothing_is_too_wide(paper: Path, name: str) -> None:
    kpsewhich, document_class = shutil.which("kpsewhich"), f"{name.partition(',')[0]}.cls"
    if kpsewhich and not subprocess.run([kpsewhich, document_class], capture_output=True, check=False).stdout:
        pytest.skip(f"{document_class} is not installed: apt-get install texlive-publishers")
    text = (paper / "paper.tex").read_text(encoding="utf-8")
    assert text.count(CLASS) == 1
    log = compiled(paper, text.replace(CLASS, CLASSES[name]), f"{slug(name)}.tex")
    for complaint in ("Overfull", "Missing character", "Float too large"):
        assert complaint not in log


@pytest.mark.real
def test_the_figure_as_tikz_compiles_where_the_paper_names_it(paper: Path) -> None:
    text = (paper / "paper.tex").read_text(encoding="utf-8")
    (line,) = re.findall(r"% (\\input\{figure_crops\w*\}) .* needs (\S+)\n\\drnfigure\{figure_crops\}", text)
    include, packages = line
    body = f"\\begin{{document}}\\begin{{figure*}}{include}\\end{{figure*}}\\end{{document}}"
    log = compiled(paper, f"{CLASS}\n\\usepackage{{graphicx}}\n{packages}\n{body}", "spy.tex")
    for complaint in ("Overfull", "Missing character", "Float too large", "undefined"):
        assert complaint not in log


@pytest.mark.real
def test_the_paper_shows_names_of_other_scripts_by_xelatex(paper: Path) -> None:
    xelatex = shutil.which("xelatex")
    if xelatex is None:
        pytest.skip("xelatex is not installed: apt-get install texlive-xetex fonts-wqy-microhei")
    command = [xelatex, "-interaction=nonstopmode", "-halt-on-error", "-jobname=xe", "paper.tex"]
    run = subprocess.run(command, cwd=paper, capture_output=True, text=True, errors="replace", check=False)
    assert run.returncode == 0, run.stdout[-2000:]
    assert "Missing character" not in run.stdout
