"""Forest plots, paired differences of images and ranks: what they show."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from drnbench import Curve, Forest, PerImage, Ranks, Table
from drnbench.config.study import Axis, Study
from drnbench.config.trial import Evaluate
from drnbench.outputs import curve_figure, forest_figure, per_image_figure, ranks_figure
from drnbench.render import style
from drnbench.results import reading, summary
from drnbench.store import Store
from tests.fake_store import base, fill, plan_of
from tests.outputs.conftest import composed, gain, rho_study
from tests.outputs.shapes import dual_study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory):
    """Scores and results of a study with a margin, a collapse and a positive control."""
    store = fill(Store(tmp_path_factory.mktemp("forest")), plan_of(rho_study(margin={"psnr_y": 0.1})), gain)
    scores = reading.read(store, "unpaired")
    return scores, summary.summarise(scores)


def test_a_forest_has_a_row_for_each_comparison_with_its_interval_and_test(study):
    scores, results = study
    with style.styled():
        drawn = forest_figure.draw(scores, results)
    rows = list(csv.DictReader(io.StringIO(drawn.data)))
    assert len(rows) == 2 * 4  # kernels; ρ of 0.1, 0.3 and 1, true pairs
    for row in rows:
        condition = next(c for c in scores.conditions if (c.dataset, c.kernel) == (row["dataset"], row["kernel"]))
        result = results[row["arm"], condition, "psnr_y"]
        assert float(row["delta"]) == result.difference.mean
        assert (float(row["delta_low"]), float(row["delta_high"])) == (result.difference.low, result.difference.high)
        assert row["verdict"] == result.verdict
    axes = drawn.figure.axes
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["ρ=0.1", "ρ=0.3", "ρ=1", "true pairs"]
    assert axes[0].get_xlim() == axes[1].get_xlim()
    assert max(map(abs, axes[0].get_xlim())) < 1  # the collapse is an arrow, in both panels
    assert all(sum(line.get_marker() == "<" for line in ax.lines) == 1 for ax in axes)
    assert "margin of 0.100 dB" in drawn.caption
    assert any(patch.get_width() == pytest.approx(0.2) for patch in axes[0].patches)


def test_arms_of_one_test_set_each_share_a_panel(tmp_path):
    store = fill(Store(tmp_path), plan_of(dual_study(seeds=1), "dual"), images=2)
    scores = reading.read(store, "dual")
    (panel,) = forest_figure.panels(scores, summary.summarise(scores), "psnr_y")
    assert len(panel.conditions) > 1
    assert [result.arm for result in panel.results] == [
        arm.name for arm in scores.arms if scores.baseline_of(arm, arm.conditions[0]) and not arm.seedless
    ]


@pytest.mark.parametrize(("values", "drawn"), [([0, 0.1], False), ([0, 0.1, 0.3], True)])
def test_a_report_has_a_forest_from_two_comparisons_on(tmp_path, values, drawn):
    plan = plan_of(rho_study(
        base=base(evaluate=[Evaluate("photos/test", kernel="bd")]), axes=[Axis("adapt.rho", values, label="ρ")], arms={},
        control=None, outputs=[Table(rows="adapt.rho")],
    ))  # fmt: skip
    results, outputs = composed(fill(Store(tmp_path), plan))
    (forest,) = [output for output in outputs if isinstance(output, Forest)]
    with style.styled():
        assert (forest.figures(results) != [None]) is drawn


def test_a_declared_comparison_is_not_said_to_be_adjusted_with_the_others(tmp_path):
    plan = plan_of(rho_study(primary={"adapt.rho": 1}))
    results, _ = composed(fill(Store(tmp_path), plan, gain))
    with style.styled():
        caption = forest_figure.draw(results.scores, results.results).caption
    assert "Holm-adjusted p < 0.05 over the" in caption
    assert "tested alone at p < 0.05: ρ=1 on" in caption


def test_an_arrow_has_the_colour_of_its_line(study):
    scores, results = study
    with style.styled():
        drawn = curve_figure.draw(scores, results, Curve(x="adapt.rho"))
    for ax in drawn.figure.axes:
        arrows = [line.get_color() for line in ax.lines if line.get_marker() == "v"]
        assert arrows
        assert set(arrows) <= {line.get_color() for line in ax.lines if line.get_alpha() == pytest.approx(0.55)}


def test_without_a_baseline_there_is_no_forest(tmp_path):
    store = fill(Store(tmp_path), plan_of(Study(base=base(), axes=[Axis("adapt.rho", [0, 0.3, 1.0])], seeds=2)))
    scores = reading.read(store, "unpaired")
    assert forest_figure.draw(scores, summary.summarise(scores)) is None


def test_dots_are_the_paired_differences_of_images(study):
    scores, _ = study
    with style.styled():
        drawn = per_image_figure.draw(scores, PerImage())
    condition = scores.conditions[0]
    expected = (
        scores.tables["true pairs", condition, "psnr_y"] - scores.tables["ρ=0", condition, "psnr_y"]
    ).mean()  # fmt: skip
    rows = [row for row in csv.DictReader(io.StringIO(drawn.data)) if row["arm"] == "true pairs"]
    values = {row["image"]: float(row["value"]) for row in rows if row["kernel"] == condition.kernel}
    assert values == pytest.approx(expected.to_dict())
    dots = drawn.figure.axes[0].collections[-1].get_offsets()
    assert sorted(np.asarray(dots)[:, 0]) == pytest.approx(sorted(expected))
    assert max(map(abs, drawn.figure.axes[0].get_xlim())) < 1


def test_without_differences_the_scores_themselves_are_shown(study):
    scores, _ = study
    frame = per_image_figure.values(scores, "psnr_y", differences=False)
    assert set(frame["arm"]) == {arm.name for arm in scores.arms}
    with style.styled():
        assert per_image_figure.draw(scores, PerImage(differences=False)).name == "figure_distribution_psnr_y"


def test_ranks_are_those_of_the_means_on_each_test_set(study):
    scores, results = study
    with style.styled():
        drawn = ranks_figure.draw(scores, results, Ranks().metric)
    for row in csv.DictReader(io.StringIO(drawn.data)):
        ranks = []
        for condition in scores.conditions:
            means = sorted((-results[arm.name, condition, "psnr_y"].mean, arm.name) for arm in scores.arms)
            ranks.append(1 + [name for _, name in means].index(row["arm"]))
        assert [float(row[condition.label]) for condition in scores.conditions] == ranks
        assert float(row["mean_rank"]) == np.mean(ranks)


@pytest.mark.parametrize(("width", "inches"), [("column", 3.4), ("page", 7.0)])
def test_figures_have_the_width_of_a_column_or_a_page(study, width, inches):
    scores, results = study
    with style.styled():
        drawn = [
            forest_figure.draw(scores, results, width=width), per_image_figure.draw(scores, PerImage(width=width)),
            curve_figure.draw(scores, results, Curve(x="adapt.rho", width=width)),
        ]  # fmt: skip
    for figure in drawn:
        assert figure.figure.get_size_inches()[0] == inches
        head, *rows = csv.reader(io.StringIO(figure.data))
        assert rows
        assert {len(row) for row in rows} == {len(head)}


def test_a_curve_has_its_points_as_data(study):
    scores, results = study
    with style.styled():
        drawn = curve_figure.draw(scores, results, Curve(x="adapt.rho"))
    rows = [row for row in csv.DictReader(io.StringIO(drawn.data)) if row["ρ"] == "0.3"]
    for row, condition in zip(rows, scores.conditions, strict=True):
        difference = results["ρ=0.3", condition, "psnr_y"].difference
        assert [float(row[name]) for name in ("delta", "low", "high")] == [
            difference.mean,
            difference.low,
            difference.high,
        ]
