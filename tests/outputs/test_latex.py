from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.text import Text

from drnbench import Table, Tradeoff
from drnbench.config.study import Axis, Study
from drnbench.config.trial import Evaluate
from drnbench.outputs import compose, macros, report
from drnbench.outputs.base import Macros, StudyResults
from drnbench.render import math_text, style
from drnbench.render.latex_text import breakable, escape
from drnbench.render.spelling import letters, mark, shortened
from drnbench.store import Store
from tests.fake_store import PRETRAIN, base, fill, plan_of
from tests.outputs.conftest import composed, gain, rho_study
from tests.outputs.shapes import adapt_study, dual_study, gap_study
from tests.outputs.test_published_columns import published_study

pytestmark = pytest.mark.usefixtures("unrendered")


def test_escape() -> None:
    assert escape("a_b & 5 % of λ×ρ ± Δ") == r"a\_b \& 5 \% of $\lambda$$\times$$\rho$ $\pm$ $\Delta$"
    assert escape("two\n\nlines") == "two lines"
    assert escape("\\") == r"\textbackslash{}"
    assert escape("超级 ok Þ") == "[U+8D85 U+7EA7] ok [U+00DE]"
    assert breakable("a" * 60 + " b").replace("\u200b", "") == "a" * 60 + " b"
    assert breakable("a" * 60 + " b").startswith("aa\u200baa")
    assert breakable("anisotropic:angle=45.0,sigma_x=3.0") == "anisotropic:angle=45.0,sigma_x=3.0"


@pytest.mark.parametrize(
    "formula",
    [
        r"$\mathcal{L}_1$", "$x_1$", r"$\lambda = 0.1$", r"$\frac{a}{b}$", r"$\hat{x}'_{i,j}$", r"$\rho \to 0$", r"$\|x\|^2_2$",
        r"$\mathbb{R}^{3 \times 3}$", r"$\text{ours}$",
    ],
)  # fmt: skip
def test_formulas_stay_formulas(formula: str) -> None:
    assert escape(f"50 % {formula}") == rf"50 \% {formula}"


@pytest.mark.parametrize(
    "words",
    [
        r"$\frac{a$", "$5 and $6", "$x_1_2$", "$x^2'$", r"$x_\mathcal{L}$", "$a & b$", "$50%$", r"$\undefined$", "$}{$", "$x^$",
        "$ $", "$$",
        r"$\text{a_b}$", "$中$", r"$a\$", r"$\\$", r"$x_\max$", r"$x^\,$", r"$x_\ y$", r"$\lambda_\sum$", r"$x^ \dots$",
    ],
)  # fmt: skip
def test_what_is_no_formula_is_text(words: str) -> None:
    assert not re.search(r"(?<!\\)\$(?!\\)", re.sub(r"\$\^{.*?}\$", "", escape(words)))


@given(
    st.text(alphabet=r"$\{}_^'ab1 ,%&#", max_size=12), st.sampled_from(["mathcal", "frac", "alpha", "sqrt", "nothing"])
)
def test_formulas_have_balanced_braces_and_one_script_of_a_kind(words: str, command: str) -> None:
    for is_math, part in math_text.split(f"{words}$\\{command}{{{words}}}$"):
        if is_math:
            plain = re.sub(r"\\[^A-Za-z]", "x", part)
            assert plain.count("{") == plain.count("}")
            assert not re.search(r"[%&#]|_[A-Za-z0-9]_|\^[A-Za-z0-9]\^|[_^]\$", plain)


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
        ("Müller–Ångström", "MullerAngstrom"), ("Straße", "Strasse"), ("ά", "Alpha"), ("жук", "Zheuka"),
        ("ひらがな", "Hiragana"), ("한국", "Hangug"), ("中文", "UeocnUgfih"), ("🚀", "Rocket"), ("*", "Asterisk"), ("", "Empty"),
    ],
)  # fmt: skip
def test_letters(words: str, name: str) -> None:
    assert letters(words) == name


@given(st.text(max_size=300))
def test_any_text_has_a_name_of_letters_and_a_short_form(text: str) -> None:
    assert re.fullmatch("[A-Za-z]+", letters(text))
    assert re.fullmatch("[a-z]{4}", mark(text))
    assert len(shortened(text)) <= 60


@given(st.lists(st.characters(categories=("Lo",)), min_size=1, max_size=2, unique=True))
def test_letters_of_other_scripts_are_not_dropped(characters: list[str]) -> None:
    assert letters(characters[0]) != "Empty"
    ideographs = [c for c in characters if "\u4e00" <= c <= "\u9fff"]
    assert len({letters(c) for c in ideographs}) == len(ideographs)


NAMES = (
    "中文方法", "另一个", "Müller–Ångström", "Muller-Angstrom", "$x_1$", "x 1", "50 % a_b & #1 ~^\\", "***", "Þórður 🚀 жук",
    "a" * 200, "a" * 199 + "b",
)  # fmt: skip


def named_arms(names: Sequence[str], **fields: Any) -> Study:
    """A study with an arm of each name, worth 0.1 dB more than the one before it."""
    arms = {name: {"adapt.steps": 21 + n} for n, name in enumerate(names)}
    axes = [Axis("adapt.rho", [0, 0.3], label="ρ")]
    return rho_study(axes=axes, arms=arms, control=None, **fields)


def means_of(store: Store, names: Sequence[str]) -> dict[str, list[str]]:
    """The values of the macros of the PSNR on bd, by the arm that the line above them names."""
    study = named_arms(names, outputs=[])
    fill(store, plan_of(study), lambda arm, kernel: 0.1 * names.index(arm.name) if arm.name in names else 0.0, images=2)
    text = compose.macros_tex(*composed(store))
    return {
        name: re.findall(rf"% {re.escape(name)}, photos-test, bd ×4, psnr_y;.*\n\\newcommand{{\\(\w+)}}{{(.*)}}", text)
        for name in names
    }


@pytest.mark.real
def test_every_arm_name_has_macros_of_its_own(store: Store) -> None:
    means = means_of(store, NAMES)
    commands = [command for ((command, _),) in means.values()]
    assert len(set(commands)) == len(NAMES)
    values = [float(re.sub("[^0-9.]", "", value)) for ((_, value),) in means.values()]
    assert values == sorted(values)


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    store = Store(tmp_path_factory.mktemp("store"))
    fill(store, plan_of(rho_study(outputs=[])), images=2)
    return composed(store)[0]


@given(st.lists(st.text(max_size=12), min_size=1, max_size=8, unique=True))
def test_different_names_have_different_commands_in_any_order(scored: StudyResults, names: list[str]) -> None:
    def commands(order: Sequence[str]) -> dict[str, str]:
        """The command of each name, which its body numbers."""
        things = [Macros(name, {"Thing": str(names.index(name))}, "a thing") for name in order]
        pairs = re.findall(r"\\newcommand\{\\(drnThing[A-Za-z]+)\}\{(\d+)\}", macros.render(scored, things, ()))
        return {names[int(body)]: command for command, body in pairs}

    forward = commands(names)
    assert len(set(forward.values())) == len(names)
    assert commands(names[::-1]) == forward


def test_a_name_that_two_arms_would_share_is_neither_of_theirs(store: Store, tmp_path: Path) -> None:
    """A paper's command must not silently become another arm's when an arm is added."""
    alone = means_of(store, ["x 1"])["x 1"][0][0]
    both = means_of(Store(tmp_path / "grown"), ["$x_1$", "x 1"])
    assert alone not in {command for ((command, _),) in both.values()}
    more = means_of(Store(tmp_path / "more"), ["x-1", "$x_1$", "x 1"])
    assert more["x 1"][0][0] == both["x 1"][0][0]


@pytest.mark.real
def test_a_table_with_names_of_every_kind_compiles(store: Store) -> None:
    fill(store, plan_of(named_arms(NAMES)))
    report.write(store, "unpaired")
    folder = store.study("unpaired/quick")
    log = compiled(folder, re.sub(r"Text .*\n", "", DOCUMENT))
    for complaint in ("Missing character", "Float too large"):
        assert complaint not in log
    table = (folder / "table_rho.tex").read_text()
    labels = [line.partition(" & ")[0] for line in table.splitlines() if line.startswith("{}")]
    assert len(set(labels)) == len(NAMES) + 3
    assert "a" * 200 in table.replace(escape("\u200b"), "")  # whole in the caption


@pytest.mark.real
@pytest.mark.parametrize("letter", ["W", "a", "é", "i", "_", "Ω"])
def test_no_name_is_too_long_for_a_caption(store: Store, letter: str) -> None:
    fill(store, plan_of(named_arms([letter * 200, letter * 61, f"x {letter * 199}"])))
    report.write(store, "unpaired")
    folder = store.study("unpaired/quick")
    wide = DOCUMENT.replace(
        "{booktabs}", "{booktabs,graphicx}"
    )  # with it, columns of a table are scaled where they are wide
    for document in (wide, wide.replace("twocolumn", "").replace("[textwidth=496pt", "[textwidth=345pt")):
        assert "Overfull" not in compiled(folder, re.sub(r"Text .*\n", "", document))


@pytest.mark.real
def test_figures_write_names_as_they_are(store: Store) -> None:
    names = ["$x_1$", "$\\frac$", "中文", "a" * 200]
    fill(store, plan_of(named_arms(names, outputs=[Tradeoff(x="parameters")])), costs=True, samples=True, history=True)
    study, outputs = composed(store)
    for figure in compose.figures(study, outputs):
        figure.figure.draw_without_rendering()
        texts = [text.get_text().replace("\n", " ") for text in figure.figure.findobj(Text)]
        if figure.name in {"figure_strip", "figure_training", "figure_psnr_y_against_parameters"}:
            for label in (r"\$x_1\$", r"\$\frac\$", style.legible("中文")):
                assert any(label in text for text in texts), (figure.name, label)
            assert "a" * 200 in figure.caption


def test_macros_have_unique_names_of_letters(filled: Store) -> None:
    report.write(filled, "unpaired")
    text = (filled.study("unpaired/quick") / "macros.tex").read_text()
    names = re.findall(r"\\newcommand\{\\(\w+)\}", text)
    assert len(names) == len(set(names))
    assert all(re.fullmatch("[A-Za-z]+", name) for name in names)
    assert re.search(r"\\newcommand\{\\drnDeltaTruePairsBdPsnrY\}\{\\ensuremath\{\+0\.\d{3}\}\}", text)
    assert {"drnDeltaLowTruePairsBdPsnrY", "drnDeltaHighTruePairsBdPsnrY"} <= set(names)


def test_numbers_that_are_not_there_yet_are_question_marks(store: Store) -> None:
    fill(store, plan_of(rho_study()), gain, done=lambda t: t.arm.name != "true pairs")
    report.write(store, "unpaired")
    text = (store.study("unpaired/quick") / "macros.tex").read_text()
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


def compiled(folder: Path, document: str, name: str = "document.tex") -> str:
    """Return what pdflatex says of a paper that compiles."""
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed: apt-get install texlive-latex-recommended")
    (folder / name).write_text(document, encoding="utf-8")
    run = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", name],
        cwd=folder, capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-2000:]
    return run.stdout


@pytest.mark.real
def test_latex_sets_each_formula_that_is_taken_for_one(tmp_path: Path) -> None:
    commands = [f"\\{name}" for name in (*",;:!|{}%#&_ ", *sorted(math_text.SYMBOLS))]
    uses = [use.replace("@", command) for command in commands for use in ("a @ b", "x_@", "x^@", "x_{@}", r"\hat{@}'")]
    formulas = [f"${use}$" for use in uses if math_text.valid(use)]
    assert {r"$x^\prime$", r"$x_\lambda$", r"$x_{\max}$"} < set(formulas)
    compiled(tmp_path, re.sub(r"\\input.*|Text .*", "", DOCUMENT).replace(r"\end{", "\n\n".join(formulas) + "\n\\end{"))


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
    folder = store.study(f"{shape}/quick")
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
        baseline={"pretrain.lam": 0.0}, subject={}, outputs=[Table(rows="pretrain.lam", metrics=("psnr_y",))], seeds=1,
    )  # fmt: skip
    fill(store, plan_of(study, "long"), lambda arm, kernel: 0.0)
    report.write(store, "long")
    folder = store.study("long/quick")
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
    folder = store.study("unpaired/quick")
    log = compiled(folder, DOCUMENT)
    for complaint in ("Overfull", "Missing character", "Float too large"):
        assert complaint not in log
