from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drnbench import Table
from drnbench.config.study import Axis
from drnbench.config.trial import Evaluate
from drnbench.outputs import report
from drnbench.outputs.macros import letters
from drnbench.render.latex_text import escape
from drnbench.store import Store
from tests.fake_store import PRETRAIN, base, fill, plan_of
from tests.outputs.conftest import gain, rho_study
from tests.outputs.shapes import adapt_study, dual_study, gap_study
from tests.outputs.test_published_columns import published_study

pytestmark = pytest.mark.usefixtures("unrendered")


def test_escape() -> None:
    assert escape("a_b & 5 % of λ×ρ ± Δ") == r"a\_b \& 5 \% of $\lambda$$\times$$\rho$ $\pm$ $\Delta$"
    assert escape("two\n\nlines") == "two lines"
    assert escape("\\") == r"\textbackslash{}"
    assert escape("超 ok") == "? ok"


@given(st.text())
def test_escaped_text_is_safe_for_plain_pdflatex(text: str) -> None:
    out = escape(text)
    assert all(ord(c) < 0x180 for c in out)
    assert not re.search(r"(?<!\\)[%&#]", out)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("true pairs", "TruePairs"), ("psnr_y", "PsnrY"), ("bd", "Bd"), ("ρ=0.3", "RhoZeroPointThree"),
        ("bicubic:border=replicate", "BicubicBorderReplicate"), ("bicubic x4", "BicubicXFour"), ("no-dual", "NoDual"),
    ],
)  # fmt: skip
def test_letters(words: str, name: str) -> None:
    assert letters(words) == name


def test_macros_have_unique_names_of_letters(filled: Store) -> None:
    report.write(filled, "unpaired")
    text = (filled.study("unpaired") / "macros.tex").read_text()
    names = re.findall(r"\\newcommand\{\\(\w+)\}", text)
    assert len(names) == len(set(names))
    assert all(re.fullmatch("[A-Za-z]+", name) for name in names)
    assert re.search(r"\\newcommand\{\\drnDeltaTruePairsBdPsnrY\}\{\\ensuremath\{\+0\.\d{3}\}\}", text)
    assert {"drnDeltaLowTruePairsBdPsnrY", "drnDeltaHighTruePairsBdPsnrY"} <= set(names)


def test_numbers_that_are_not_there_yet_are_question_marks(store: Store) -> None:
    fill(store, plan_of(rho_study()), gain, done=lambda t: t.arm.name != "true pairs")
    report.write(store, "unpaired")
    text = (store.study("unpaired") / "macros.tex").read_text()
    assert r"\newcommand{\drnDeltaTruePairsBdPsnrY}{\textbf{??}}" in text


DOCUMENT = r"""
\documentclass[twocolumn]{article}
\usepackage[textwidth=496pt,textheight=650pt,columnsep=22pt]{geometry}
\usepackage{booktabs}
\begin{document}
\input{macros}
Text \drnDeltaTruePairsBdPsnrY, \drnMeanTruePairsBdPsnrY, \drnWonTruePairsBdPsnrY.
\input{table_rho}
\end{document}
"""


def compiled(folder: Path, document: str) -> str:
    """Return what pdflatex says of a paper that compiles."""
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed: apt-get install texlive-latex-recommended")
    (folder / "paper.tex").write_text(document)
    run = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
        cwd=folder, capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-2000:]
    return run.stdout


@pytest.mark.real
@pytest.mark.parametrize("shape", ["dual", "gap", "adapt", "published"])
def test_tables_of_every_shape_compile_and_fit(store: Store, shape: str) -> None:
    costs = ("parameters", "macs", "step_macs", "seconds")
    study = {
        "dual": lambda: dual_study(outputs=[Table(rows="loss", costs=costs), Table(rows="kernel", costs=costs)]),
        "gap": gap_study,
        "adapt": lambda: adapt_study(outputs=[Table(rows="training", costs=costs)]),
        "published": lambda: published_study(outputs=[Table(rows="network", costs=costs, peers=("RCAN", "SAN"))]),
    }[shape]()
    fill(store, plan_of(study, shape), lambda arm, kernel: 0.0, costs=True)
    report.write(store, shape)
    folder = store.study(shape)
    tables = "".join(f"\\input{{{path.stem}}}\n" for path in sorted(folder.glob("table_*.tex")))
    log = compiled(
        folder, re.sub(r"Text .*\n|\\input{table_rho}\n", "", DOCUMENT).replace("\\end{d", f"{tables}\\end{{d")
    )
    for complaint in ("Overfull", "Missing character", "Float too large"):
        assert complaint not in log


@pytest.mark.real
def test_a_table_longer_than_a_page_goes_on_in_a_second_float(store: Store) -> None:
    study = dual_study(
        base=base(stages=[PRETRAIN], evaluate=[Evaluate("photos/test")], method="drn"),
        axes=[Axis("pretrain.lam", [n / 100 for n in range(70)], label="λ")],
        baseline={"pretrain.lam": 0.0}, subject={}, outputs=[Table(rows="pretrain.lam")], seeds=1,
    )  # fmt: skip
    fill(store, plan_of(study, "long"), lambda arm, kernel: 0.0)
    report.write(store, "long")
    folder = store.study("long")
    assert (folder / "table_lam.tex").read_text().count("continued") == 1
    log = compiled(folder, re.sub(r"Text .*\n", "", DOCUMENT).replace("table_rho", "table_lam"))
    assert "Float too large" not in log


@pytest.mark.real
@pytest.mark.parametrize("sets", [1, 3])
def test_the_table_compiles_and_fits(store: Store, tmp_path: Path, sets: int) -> None:
    kernels = ["bd", "bicubic:border=replicate", "gaussian:sigma=2.4"][:sets]
    study = rho_study(
        base=base(evaluate=[Evaluate("photos/test", kernel=k) for k in kernels]),
        arms={"true pairs": {"adapt.scheme": "paired"}, "50 % more_steps & a λ": {"adapt.steps": 30}},
        axes=[Axis("adapt.rho", [0, 0.1, 0.3, 1.0], label="ρ"), Axis("adapt.lam", [0.1, 1], label="λ")],
        baseline={"adapt.rho": 0, "adapt.lam": 0.1},
        outputs=[Table(rows="adapt.rho")],
    )
    fill(store, plan_of(study, question="Does λ×ρ matter, by more than ±5 % & so on_?"), gain)
    report.write(store, "unpaired")
    folder = store.study("unpaired")
    log = compiled(folder, DOCUMENT)
    for complaint in ("Overfull", "Missing character", "Float too large"):
        assert complaint not in log
