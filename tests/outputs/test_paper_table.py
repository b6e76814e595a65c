"""The layout of an SR paper's table, and what a study table may leave out."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import pytest

from drnbench import Axis, Evaluate, Table
from drnbench.config.study import Study
from drnbench.outputs import compose, report
from drnbench.render.table import CaptionedTable
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


def test_the_caption_is_the_first_sentence_of_the_question_and_the_notes_have_the_rest(store: Store) -> None:
    question = "Do unpaired images help? They come from another camera."
    fill(store, plan_of(rho_study(), question=question))
    table = compose.tables(*composed(store))[0]
    assert table.caption == "Do unpaired images help?"
    assert table.notes.startswith("They come from another camera. Scores on photos-test")


CLASSES = {
    "article, two columns": r"\documentclass[twocolumn]{article}\usepackage[textwidth=496pt,columnsep=22pt]{geometry}",
    "article": r"\documentclass{article}",
    "IEEEtran": r"\documentclass[conference]{IEEEtran}",
    "acmart": r"\documentclass[sigconf,nonacm]{acmart}",
    "elsarticle": r"\documentclass[5p,twocolumn]{elsarticle}",
}


@pytest.mark.real
@pytest.mark.parametrize("name", CLASSES)
def test_tables_fit_the_classes_of_papers(store: Store, name: str) -> None:
    tables = [Table(rows="loss", costs=("parameters", "macs")), Table(rows="loss", layout="paper", peers=("RCAN",)),
              Table(rows="loss", metrics=("psnr_y",), width="column"), Table(rows="loss", width="page")]  # fmt: skip
    fill(store, plan_of(scale_study(outputs=tables)), costs=True)
    report.write(store, "unpaired")
    folder = store.study("unpaired/quick")
    body = "".join(f"\\input{{{path.stem}}}\n" for path in sorted(folder.glob("table_*.tex")))
    head = "\\title{A}\\author{B}\\maketitle" if name == "acmart" else ""
    kpsewhich = shutil.which("kpsewhich")
    if (
        kpsewhich
        and not subprocess.run([kpsewhich, f"{name.partition(',')[0]}.cls"], capture_output=True, check=False).stdout
    ):
        pytest.skip(f"the class {name} is not installed: apt-get install texlive-publishers")
    document = f"{CLASSES[name]}\\usepackage{{booktabs,graphicx}}\\begin{{document}}{head}\n{body}\\end{{document}}\n"
    log = compiled(folder, document)
    for complaint in ("Overfull", "Missing character", "Float too large"):
        assert complaint not in log
