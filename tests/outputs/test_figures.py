from __future__ import annotations

from pathlib import Path

from PIL import Image

from drnbench import Curve
from drnbench.config.study import Axis
from drnbench.outputs import report
from drnbench.outputs.curve_panels import limits
from drnbench.render.lines import Point
from drnbench.store import Store
from tests.fake_store import fill, plan_of
from tests.outputs.conftest import gain, rho_study


def test_figures_come_as_vectors_and_pictures(store: Store) -> None:
    fill(store, plan_of(rho_study()), gain, samples=True, history=True)
    names = {p.name for p in report.write(store, "unpaired").files}
    for stem in ("figure_psnr_y_rho", "figure_training", "figure_strip"):
        assert {f"{stem}.pdf", f"{stem}.png"} <= names
        pdf = (store.study("unpaired") / f"{stem}.pdf").read_bytes()
        # Publishers refuse Type 3 fonts.
        assert b"/Type3" not in pdf
        with Image.open(store.study("unpaired") / f"{stem}.png") as picture:
            assert picture.size[0] in {680, 1400}


def test_a_categorical_and_a_logarithmic_axis(store: Store, tmp_path: Path) -> None:
    by_name = rho_study(
        axes=[Axis("adapt.dual", ["chain", "level"])], baseline={"adapt.dual": "chain"}, control=None, arms={},
        outputs=[Curve(x="adapt.dual")],
    )  # fmt: skip
    fill(store, plan_of(by_name, "names"), gain)
    assert "figure_psnr_y_dual.pdf" in {p.name for p in report.write(store, "names").files}
    logarithmic = rho_study(
        axes=[Axis("adapt.lam", [0, 0.01, 0.1, 1], label="λ")], baseline={"adapt.lam": 0}, outputs=[
            Curve(x="adapt.lam", log=True), Curve(x="adapt.lam", y="ssim_y"),
        ],
    )  # fmt: skip
    fill(store, plan_of(logarithmic, "logs"), gain)
    assert "figure_psnr_y_lam.pdf" in {p.name for p in report.write(store, "logs").files}


def test_a_collapse_does_not_flatten_the_rest() -> None:
    near = [Point(x, 0.02 * x, 0.02 * x - 0.03, 0.02 * x + 0.03) for x in (1, 2, 3)]
    collapse = Point(4, -9.8, -10.0, -9.6)
    low, high, far = limits([*near, collapse], [(0.15, 0.27)])
    assert far == [collapse]
    assert -1 < low < 0
    assert 0.27 < high < 1


def test_points_of_one_size_are_all_on_scale() -> None:
    points = [Point(x, -x, -x - 0.1, -x + 0.1) for x in (1, 2, 3)]
    low, _, far = limits(points, [])
    assert far == []
    assert low < -3.1


def test_a_second_write_changes_no_byte(filled: Store) -> None:
    first = {p: p.read_bytes() for p in report.write(filled, "unpaired").files}
    second = {p: p.read_bytes() for p in report.write(filled, "unpaired").files}
    assert first == second
    assert not list(filled.study("unpaired").glob(".*"))
