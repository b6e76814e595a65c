"""Letters of any script in figures: drawn where a font has them, otherwise by code point with the font to install."""

from __future__ import annotations

import pytest
from matplotlib.text import Text

from drnbench import Curve
from drnbench.config.study import Axis
from drnbench.outputs import compose, report
from drnbench.render import fonts, style
from drnbench.results import reading
from drnbench.store import Store
from tests.fake_store import fill, plan_of
from tests.outputs.conftest import rho_study


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch):
    """Set DRNBENCH_FIGURE_FONT, and hide the fonts of this machine, for one test."""

    def choose(name: str = "", *, alone: bool = True) -> None:
        monkeypatch.setenv(fonts.VARIABLE, name)
        if alone:
            monkeypatch.setattr(fonts, "FALLBACKS", ())
        fonts.families.cache_clear()
        fonts.glyphs.cache_clear()

    yield choose
    monkeypatch.undo()
    fonts.families.cache_clear()
    fonts.glyphs.cache_clear()


def test_what_no_font_has_is_a_code_point_and_the_font_to_install_is_named(chosen):
    chosen()
    assert style.legible("中文 ρ") == "[U+4E2D U+6587] ρ"
    (warning,) = fonts.lacking(["ρ=0.3", "中文", "a\n"])
    assert "中文" in warning
    assert "fonts-noto-cjk" in warning
    assert fonts.lacking(["λ=0.1", "ü – é"]) == []


@pytest.mark.real
def test_a_report_warns_of_letters_that_figures_cannot_draw(chosen, store: Store, unrendered):
    chosen()
    fill(store, plan_of(rho_study(arms={"中文方法": {"adapt.lam": 0.5}}, control=None)))
    made = report.write(store, "unpaired")
    assert made.failed == []
    assert any("fonts-noto-cjk" in warning for warning in made.warnings)


@pytest.mark.skipif(len(fonts.families()) < 2, reason="no font for ideographs on this machine")
@pytest.mark.filterwarnings("error::UserWarning")
def test_letters_of_other_fonts_are_drawn(chosen, store: Store, tmp_path):
    chosen(alone=False)
    axes = [Axis("adapt.rho", [0, 0.1, 0.3], label="比例")]
    fill(store, plan_of(rho_study(axes=axes, arms={}, control=None, outputs=[Curve(x="adapt.rho")])))
    results = compose.results_of(reading.read(store, "unpaired"), store)
    (figure,) = compose.figures(results, [Curve(x="adapt.rho")])
    with style.styled():
        style.save(figure, tmp_path)
    assert any("比例" in text.get_text() for text in figure.figure.findobj(Text))
    assert fonts.lacking(["比例"]) == []


def test_serif_is_the_letters_of_journals_and_an_unknown_family_is_named(chosen):
    chosen("serif")
    assert fonts.settings()["font.family"][0] == fonts.SERIF
    assert fonts.settings()["mathtext.fontset"] == "stix"
    chosen("No Such Font")
    assert fonts.families() == (fonts.SANS,)
    assert "No Such Font" in " ".join(fonts.lacking([]))
