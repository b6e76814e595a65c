from __future__ import annotations

import csv
import re
from typing import Any

import numpy as np
import pytest
from scipy import stats

from drnbench import Curve, Heatmap, Table, Tradeoff
from drnbench.config.study import Axis, Study
from drnbench.config.trial import Evaluate
from drnbench.outputs import compose, crops, curve, dual_kernel, gap_values, heatmap, kernel_weights, report, tradeoff
from drnbench.outputs.base import StudyResults
from drnbench.render.table import CaptionedTable
from drnbench.results import reading, summary
from drnbench.results.costs import read_costs, three_digits
from drnbench.results.scores import Condition, Scores
from drnbench.results.statistics import crossed_t
from drnbench.results.summary import Result, Results
from drnbench.store import Store, read_json, write_json
from tests.fake_store import PRETRAIN, base, fill, kernels_of, plan_of, value
from tests.outputs.shapes import SKEWED, adapt_study, dual_study, gap_study, real_study


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


def first_table(store: Store, name: str) -> CaptionedTable:
    study = StudyResults.of(reading.read(store, name), store)
    return compose.tables(study, compose.outputs_of(study.scores.plan)[0])[0]


def output(scores: Scores, kind: str) -> Any:
    return next(output for output in compose.outputs_of(scores.plan)[0] if output.name == kind)


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
    page = (store.study("dual") / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 6
    macros = (store.study("dual") / "macros.tex").read_text()
    macro_names = re.findall(r"\\newcommand\{\\(\w+)\}", macros)
    assert len(macro_names) == len(set(macro_names))
    assert all(re.fullmatch("[A-Za-z]+", name) for name in macro_names)
    assert {"drnParametersSOnBdScaleFour", "drnSecondsSOnBdScaleFour", "drnStepMacsSOnBdScaleFour"} <= set(macro_names)


def test_a_heatmap_holds_every_cell_of_the_subject(store: Store) -> None:
    study = dual_study()
    plan = plan_of(study, "dual")
    fill(store, plan, dual_effect)
    scores, results = read(store, "dual")
    panels = heatmap.panels(scores, results, output(scores, "heatmap"))
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
    middle, error, df = (float(x) for x in crossed_t(on - off))
    cell = cells[1][1]
    assert isinstance(cell, Result)
    assert cell.difference is not None
    assert cell.difference.mean == pytest.approx(middle)
    assert cell.difference.low == pytest.approx(middle - stats.t.ppf(0.975, df) * error)
    collapse = cells[1][0]
    assert isinstance(collapse, Result)
    assert collapse.verdict == "worse"
    # The collapse does not set the colours.
    means = [r.difference.mean for panel in panels for r in panel.results if r.difference]
    assert heatmap.ceiling(means) < 1
    drawn = heatmap.draw(scores, results, output(scores, "heatmap"))
    assert drawn is not None
    assert "−9.0" in " ".join(t.get_text() for ax in drawn.figure.axes for t in ax.texts)
    assert "loss=off at the same network, kernel and scale" in drawn.caption
    assert "Colours saturate at" in drawn.caption


def test_a_heatmap_over_the_compared_axis_shows_the_baseline(store: Store) -> None:
    fill(store, plan_of(dual_study(outputs=[Heatmap(x="loss", y="network")]), "dual"), dual_effect)
    scores, results = read(store, "dual")
    panels = heatmap.panels(scores, results, output(scores, "heatmap"))
    assert len(panels) == 6  # kernels and scales
    assert all(row[0] == "baseline" for panel in panels for row in panel.cells)
    assert panels[0].title == "photos-test, kernel=bd, scale=2"


@pytest.mark.parametrize(("values", "top"), [([0.1, -0.2, 9.0], 0.2), ([1.0, 2.0], 2.0), ([0.0], 1.0), ([], 1.0)])
def test_where_colours_end(values: list[float], top: float) -> None:
    assert heatmap.ceiling(values) == top


def test_curves_leave_out_lines_of_baselines(store: Store) -> None:
    fill(store, plan_of(dual_study(outputs=[Curve(x="kernel")]), "dual"), dual_effect)
    scores, results = read(store, "dual")
    drawn = curve.draw(scores, results, output(scores, "curve"))
    assert drawn is not None
    assert [ax.get_title(loc="left") for ax in drawn.figure.axes] == ["photos-test ×2", "photos-test ×4"]
    legend = [t.get_text() for t in drawn.figure.legends[0].get_texts()]
    assert legend == ["baseline, loss=off at the same network, kernel and scale", "network=S", "network=L"]


def test_costs_stand_in_table_file_and_figure(store: Store) -> None:
    plan = plan_of(
        adapt_study(outputs=[Table(rows="training", costs=("parameters", "macs", "step_macs", "seconds"))]), "a"
    )
    fill(store, plan, lambda arm, kernel: 0.0, costs=True)
    report.write(store, "a")
    with (store.study("a") / "costs.csv").open() as file:
        rows = {row["arm"]: row for row in csv.DictReader(file)}
    row = rows["adapted, bd"]
    # Two stages of 100 and 200 s, ten more a seed in each: the mean of 300, 320 and 340.
    assert (float(row["seconds"]), row["n_seeds"]) == (320.0, "3")
    assert float(row["step_macs"]) == 80_000_000  # of the last stage
    assert int(row["macs"]) == 9216 * int(row["parameters"])
    assert (rows["bicubic"]["parameters"], rows["bicubic"]["seconds"]) == ("0", "")
    text = (store.study("a") / "table_training.md").read_text()
    line = next(row for row in text.splitlines() if row.startswith("| adapted"))
    # Cells of both kernels share the row; one D costs what the other costs, up to the fake's sizes.
    assert re.search(r"\| +320 \|", line)
    assert "cost: Params (M)" in text
    assert "Step MMACs" in text
    for words in ("parameters of the model", "LR image of 96×96 pixels", "seconds of one process"):
        assert words in text


@pytest.mark.parametrize(
    ("number", "text"), [(0.0, "0"), (1.534, "1.53"), (14.13, "14.1"), (320.0, "320"), (9.999, "10.0")]
)
def test_costs_have_three_digits(number: float, text: str) -> None:
    assert three_digits(number) == text


def test_costs_that_nobody_measured_are_dashes(store: Store) -> None:
    study = adapt_study(outputs=[Table(rows="training", costs=("parameters", "seconds")), Tradeoff(x="macs")])
    fill(store, plan_of(study, "a"), lambda arm, kernel: 0.0)
    names = {path.name for path in report.write(store, "a").files}
    assert "figure_psnr_y_against_macs.pdf" not in names
    macros = (store.study("a") / "macros.tex").read_text()
    assert r"\newcommand{\drnSecondsAdaptedBd}{\textbf{??}}" in macros


def test_a_trade_off_has_a_point_an_arm_and_a_line_for_bicubic(store: Store) -> None:
    fill(store, plan_of(dual_study(), "dual"), dual_effect, costs=True)
    scores, results = read(store, "dual")
    costs = read_costs(scores, store)
    condition = Condition("photos-test", "bd", 4)
    points = tradeoff.points(scores, results, costs, output(scores, "tradeoff"), condition)
    assert [p.label for p in points] == ["S, off", "S, on", "L, off", "L, on", "bicubic"]
    assert points[-1].cost is None
    assert points[0].value == results["S, off, bd, scale=4", condition, "psnr_y"].mean
    assert points[0].cost == costs["S, off, bd, scale=4"].parameters
    assert [p.label for p in tradeoff.off_scale(points)] == ["L, on", "bicubic"]


def gap_change(trial, rows):
    """Training images are 1.5 dB easier, and networks overfit the fewer the images."""
    if trial.arm.kind == "reference":
        extra = 1.5
    else:
        extra = 1.5 + 4 / int(trial.arm.values["size"]) * (0.6 if trial.arm.values["loss"] == "on" else 1.0)
    on_train = rows["dataset"] == "photos-train"
    return rows.assign(value=rows["value"] + extra * on_train)


def test_a_gap_agrees_with_a_count_by_hand(store: Store) -> None:
    plan = plan_of(gap_study(), "gap")
    fill(store, plan, lambda arm, kernel: 0.0, images=40, change=gap_change)
    scores, _ = read(store, "gap")
    gaps = gap_values.gaps(scores, output(scores, "gap"))
    arms = {arm.name: arm for arm in plan.study.arms}

    def by_seed(name: str, size: int, extra: float) -> np.ndarray:
        def mean(seed: int, n: int) -> float:
            return float(np.mean([value(arms[name], seed, i, "bicubic", "psnr_y", lambda a, k: 0.0) for i in range(n)]))

        return np.array([mean(s, size) + extra - mean(s, 40) for s in range(3)])

    off, on = by_seed("2, off", 2, 3.5), by_seed("2, on", 2, 2.7)
    test = Condition("photos-test", "bicubic", 4)
    gap = gaps["2, on", test]
    t = stats.t.ppf(0.975, 2) / 3**0.5
    assert gap.value == pytest.approx(on.mean())
    assert gap.half == pytest.approx(t * on.std(ddof=1))
    assert gap.delta == pytest.approx((on - off).mean())
    assert gap.low == pytest.approx((on - off).mean() - t * (on - off).std(ddof=1))
    assert gap.sign == -1
    assert gaps["2, off", test].delta is None
    assert gaps["bicubic", test].delta is None
    assert gap.bicubic is not None
    reference = scores.arm("bicubic")
    train = next(p for p in reference.conditions if p.dataset == "photos-train")
    table = scores.tables["bicubic", train, "psnr_y"]
    assert gap.bicubic == pytest.approx(
        float(table[["img00", "img01"]].mean(axis=None)) - gaps["bicubic", test].test_mean
    )


def test_the_gap_is_written_and_drawn(store: Store) -> None:
    fill(store, plan_of(gap_study(), "gap"), lambda arm, kernel: 0.0, images=40, change=gap_change)
    written = report.write(store, "gap")
    names = {path.name for path in written.files}
    assert {"table_gap_size.md", "table_gap_size.tex", "table_gap_size.csv", "figure_gap_psnr_y_size.pdf"} <= names
    folder = store.study("gap")
    with (folder / "table_gap_size.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["arm"] for row in rows][-1] == "bicubic"
    assert len(rows) == 7
    text = (folder / "table_gap_size.md").read_text()
    for words in ("only seeds are the sample", "overfitting", "Positive", "paired by seed"):
        assert words in text
    assert "| on" in text
    assert "bicubic gap (dB)" in text
    macros = (folder / "macros.tex").read_text()
    assert re.search(r"\\drnGapDeltaTwoOnPhotosTestBicubicPsnrY\}\{\\ensuremath\{-0\.\d{3}\}\}", macros)
    assert written.headline.startswith("The gap in PSNR-Y between training and test images of loss=off falls from +")
    assert "With loss=on it is smaller in 3 of 3 (images=2 with -" in written.headline


def test_kernels_of_the_learned_d(store: Store) -> None:
    plan = plan_of(adapt_study(), "adapt")
    fill(store, plan, lambda arm, kernel: 0.0, kernels=True)
    scores, results = read(store, "adapt")
    arm = scores.arm("adapted, skewed")
    kernels = dual_kernel.read(store, scores, results, arm)
    assert kernels is not None
    learned = [kernels_of(t)[0] for t in plan.trials if t.arm.name == arm.name]
    assert np.allclose(kernels.learned, np.mean(learned, axis=0))
    assert kernels.true is not None
    assert kernels.true.sum() == pytest.approx(1)
    assert kernels.error is not None
    assert kernels.error.condition.kernel == SKEWED
    drawn = dual_kernel.draw(scores, results, store, output(scores, "dualkernel"))
    assert drawn is not None
    texts = [ax.get_xlabel() for ax in drawn.figure.axes]
    assert sum("D MAE 1.52" in text for text in texts) == 6
    titles = [ax.get_title() for ax in drawn.figure.axes if ax.get_title()]
    assert titles == ["bd", "skewed"]


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
    drawn = dual_kernel.draw(scores, results, store, output(scores, "dualkernel"))
    assert drawn is not None
    assert "unknown" in " ".join(t.get_text() for ax in drawn.figure.axes for t in ax.texts)


@pytest.mark.parametrize(("have", "want"), [(4, 6), (6, 4), (5, 7), (4, 5)])
def test_a_kernel_keeps_its_middle(have: int, want: int) -> None:
    kernel = np.zeros((have, have))
    kernel[have // 2, have // 2] = 1
    row = int(np.argwhere(kernel_weights.fit(kernel, (want, want)))[0][0])
    assert abs((row - (want - 1) / 2) - (have // 2 - (have - 1) / 2)) <= 0.5


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


NETWORKS = {
    "drn-s": {"method": "drn-s"}, "own sizes": {"method": "drn", "model": {"n_feats": 8}},
}  # fmt: skip


def published_study(**fields) -> Study:
    loss = {"off": {"pretrain.scheme": "supervised"}, "on": {"pretrain.scheme": None}}
    wanted = {
        "base": base(stages=[PRETRAIN], evaluate=[Evaluate("Set5"), Evaluate("Set5", kernel="bd")]),
        "axes": [Axis("network", NETWORKS), Axis("loss", loss)],
        "seeds": 2,
        "baseline": {"loss": "off"},
        "outputs": [Table(rows="network", peers=("RCAN",))],
    }
    return Study(**{**wanted, **fields})


def test_published_numbers_stand_beside_ours(store: Store) -> None:
    fill(store, plan_of(published_study(), "p"), lambda arm, kernel: 0.0)
    path = store.study("p") / "plan.json"
    plan = read_json(path)
    plan["outputs"][0]["peers"].append("nobody")  # as of a version that had numbers of it
    write_json(path, plan)
    body = first_table(store, "p")
    at = [n for n, c in enumerate(body.columns) if c.header == "published"]
    assert [body.columns[n].group for n in at] == ["bicubic", "bicubic"]  # none under bd
    assert "PSNR-Y" in body.columns[at[0] - 1].header
    shown = {tuple(e.text for e in row.entries[:2]): row.entries[at[0]].text for row in body.rows}
    assert shown == {
        ("", "bicubic"): "28.42", ("off (baseline)", "drn-s"): "–", ("", "own sizes"): "–", ("on", "drn-s"): "32.68",
        ("", "RCAN"): "32.63",
    } | {("", "own sizes"): "–"}  # fmt: skip
    assert body.rows[-1].rule
    assert "guoyongcs/DRC" in body.caption
    assert "in no test" in body.caption


@pytest.mark.parametrize(
    "evaluate", [Evaluate("Set5", crop=64), Evaluate("Set5", count=2), Evaluate("Set5", kernel="bd")]
)
def test_nothing_is_published_of_another_task(store: Store, evaluate: Evaluate) -> None:
    study = published_study(base=base(stages=[PRETRAIN], evaluate=[evaluate]))
    fill(store, plan_of(study, "p"), lambda arm, kernel: 0.0)
    body = first_table(store, "p")
    assert not [c for c in body.columns if c.header == "published"]
    assert "RCAN" not in [e.text for row in body.rows for e in row.entries]
