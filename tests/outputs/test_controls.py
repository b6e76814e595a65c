"""Positive controls: what headlines conclude from one that is detected, in which metrics, and from one that is not."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from drnbench.config.study import Axis
from drnbench.config.trial import Evaluate
from drnbench.outputs import report
from drnbench.planning import PlannedTrial
from drnbench.store import Store
from tests.fake_store import base, fill, plan_of
from tests.outputs.conftest import gain, headline, rho_study, row, written
from tests.outputs.shapes import adapt_study

pytestmark = pytest.mark.usefixtures("undrawn")


def test_a_control_without_effect_leaves_nothing_shown(store: Store) -> None:
    made, _ = written(store, rho_study(), lambda arm, kernel: 0.0)
    assert made.headline.startswith("The positive control is not detected: ")
    assert "the absence of a significant difference is no evidence of equality" in made.headline
    assert not any(word in made.headline for word in ("gains", "equivalent to", "better ("))


def test_the_control_speaks_for_each_arm(store: Store) -> None:
    """An interval wider than the control's gain shows nothing, whatever the other arms show."""
    made, _ = written(store, rho_study())
    assert "For ρ=0.3 nothing is shown: half the width of its interval (±0.2" in made.headline
    assert "than the control's gain of 0.2" in made.headline
    assert "For ρ=0.1 " not in made.headline  # ±0.055 dB


def test_the_control_of_each_cell_speaks_for_it(store: Store) -> None:
    def noisy(trial: PlannedTrial, rows: pd.DataFrame) -> pd.DataFrame:
        wide = trial.arm.values.get("training") == "adapted" and trial.arm.values.get("kernel") == "skewed"
        return rows.assign(value=rows["value"] + (3 * (trial.trial.seed - 1) if wide else 0.0))

    def pairs(arm: Any, kernel: str) -> float:
        return 2.0 * (arm.values.get("training") == "pairs")

    fill(store, plan_of(adapt_study(outputs=[]), "cells"), pairs, change=noisy)
    headline = report.write(store, "cells").headline
    assert "The positive control is detected in 2 of 2 cells" in headline
    assert "For kernel=skewed nothing is shown" in headline


def test_a_control_with_a_constant_gain_is_detected(store: Store) -> None:
    def flat(trial: PlannedTrial, rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(value=25.0 + 0.5 * (trial.arm.name == "true pairs"))

    made, table = written(store, rho_study(margin={"psnr_y": 0.1}), change=flat)
    assert "Differences without variance have no p and are not starred." in table
    assert "Under 3 seeds" not in table
    assert "The positive control is detected: 'true pairs' gains +0.500 dB [+0.500, +0.500]" in made.headline
    assert "≈" in row(table, "0.3")
    assert "50 %" in row(table, "0.3")  # every image is a tie
    assert "equal images count half" in table


@pytest.mark.parametrize("controlled", [2.0, 0.0])
def test_gains_are_a_share_of_a_detected_controls(store: Store, controlled: float) -> None:
    def half(arm: Any, kernel: str) -> float:
        return {"ρ=0.3": 1.0, "true pairs": controlled}.get(arm.name, 0.0)

    made, table = written(store, rho_study(primary={"adapt.rho": 0.3}), half)
    sentence = re.search(r"ρ=0\.3 on .*? gains .*? dB \[.*?\], (\d+) % of the control's \+[12]\.\d+ dB", made.headline)
    assert (sentence is not None) == (controlled > 0)
    assert ("Share of the positive control's gain: ρ=0.3 " in table) == (controlled > 0)
    summary = pd.read_csv(store.study("unpaired/quick") / "summary.csv").set_index(["arm", "kernel", "metric"])
    shares = summary.loc[["ρ=0.3", "true pairs", "ρ=0"], "of_control"]
    assert shares[["true pairs", "ρ=0"]].isna().all()
    if sentence:
        rows = summary.xs("bd", level="kernel").xs("psnr_y", level="metric")
        share = rows.loc["ρ=0.3", "delta"] / rows.loc["true pairs", "delta"]
        assert rows.loc["ρ=0.3", "of_control"] == pytest.approx(share)
        assert sentence[1] == f"{100 * share:.0f}"
    else:
        assert "% of the control" not in made.headline
        assert shares.isna().all()


def test_an_arm_above_the_positive_control_is_said(store: Store) -> None:
    def beyond(arm: Any, kernel: str) -> float:
        return {"ρ=0.1": 3.0, "true pairs": 1.0}.get(arm.name, 0.0)

    made, _ = written(store, rho_study(), beyond)
    assert re.search(r"ρ=0\.1 exceeds the positive control by \+[12]\.\d+ dB \[.*?\] after Holm's", made.headline)
    assert "the control is not the most that could be gained" in made.headline
    below, _ = written(store, rho_study(), gain)
    assert "exceed" not in below.headline


def test_a_control_that_fails_is_no_bound(store: Store) -> None:
    made, _ = written(store, rho_study(), lambda arm, kernel: -5.0 * (arm.name == "true pairs"))
    assert "The positive control fails" in made.headline
    assert "exceed" not in made.headline


@pytest.mark.parametrize(("metric", "other", "gained"), [("ssim_y", "PSNR-Y", 0.2), ("psnr_y", "SSIM-Y", 2.0)])
def test_a_control_names_the_metrics_in_which_it_is_detected(
    store: Store, metric: str, other: str, gained: float
) -> None:
    def changed(trial: PlannedTrial, rows: pd.DataFrame) -> pd.DataFrame:
        hit = (rows["metric"] == metric) & (trial.arm.name == "true pairs")
        return rows.assign(value=rows["value"] + gained * hit)

    text = headline(store, rho_study(), lambda arm, kernel: 0.0, change=changed)
    in_psnr, in_ssim = ("detected", "not detected") if metric == "psnr_y" else ("not detected", "detected")
    assert text.startswith(f"The positive control is {in_psnr}: 'true pairs' ")
    assert f"; in SSIM-Y it is {in_ssim} (+0." in text
    assert (
        f"Without a detected positive control in {other}, "
        f"the absence of a significant difference in {other} is no evidence of equality."
    ) in text


def test_the_controls_of_cells_name_the_metrics(store: Store) -> None:
    def changed(trial: PlannedTrial, rows: pd.DataFrame) -> pd.DataFrame:
        hit = (rows["metric"] == "ssim_y") & (trial.arm.values.get("training") == "pairs")
        return rows.assign(value=rows["value"] + 0.3 * hit)

    text = headline(store, adapt_study(outputs=[]), lambda arm, kernel: 0.0, change=changed)
    assert text.startswith("The positive control is not detected in PSNR-Y: 'pairs' differs by ")
    assert "; in SSIM-Y it is detected in both cells" in text
    assert "Without a detected positive control in PSNR-Y" in text


def flat(gains: dict[str, float]) -> Callable[[PlannedTrial, pd.DataFrame], pd.DataFrame]:
    """Scores that vary over seeds and images alike in all arms, which differ by constants."""

    def change(trial: PlannedTrial, rows: pd.DataFrame) -> pd.DataFrame:
        images = rows["image"].str[3:].astype(float)
        return rows.assign(value=25 + 0.1 * images * (1 + trial.trial.seed) + gains.get(trial.arm.name, 0.0))

    return change


def test_differences_without_variance_are_called_what_they_are(store: Store) -> None:
    gains = {"ρ=0.3": 0.5, "ρ=1": -0.5, "true pairs": 0.3}
    made, table = written(store, rho_study(), change=flat(gains))
    assert "2 different by a constant on every seed and image, which leaves nothing to test (ρ=0.3 by +0.500 dB" in (
        made.headline
    )
    assert "1 equal on every seed and image (ρ=0.1)" in made.headline
    assert "ρ=0.3 exceeds the positive control on every seed and image by the same amount" in made.headline
    assert "significant" not in made.headline
    assert "†" not in row(table, "1")
    only = rho_study(axes=[Axis("adapt.rho", [0, 1], label="ρ")], arms={}, control=None)
    assert headline(store, only, gain, change=flat({})).startswith("ρ=1 equals ρ=0 on photos-test, bd ×4")
    text = headline(store, only, gain, change=flat({"ρ=1": -0.5}))
    assert text.startswith("ρ=1 differs from ρ=0 on photos-test, bd ×4")
    assert "by a constant -0.500 dB on every seed and image" in text


def test_arms_without_variance_against_the_control_are_all_said(store: Store) -> None:
    """All differ from the baseline with variance; from the control one not at all, one by a constant above, one below."""
    gains = {"ρ=0.1": 0.5, "ρ=0.3": 0.7, "ρ=1": 0.2, "true pairs": 0.5}

    def change(trial: PlannedTrial, rows: pd.DataFrame) -> pd.DataFrame:
        return rows if trial.arm.name == "ρ=0" else flat({k: 9 + v for k, v in gains.items()})(trial, rows)

    text = headline(store, rho_study(), lambda arm, kernel: 0.0, change=change)
    assert "ρ=0.1 equals the positive control on every seed and image." in text
    assert "ρ=0.3 exceeds the positive control on every seed and image by the same amount: " in text
    assert "ρ=1 exceeds" not in text


def test_constant_differences_are_said_of_pooled_test_sets(store: Store) -> None:
    sets = [Evaluate(name, metrics=("psnr_y",)) for name in ("photos/test", "Set5")]
    study = rho_study(base=base(evaluate=sets), control=None, arms={})
    text = headline(store, study, lambda arm, kernel: 0.0, change=flat({"ρ=0.3": 0.5}))
    pooled = text.partition("Over photos-test and Set5 together")[2]
    assert (
        "1 different by a constant on every seed and image, which leaves nothing to test (ρ=0.3 by +0.500 dB)" in pooled
    )
    assert "2 equal on every seed and image (ρ=0.1 and ρ=1)" in pooled


@pytest.mark.parametrize("seeds", [2, 3])
def test_the_control_is_said_to_be_judged_by_its_own_interval(store: Store, seeds: int) -> None:
    made, table = written(store, rho_study(seeds=seeds))
    assert ("differences, that on the control by its own 95 % interval." in made.headline) == (seeds == 3)
    assert ("sentences judge the control by its own 95 % interval" in table) == (seeds == 3)
    without, table = written(store, rho_study(seeds=seeds, control=None))
    assert "own 95 % interval" not in without.headline + table


def test_losses_of_the_control_on_other_test_sets_are_said(store: Store) -> None:
    """The control gains on bd, and loses 0.3 dB and some SSIM on bicubic, where no other arm differs."""
    made, _ = written(store, rho_study(), lambda arm, kernel: gain(arm, kernel) if arm.name == "true pairs" else 0.0)
    assert "On photos-test, bicubic ×4 none of 6 differences of 3 arms in PSNR-Y and SSIM-Y is significant." in (
        made.headline
    )
    loss = r"0\.\d+( dB)? \[0\.\d+, 0\.\d+\]"
    where = f"{loss} in PSNR-Y and {loss} in SSIM-Y on photos-test, bicubic ×4"
    assert re.search(rf"By its own 95 % interval the positive control loses {where}\.", made.headline), made.headline
    alone, _ = written(store, rho_study(axes=[Axis("adapt.rho", [0], label="ρ")]))
    assert re.search(f"the positive control loses {where}", alone.headline)
    nowhere, _ = written(store, rho_study(), lambda arm, kernel: 0.0)
    assert "By its own" not in nowhere.headline


def test_losses_of_the_controls_of_cells_are_said(store: Store) -> None:
    evaluate = [Evaluate("photos/test", metrics=("psnr_y",)), Evaluate("Set5", metrics=("psnr_y",))]
    study = adapt_study(outputs=[], base=base(stages=adapt_study().base.stages, evaluate=evaluate))

    def lost(trial: PlannedTrial, rows: pd.DataFrame) -> pd.DataFrame:
        hit = (rows["dataset"] == "Set5") & (trial.arm.values.get("training") == "pairs")
        return rows.assign(value=rows["value"] - 2.0 * hit)

    text = headline(store, study, lambda arm, kernel: 0.0, change=lost)
    loss = r"\S+ \S+ [12]\.\d+ dB \[[^]]*\] in PSNR-Y on Set5, \S+ ×4"
    assert re.search(rf"By their own 95 % intervals the positive controls lose {loss} and {loss}\.", text), text
