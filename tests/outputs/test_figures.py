from __future__ import annotations

import csv
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import seaborn as sns
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.text import Text
from PIL import Image

from drnbench import Curve, Heatmap
from drnbench.config.study import Axis
from drnbench.outputs import compose, curve_figure, report, training
from drnbench.outputs.curve_panels import limits
from drnbench.render import label_placement, style, x_axis
from drnbench.render.label_placement import Label
from drnbench.render.lines import Point
from drnbench.results import reading
from drnbench.results.histories import read_histories
from drnbench.results.plan_record import AxisRecord
from drnbench.store import Store
from tests.fake_store import fill, plan_of
from tests.outputs.conftest import gain, rho_study
from tests.outputs.shapes import dual_study


@pytest.mark.real
def test_figures_come_as_vectors_and_pictures(store: Store) -> None:
    fill(store, plan_of(rho_study()), gain, samples=True, history=True)
    names = {p.name for p in report.write(store, "unpaired").files}
    for stem in ("figure_psnr_y_rho", "figure_training", "figure_strip"):
        assert {f"{stem}.pdf", f"{stem}.png"} <= names
        pdf = (store.study("unpaired/quick") / f"{stem}.pdf").read_bytes()
        # Publishers refuse Type 3 fonts.
        assert b"/Type3" not in pdf
        with Image.open(store.study("unpaired/quick") / f"{stem}.png") as picture:
            assert picture.size[0] in {680, 1400}


@pytest.mark.real
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


@pytest.mark.parametrize("value", [-6.8, -7.4])
def test_a_collapse_with_a_wide_interval_flattens_nothing_either(value: float) -> None:
    """Of two panels that share a scale, one showed the collapsed arm and the other an arrow for it, within the axis."""
    near = [Point(x, 0.2 * x - 0.4, 0.2 * x - 1, 0.2 * x + 0.2) for x in (1, 2, 3, 4)]
    collapsed = [Point(5, value, value - 7.6, value + 7.6), Point(5, value - 0.6, value - 8.5, value + 7.3)]
    low, _, far = limits([*near, *collapsed], [(0.43, 0.9)])
    assert far == collapsed
    assert low > -3


def test_a_wide_interval_around_a_typical_difference_is_cut_off_and_its_point_drawn() -> None:
    near = [Point(x, 0.1 * x, 0.1 * x - 0.1, 0.1 * x + 0.1) for x in (1, 2, 3, 4)]
    low, high, far = limits([*near, Point(5, 0.2, -30, 30.4)], [])
    assert far == []
    assert -3 < low < 0 < high < 3


@given(
    values=st.lists(st.tuples(st.floats(-20, 20), st.floats(0, 20), st.floats(0, 20)), min_size=1, max_size=8),
    band=st.lists(st.tuples(st.floats(-2, 0), st.floats(0, 2)), max_size=1),
)
def test_every_point_is_either_within_the_limits_or_beyond_them(values: list[Any], band: list[Any]) -> None:
    points = [Point(n, value, value - below, value + above) for n, (value, below, above) in enumerate(values)]
    low, high, far = limits(points, band)
    assert all(low <= p.value <= high for p in points if p not in far)
    ends = [0.0, *(p.value for p in points if p not in far)]
    assert not any(min(ends) <= p.value <= max(ends) for p in far)
    assert len(far) < len(points)


def test_points_of_one_size_are_all_on_scale() -> None:
    points = [Point(x, -x, -x - 0.1, -x + 0.1) for x in (1, 2, 3)]
    low, _, far = limits(points, [])
    assert far == []
    assert low < -3.1


@pytest.mark.real
def test_a_second_write_changes_no_byte(filled: Store) -> None:
    first = {p: p.read_bytes() for p in report.write(filled, "unpaired").files}
    second = {p: p.read_bytes() for p in report.write(filled, "unpaired").files}
    assert first == second
    assert not list(filled.study("unpaired/quick").glob(".*"))


def test_lines_stand_side_by_side_on_every_kind_of_axis() -> None:
    def axis(*values: Any) -> AxisRecord:
        return AxisRecord(path="adapt.rho", title="ρ", values=list(values))

    left, right = (x_axis.dodge(axis("a", "b"), [0.0, 1.0], n, 2, log=True) for n in (0, 1))
    assert (left, right) == ([-0.05, 0.95], [0.05, 1.05])
    left, right = (x_axis.dodge(axis(0, 100), [0, 100], n, 2, log=False) for n in (0, 1))
    assert left == pytest.approx([-0.6, 99.4])
    assert right == pytest.approx([0.6, 100.6])
    left, right = (x_axis.dodge(axis(0, 0.01, 1), [0, 0.01, 1], n, 2, log=True) for n in (0, 1))
    ratios = [b / a for a, b in zip(left[1:], right[1:], strict=True)]
    assert ratios == pytest.approx([1.03, 1.03])
    assert left[0] == right[0] == 0


def test_labels_keep_clear_of_lines_and_of_text() -> None:
    figure = style.new_figure(4, 3)
    ax = figure.subplots()
    ax.set(xlim=(0, 10), ylim=(0, 10))
    text = ax.text(5.2, 5, "already there", va="center")
    figure.canvas.draw()
    labels = [Label(x, 5, f"arm {x}", "black") for x in (4, 5, 8)]
    label_placement.write(ax, labels, [[(0, 5), (10, 5)]])
    figure.canvas.draw()
    boxes = [Text.get_window_extent(label) for label in ax.texts if label is not text]
    assert len(boxes) == 3
    middle = ax.transData.transform((0, 5))[1]
    assert all(box.y0 > middle or box.y1 < middle for box in boxes)
    assert not any(box.overlaps(text.get_window_extent()) for box in boxes)
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_a_heat_map_is_drawn_by_seaborn(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    heatmap = sns.heatmap
    monkeypatch.setattr(sns, "heatmap", lambda data, **options: (drawn.append(data), heatmap(data, **options)))
    study = dual_study(axes=dual_study().axes[:3], outputs=[Heatmap(x="kernel", y="network")])
    results = compose.results_of(reading.read(fill(store, plan_of(study, "dual")), "dual"), store)
    (figure,) = Heatmap(x="kernel", y="network").figures(results)
    assert figure is not None
    (values,) = drawn
    means = [r.difference.mean for r in results.results.values() if r.difference and r.metric == "psnr_y"]
    grid = [value for value in values.ravel() if not np.isnan(value)]
    assert sorted(grid) == pytest.approx(sorted(means))


def test_all_panels_of_a_curve_have_one_scale(filled: Store) -> None:
    scores = reading.read(filled, "unpaired")
    results = compose.results_of(scores, filled).results
    drawn = curve_figure.draw(scores, results, Curve(x="adapt.rho"))
    assert drawn is not None
    assert len({ax.get_ylim() for ax in drawn.figure.axes}) == 1
    arrows = [[line for line in ax.lines if line.get_marker() == "v"] for ax in drawn.figure.axes]
    assert [len(lines) for lines in arrows] == [1, 1]  # ρ = 1 collapses on both kernels


def test_arms_along_numbers_have_colours_in_their_order(filled: Store) -> None:
    looks = style.palette(reading.read(filled, "unpaired").arms)
    rho = [looks[name]["color"] for name in ("ρ=0", "ρ=0.1", "ρ=0.3", "ρ=1")]
    assert rho == style.ordinal(4)
    luminance = [sum(w * int(c[i : i + 2], 16) for w, i in ((0.3, 1), (0.6, 3), (0.1, 5))) for c in rho]
    assert luminance == sorted(luminance)
    assert looks["true pairs"]["color"] not in rho


def test_many_arms_have_a_panel_each(store: Store) -> None:
    values = [0.1 * n for n in range(10)]
    fill(store, plan_of(rho_study(axes=[Axis("adapt.rho", values, label="ρ")], seeds=2)), history=True)
    scores = reading.read(store, "unpaired")
    trained = [arm for arm in scores.arms if not arm.seedless]
    assert len(trained) > training.TOGETHER
    drawn = training.draw(scores, read_histories(scores, store))
    assert drawn is not None
    titles = [ax.get_title(loc="left") for ax in drawn.figure.axes]
    assert titles == [arm.name for arm in trained]
    rows = list(csv.DictReader(drawn.data.splitlines()))
    assert {row["arm"] for row in rows} == {arm.name for arm in trained}
    assert all(float(row["min"]) <= float(row["mean"]) <= float(row["max"]) for row in rows)
