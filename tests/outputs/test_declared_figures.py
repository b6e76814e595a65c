"""Figures that studies declare, and crops: what they show."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import numpy as np
import pytest

from drnbench import Curve, DualKernel, Heatmap, Table, Tradeoff
from drnbench.config.study import Axis, Study
from drnbench.config.trial import Evaluate, Trial
from drnbench.outputs import (
    compose,
    crops,
    curve_figure,
    dual_kernel_figure,
    dual_kernel_sentence,
    heatmap_figure,
    kernel_weights,
    report,
    tradeoff_figure,
)
from drnbench.render.style import MARKERS
from drnbench.results import reading, summary
from drnbench.results.costs import read_costs
from drnbench.results.scores import Condition, Scores
from drnbench.results.statistics import difference
from drnbench.results.summary import Result, Results
from drnbench.store import Store
from tests.fake_store import fill, kernels_of, plan_of, value
from tests.outputs.conftest import rho_study
from tests.outputs.shapes import SKEWED, adapt_study, dual_study, real_study


def dual_effect(arm, kernel: str) -> float:
    """Dual helps on bd, and one cell collapses."""
    if arm.values.get("loss") != "on":
        return 0.0
    if arm.values["network"] == "L" and arm.values["scale"] == 4 and kernel == "bd":
        return -9.0
    return 0.15 if kernel == "bd" else 0.0


def read(store: Store, name: str) -> tuple[Scores, Results]:
    scores = reading.read(store, name)
    return scores, summary.summarise(scores)


def output(scores: Scores, kind: str) -> Any:
    return next(output for output in compose.outputs_of(scores.plan)[0] if output.name == kind)


@pytest.mark.real
def test_the_dual_study_is_drawn_whole(store: Store) -> None:
    outputs = [
        Table(rows="loss", costs=("parameters", "macs", "step_macs", "seconds")), Table(rows="kernel"),
        Heatmap(x="kernel", y="scale"), Heatmap(x="network", y="loss"), Curve(x="kernel"), Tradeoff(x="parameters"),
        Tradeoff(x="seconds"),
    ]  # fmt: skip
    fill(store, plan_of(dual_study(outputs=outputs), "dual"), dual_effect, costs=True)
    written = report.write(store, "dual")
    names = {path.name for path in written.files}
    stems = (
        "figure_heatmap_psnr_y_kernel_scale", "figure_heatmap_psnr_y_network_loss", "figure_psnr_y_kernel",
        "figure_psnr_y_against_parameters", "figure_psnr_y_against_seconds",
    )  # fmt: skip
    assert {f"{stem}.{kind}" for stem in stems for kind in ("pdf", "png")} <= names
    assert {"costs.csv", "table_loss.tex", "table_kernel.tex"} <= names
    page = (store.study("dual/quick") / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 7
    macros = (store.study("dual/quick") / "macros.tex").read_text()
    macro_names = re.findall(r"\\newcommand\{\\(\w+)\}", macros)
    assert len(macro_names) == len(set(macro_names))
    assert all(re.fullmatch("[A-Za-z]+", name) for name in macro_names)
    assert {"drnParametersSOnBdScaleFour", "drnSecondsSOnBdScaleFour", "drnStepMacsSOnBdScaleFour"} <= set(macro_names)


def test_a_heatmap_holds_every_cell_of_the_subject(store: Store) -> None:
    study = dual_study()
    plan = plan_of(study, "dual")
    fill(store, plan, dual_effect)
    scores, results = read(store, "dual")
    panels = heatmap_figure.panels(scores, results, output(scores, "heatmap"))
    assert [p.title for p in panels] == ["photos-test, network=S", "photos-test, network=L"]
    cells = panels[1].cells
    assert (len(cells), len(cells[0])) == (2, 3)  # scales from above, kernels from the left
    arms = {arm.name: arm for arm in plan.study.arms}
    on, off = (
        np.array(
            [[value(arms[f"L, {loss}, gaussian, scale=4"], s, i, "gaussian:sigma=2.0", "psnr_y", dual_effect)
              for i in range(5)] for s in range(3)]
        )
        for loss in ("on", "off")
    )  # fmt: skip
    expected = difference(on - off)
    assert expected is not None
    cell = cells[1][1]
    assert isinstance(cell, Result)
    assert cell.difference is not None
    assert cell.difference.mean == pytest.approx((on - off).mean())
    assert (cell.difference.low, cell.difference.high) == pytest.approx((expected.low, expected.high))
    collapse = cells[1][0]
    assert isinstance(collapse, Result)
    assert collapse.verdict == "worse"
    # The collapse does not set the colours.
    means = [r.difference.mean for panel in panels for r in panel.results if r.difference]
    assert heatmap_figure.ceiling(means) < 1
    drawn = heatmap_figure.draw(scores, results, output(scores, "heatmap"))
    assert drawn is not None
    assert "−9.0" in " ".join(t.get_text() for ax in drawn.figure.axes for t in ax.texts)
    assert "loss=off at the same network, kernel and scale" in drawn.caption
    assert "Colours saturate at" in drawn.caption


def test_cells_without_an_interval_are_hatched_as_the_caption_states(store: Store) -> None:
    plan = plan_of(dual_study(seeds=1, outputs=[Heatmap(x="kernel", y="network")]), "dual")
    fill(store, plan, dual_effect, images=1)
    scores, results = read(store, "dual")
    drawn = heatmap_figure.draw(scores, results, output(scores, "heatmap"))
    assert drawn is not None
    assert "Hatched: the interval holds zero, or there is none." in drawn.caption


def test_a_heatmap_over_the_compared_axis_shows_the_baseline(store: Store) -> None:
    fill(store, plan_of(dual_study(outputs=[Heatmap(x="loss", y="network")]), "dual"), dual_effect)
    scores, results = read(store, "dual")
    panels = heatmap_figure.panels(scores, results, output(scores, "heatmap"))
    assert len(panels) == 6  # kernels and scales
    assert all(row[0] == "baseline" for panel in panels for row in panel.cells)
    assert panels[0].title == "photos-test, kernel=bd, scale=2"


@pytest.mark.parametrize(("values", "top"), [([0.1, -0.2, 9.0], 0.2), ([1.0, 2.0], 2.0), ([0.0], 1.0), ([], 1.0)])
def test_where_colours_end(values: list[float], top: float) -> None:
    assert heatmap_figure.ceiling(values) == top


def test_curves_leave_out_lines_of_baselines(store: Store) -> None:
    fill(store, plan_of(dual_study(outputs=[Curve(x="kernel")]), "dual"), dual_effect)
    scores, results = read(store, "dual")
    drawn = curve_figure.draw(scores, results, output(scores, "curve"))
    assert drawn is not None
    assert [ax.get_title(loc="left") for ax in drawn.figure.axes] == ["photos-test ×2", "photos-test ×4"]
    legend = [t.get_text() for t in drawn.figure.legends[0].get_texts()]
    assert legend == ["baseline, loss=off at the same network, kernel and scale", "network=S", "network=L"]


def test_a_trade_off_has_a_point_an_arm_and_a_line_for_bicubic(store: Store) -> None:
    fill(store, plan_of(dual_study(), "dual"), dual_effect, costs=True)
    scores, results = read(store, "dual")
    costs = read_costs(scores, store)
    condition = Condition("photos-test", "bd", 4)
    points = tradeoff_figure.points(scores, results, costs, output(scores, "tradeoff"), condition)
    assert [p.label for p in points] == ["S, off", "S, on", "L, off", "L, on", "bicubic"]
    assert points[-1].cost is None
    assert points[0].value == results["S, off, bd, scale=4", condition, "psnr_y"].mean
    assert points[0].cost == costs["S, off, bd, scale=4"].parameters
    assert [p.label for p in tradeoff_figure.off_scale(points)] == ["L, on", "bicubic"]


def test_a_trade_off_says_where_means_rest_on_different_numbers_of_seeds(store: Store) -> None:
    plan = plan_of(rho_study(outputs=[Tradeoff(x="parameters")]))
    fill(store, plan, done=lambda trial: trial.arm.name != "ρ=0.3" or trial.trial.seed < 2, costs=True)
    scores, results = read(store, "unpaired")
    drawn = tradeoff_figure.draw(scores, results, read_costs(scores, store), output(scores, "tradeoff"))
    assert drawn is not None
    assert "Means are over different numbers of seeds (2 seeds: ρ=0.3; 3 seeds: ρ=0, ρ=0.1, ρ=1 and" in drawn.caption
    fill(store, plan, costs=True)
    scores, results = read(store, "unpaired")
    whole = tradeoff_figure.draw(scores, results, read_costs(scores, store), output(scores, "tradeoff"))
    assert whole is not None
    assert "numbers of seeds" not in whole.caption


def test_kernels_of_the_learned_d(store: Store) -> None:
    plan = plan_of(adapt_study(), "adapt")
    fill(store, plan, lambda arm, kernel: 0.0, kernels=True)
    scores, results = read(store, "adapt")
    arm = scores.arm("adapted, skewed")
    kernels = dual_kernel_figure.read(store, scores, results, arm)
    assert kernels is not None
    learned = [kernels_of(t)[0] for t in plan.trials if t.arm.name == arm.name]
    assert np.allclose(kernels.learned, np.mean(learned, axis=0))
    assert kernels.true is not None
    assert kernels.true.sum() == pytest.approx(1)
    assert kernels.error is not None
    assert kernels.error.condition.kernel == SKEWED
    drawn = dual_kernel_figure.draw(scores, results, store, output(scores, "dualkernel"))
    assert drawn is not None
    texts = [ax.get_xlabel() for ax in drawn.figure.axes]
    assert sum("D MAE 1.52" in text for text in texts) == 6
    titles = [ax.get_title() for ax in drawn.figure.axes if ax.get_title()]
    assert titles == ["bd", "skewed"]


def test_kernels_of_a_zero_shot_method_are_estimated_ones_beside_the_true_one(store: Store) -> None:
    base = Trial(
        method="kernelgan", scale=2, evaluate=[Evaluate("photos/test", kernel="bd", metrics=("psnr_y", "dual_mae"))]
    )
    study = Study(
        base=base, axes=[Axis("kernel", {"bd": {"evaluate.*.kernel": "bd"}})], seeds=1, outputs=[DualKernel(x="kernel")]
    )
    fill(store, plan_of(study, "s"), kernels=True, images=1)
    scores, results = read(store, "s")
    drawn = dual_kernel_figure.draw(scores, results, store, output(scores, "dualkernel"))
    assert drawn is not None
    assert [ax.get_title() for ax in drawn.figure.axes if ax.get_title()] == ["true kernel", "estimated kernel"]
    assert "learned" not in drawn.caption
    sentence = dual_kernel_sentence.sentence(scores, results, "dual_mae")
    assert sentence.startswith("The estimated kernel is within ")
    width, height = drawn.figure.get_size_inches()
    assert width > height


def test_where_the_true_kernel_is_not_known(store: Store) -> None:
    fill(store, plan_of(adapt_study(axes=[
        Axis("training", {"source": {"adapt.rho": 0.0}, "adapted": {"adapt.rho": 0.5}}),
        Axis("kernel", {"one": {"adapt.unpaired.kernel": "bd"}}),
    ], control=None), "adapt"), kernels=True)  # fmt: skip
    for path in store.root.glob("trials/*/dual_kernel/*.npz"):
        with np.load(path) as arrays:
            learned = arrays["learned"]
        np.savez(path, learned=learned)
    scores, results = read(store, "adapt")
    drawn = dual_kernel_figure.draw(scores, results, store, output(scores, "dualkernel"))
    assert drawn is not None
    assert "unknown" in " ".join(t.get_text() for ax in drawn.figure.axes for t in ax.texts)


@pytest.mark.parametrize(("have", "want"), [(4, 6), (6, 4), (5, 7), (4, 5)])
def test_a_kernel_keeps_its_middle(have: int, want: int) -> None:
    kernel = np.zeros((have, have))
    kernel[have // 2, have // 2] = 1
    row = int(np.argwhere(kernel_weights.fit(kernel, (want, want)))[0][0])
    assert abs((row - (want - 1) / 2) - (have // 2 - (have - 1) / 2)) <= 0.5


@pytest.mark.real
def test_real_frames_have_no_hr_and_their_own_score(store: Store) -> None:
    fill(store, plan_of(real_study(), "real"), lambda arm, kernel: 0.0, samples=True)
    scores, results = read(store, "real")
    drawn = crops.draw(scores, store)
    assert drawn is not None
    titles = [ax.get_title() for ax in drawn.figure.axes if ax.get_title()]
    assert titles == ["LR", "bicubic", "ρ=0", "ρ=0.3", "ρ=0.5"]
    below = [ax.get_xlabel() for ax in drawn.figure.axes]
    assert below[0] == "LR-PSNR (dB)"
    condition = scores.conditions[0]
    table = scores.tables["ρ=0.3", condition, "lr_psnr"]
    assert below[3] == f"{table.loc[0, 'img00']:.2f}"
    assert "there is no HR" in drawn.caption
    headline = report.write(store, "real").headline
    assert "in LR-PSNR" in headline
    assert "undertrained" not in headline
    assert results["ρ=0", condition, "lr_psnr"].n_images == 5


def test_cells_whose_interval_holds_zero_are_hatched_and_colours_have_a_floor(store: Store) -> None:
    fill(store, plan_of(dual_study(outputs=[Heatmap(x="kernel", y="network")]), "dual"), dual_effect)
    scores, results = read(store, "dual")
    wanted = output(scores, "heatmap")
    panels = heatmap_figure.panels(scores, results, wanted)
    differences = [d for panel in panels for d in panel.differences]
    drawn = heatmap_figure.draw(scores, results, wanted)
    assert drawn is not None
    hatched = [patch for ax in drawn.figure.axes for patch in ax.patches if patch.get_hatch()]
    zero = [d for d in differences if d.low is None or d.low <= 0 <= (d.high or 0)]
    assert len(hatched) == len(zero) > 0
    halves = [(d.high - d.low) / 2 for d in differences if d.low is not None and d.high is not None]
    assert heatmap_figure.scale_end(panels) >= np.median(halves)


@pytest.mark.real
def test_areas_of_a_trade_off_stand_for_a_cost_and_both_axes_may_be_costs(store: Store) -> None:
    outputs = [Tradeoff(x="macs", size="parameters"), Tradeoff(x="parameters", y="macs")]
    fill(store, plan_of(dual_study(outputs=outputs), "dual"), dual_effect, costs=True)
    scores, results = read(store, "dual")
    costs = read_costs(scores, store)
    bubbles, plain = (tradeoff_figure.draw(scores, results, costs, wanted) for wanted in outputs)
    assert bubbles is not None
    assert plain is not None
    assert "Areas of the points: Params" in bubbles.caption
    sizes = {line.get_markersize() for ax in bubbles.figure.axes for line in ax.lines if line.get_marker() == "o"}
    assert len(sizes) > 1
    points = tradeoff_figure.points(scores, results, costs, outputs[1], scores.primary[0])
    assert all(p.cost == costs[p.arm.name].parameters for p in points)
    assert all(p.value == costs[p.arm.name].macs for p in points)
    assert [p.arm.name for p in points] == [arm.name for arm in scores.arms if costs[arm.name].macs]
    rows = list(csv.DictReader(io.StringIO(plain.data)))
    assert [(float(row["parameters"]), float(row["macs"])) for row in rows] == [(p.cost, p.value) for p in points]
    (ax,) = plain.figure.axes
    divisor = {"G": 1e9, "M": 1e6}[ax.get_ylabel()[0]]
    drawn = sorted(line.get_ydata()[0] * divisor for line in ax.lines if line.get_marker() in MARKERS)
    assert drawn == pytest.approx(sorted(p.value for p in points))
    assert plain.name == "figure_macs_against_parameters"
