from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drnbench import report
from drnbench.report.latex import escape
from drnbench.report.macros import letters
from drnbench.store import Store
from drnbench.study import Axis, Table
from drnbench.trial import Evaluate
from tests.report.conftest import gain, rho_study
from tests.report.stores import base, fill, plan_of


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


@pytest.mark.real
@pytest.mark.parametrize("sets", [1, 3])
def test_the_table_compiles_and_fits(store: Store, tmp_path: Path, sets: int) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed: apt-get install texlive-latex-recommended")
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
    (folder / "paper.tex").write_text(DOCUMENT)
    run = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
        cwd=folder, capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-2000:]
    assert "Overfull" not in run.stdout
    assert "Missing character" not in run.stdout
