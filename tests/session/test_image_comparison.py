from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import drnbench
from drnbench import UsageError
from drnbench.session.results import Results
from drnbench.store import Store
from tests.fake_store import fill, plan_of
from tests.outputs.conftest import gain, rho_study


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    store = Store(tmp_path_factory.mktemp("store"))
    fill(store, plan_of(rho_study()), gain, samples=True)
    return drnbench.load(store.root / "unpaired" / "quick")


def test_one_image_through_two_arms_has_pictures_and_scores(results: Results) -> None:
    comparison = results.compare("ρ=0.3", "ρ=0", image="img01")
    assert list(comparison.files) == ["LR", "ρ=0.3", "ρ=0", "HR"]
    np.testing.assert_array_equal(comparison["ρ=0"], np.asarray(Image.open(comparison.files["ρ=0"])))
    table = results.per_image.query("arm == 'ρ=0.3' and kernel == 'bd' and image == 'img01' and seed == 0")
    assert comparison.scores["ρ=0.3"] == pytest.approx(dict(zip(table["metric"], table["value"], strict=True)))
    page = comparison._repr_html_()
    assert page.count("<img") == 4
    assert "seed 0" in page
    assert "crop" in page, "it says that the pictures are crops"


def test_without_a_name_it_is_the_image_on_which_the_arms_differ_most(results: Results) -> None:
    chosen = results.compare("true pairs", "ρ=1", kernel="bicubic").name
    own = results.per_image.query("kernel == 'bicubic' and metric == 'psnr_y' and seed == 0 and image <= 'img02'")
    values = own.pivot_table("value", "image", "arm")
    assert chosen == (values["true pairs"] - values["ρ=1"]).abs().idxmax()


@pytest.mark.parametrize(
    ("arms", "fields", "message"),
    [
        (("ρ=7",), {}, "no arm 'ρ=7'.*ρ=0.1"),
        (("ρ=0",), {"image": "imag01"}, "no picture of 'imag01'.*img01"),
        (("ρ=0",), {"dataset": "Set99"}, "no test set Set99.*photos-test"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(
    results: Results, arms: tuple[str, ...], fields: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        results.compare(*arms, **fields)


def test_a_setting_names_the_only_arm_that_has_it(tmp_path: Path) -> None:
    axes = [drnbench.Axis("adapt.rho", [0, 0.3], label="ρ"), drnbench.Axis("adapt.lam", [0.1, 1], label="λ")]
    study = rho_study(axes=axes, baseline={"adapt.rho": 0, "adapt.lam": 0.1}, arms={}, control=None)
    fill(Store(tmp_path), plan_of(study), samples=True)
    results = drnbench.load(tmp_path / "unpaired" / "quick")
    assert list(results.compare("λ=1, ρ=0.3").files) == ["LR", "ρ=0.3, λ=1", "HR"]
    with pytest.raises(UsageError, match=r"'ρ=0.3' may be any of ρ=0.3, λ=0.1; ρ=0.3, λ=1"):
        results.compare("ρ=0.3")


def test_a_cell_shows_headline_and_main_table_and_no_name_is_code(tmp_path: Path) -> None:
    study = rho_study(arms={"<script>alert(1)</script>": {"adapt.steps": 30}}, control=None)
    fill(Store(tmp_path), plan_of(study), gain)
    results = drnbench.load(tmp_path / "unpaired" / "quick")
    page = results._repr_html_()
    assert "<script>" not in page
    assert re.search(r"<b>\d+\.\d+</b>", page), "the best is bold"
    assert results.headline.split()[0] in page
    with pytest.raises(UsageError, match=r"no figure 'nothing'.*psnr_y_rho"):
        results.figure("nothing")
