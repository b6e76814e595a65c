"""Seeds that a difference needs: the formula against simulation and published tables, spreads against their definition."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from drnbench.cli import main
from drnbench.errors import UsageError
from drnbench.planning.power import outlook, power, seeds_needed, spread_interval
from drnbench.session.declared import declare
from drnbench.store import Store
from tests.fake_store import finish
from tests.helpers import write_study


@pytest.mark.parametrize(
    ("sd", "difference", "alpha"), [(1.0, 1.0, 0.05), (0.3, 0.1, 0.05), (0.05, 0.1, 0.01), (2, 0.5, 0.025)]
)
def test_seeds_are_the_fewest_that_reach_the_power(sd, difference, alpha):
    seeds = seeds_needed(sd, difference, alpha)
    theirs = TTestPower()
    assert theirs.power(difference / sd, seeds, alpha) >= 0.8
    assert seeds == 3 or theirs.power(difference / sd, seeds - 1, alpha) < 0.8
    assert power(sd, difference, seeds, alpha) == pytest.approx(theirs.power(difference / sd, seeds, alpha), abs=1e-9)


def test_power_agrees_with_simulation():
    draws = np.random.default_rng(0).normal(0.1, 0.1, (20_000, 10))
    share = (stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05).mean()
    assert power(0.1, 0.1, 10, 0.05) == pytest.approx(share, abs=0.01)


def test_the_ends_of_the_scale():
    assert seeds_needed(1e-9, 0.1, 0.05) == 3
    assert seeds_needed(0.0, 0.1, 0.05) == 3
    assert seeds_needed(100.0, 0.1, 0.05) is None
    assert power(1e-6, 1.0, 3, 0.05) == 1.0
    assert math.isfinite(power(10.0, 1e-6, 2, 1e-6))


def test_more_comparisons_and_smaller_differences_need_more():
    assert seeds_needed(0.1, 0.1, 0.05) < seeds_needed(0.1, 0.1, 0.05 / 8) < seeds_needed(0.1, 0.05, 0.05 / 8)


def test_the_interval_of_a_spread_covers_the_truth():
    draws = np.random.default_rng(1).normal(0, 2.0, (4000, 5)).std(axis=1, ddof=1)
    low, high = spread_interval(1.0, 5)
    assert ((draws * low < 2.0) & (draws * high > 2.0)).mean() == pytest.approx(0.95, abs=0.015)


OFFSETS = (0.0, 0.3, -0.1, 0.2)


def noisy(trial, evaluation, image):
    """The arm ρ=0.5 differs from the baseline by an amount of each seed's own; images and seeds move both alike."""
    own = OFFSETS[trial.trial.seed] if trial.arm.name == "ρ=0.5" else 0.0
    return 30.0 + 2 * image + trial.trial.seed + own


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    study = write_study(folder, seeds=4)
    store, plan = finish(study, folder / "r", score=noisy)
    return folder, study, store, plan


def test_spreads_are_those_of_paired_differences(finished):
    _, _, store, plan = finished
    needs = outlook(plan, store)
    assert (needs.metric, needs.difference, needs.comparisons, needs.alpha) == ("psnr_y", 0.1, 2, 0.025)
    spreads = {spread.arm: spread for spread in needs.spreads}
    assert spreads["ρ=0.5"].sd == pytest.approx(np.std(OFFSETS, ddof=1))
    assert spreads["ρ=0.5"].seeds == 4
    assert spreads["true pairs"].sd == 0
    assert not needs.siblings


def test_the_plan_tells_seeds(finished, capsys):
    folder, study, _, _ = finished
    assert main(["plan", str(study), "--results", str(folder / "r"), "--difference", "0.5"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    sd = float(np.std(OFFSETS, ddof=1))
    wanted = seeds_needed(sd, 0.5, 0.025)
    ends = [seeds_needed(end, 0.5, 0.025) for end in spread_interval(sd, 4)]
    assert (
        "to see 0.5 dB in PSNR-Y on photos-test, bd ×2 (power 80%, two-sided paired t over seeds, alpha 0.05/2)" in out
    )
    assert f"ρ=0.5: {wanted} ({ends[0]} to {ends[1]}), true pairs: no spread measured; planned: 4" in out
    assert "An estimate from 2 spreads over 4 seeds" in out


def test_before_any_trial_of_its_own_siblings_tell(finished, tmp_path):
    folder, _, store, _ = finished
    other = write_study(tmp_path, name="longer", steps=5, seeds=2)
    needs = outlook(declare(other, "quick").plan(store), store)
    assert needs.siblings == ("mini/quick",)
    assert {spread.sd > 0 for spread in needs.spreads} == {True, False}
    assert not (folder / "r" / "longer").exists()


def test_unknown_stays_unknown(tmp_path, capsys):
    study = write_study(tmp_path)
    assert main(["plan", str(study), "--results", str(tmp_path / "r")]) == 0
    assert "unknown: nothing like it was measured" in capsys.readouterr().out


def test_one_seed_has_no_spread(tmp_path):
    store, plan = finish(write_study(tmp_path, seeds=1), tmp_path / "r", score=noisy)
    assert outlook(plan, store).spreads == ()


def test_infinite_scores_and_lost_files_count_as_absent(tmp_path):
    def value(trial, evaluation, image):
        return (
            float("inf")
            if image == 0 and trial.arm.name == "ρ=0.5" and trial.trial.seed == 1
            else noisy(trial, evaluation, image)
        )

    store, plan = finish(write_study(tmp_path, seeds=3), tmp_path / "r", score=value)
    spreads = {spread.arm: spread for spread in outlook(plan, store).spreads}
    assert spreads["ρ=0.5"].sd == pytest.approx(np.std(OFFSETS[:3], ddof=1))
    lost = next(t for t in plan.trials if t.arm.name == "ρ=0.5")
    (store.trial(lost.unit.key) / "per_image.parquet").unlink()
    spreads = {spread.arm: spread for spread in outlook(plan, store).spreads}
    assert spreads["ρ=0.5"].seeds == 2


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.inf, math.nan])
def test_a_difference_is_above_zero(finished, wrong):
    _, _, store, plan = finished
    with pytest.raises(UsageError, match="give a number above 0"):
        outlook(plan, store, wrong)


def test_no_baseline_no_comparison(finished, tmp_path):
    _, _, store, _ = finished
    path = write_study(tmp_path, name="plain")
    text = path.read_text(encoding="utf-8").replace('baseline={"adapt.rho": 0.0}, control="true pairs",', "")
    path.write_text(text.replace('{"adapt.scheme"', '{"adapt.rho": 0.0, "adapt.scheme"'), encoding="utf-8")
    assert outlook(declare(path, "quick").plan(Store(store.root)), store) is None
