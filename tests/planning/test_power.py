"""Seeds that a difference needs: the formula against simulation and published tables, spreads against their definition."""

import math

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from drnbench.cli import main
from drnbench.errors import UsageError
from drnbench.planning.power import (
    Components,
    components_of,
    images_needed,
    outlook,
    power,
    seeds_needed,
    spread_interval,
    t_power,
)
from drnbench.results.statistics import three_spreads
from drnbench.session.declared import declare
from drnbench.store import Store
from tests.fake_store import finish
from tests.helpers import write_study


def of_seeds(sd: float, images: int = 5) -> Components:
    """Differences that vary between seeds and in no other way."""
    return Components("arm", sd, 0.0, 0.0, 3, images)


@pytest.mark.parametrize(
    ("sd", "difference", "alpha"), [(1.0, 1.0, 0.05), (0.3, 0.1, 0.05), (0.05, 0.1, 0.01), (2, 0.5, 0.025)]
)
def test_seeds_are_the_fewest_that_reach_the_power(sd, difference, alpha):
    seeds = seeds_needed(of_seeds(sd), difference, 5, alpha)
    reference = TTestPower()
    assert reference.power(difference / sd, seeds, alpha) >= 0.79
    assert seeds == 3 or reference.power(difference / sd, seeds - 1, alpha) < 0.81
    assert t_power(sd, difference, seeds, alpha) == pytest.approx(
        reference.power(difference / sd, seeds, alpha), abs=1e-9
    )
    assert power(of_seeds(sd), difference, seeds, 5, alpha) == pytest.approx(
        t_power(sd, difference, seeds, alpha), abs=0.01
    )


@pytest.mark.parametrize(
    ("seeds", "images", "sds"),
    [
        (3, 5, (0.03, 0.0, 0.07)),
        (3, 100, (0.03, 0.14, 0.07)),
        (5, 14, (0.03, 0.14, 0.07)),
        (10, 5, (0.0, 0.1, 0.05)),
        (4, 30, (0.05, 0.02, 0.2)),
    ],
)
def test_power_agrees_with_simulated_reports(seeds, images, sds):
    rng = np.random.default_rng([seeds, images])
    shapes = ((seeds, 1), (1, images), (seeds, images))
    D = 0.1 + sum(sd * rng.standard_normal((4000, *shape)) for sd, shape in zip(sds, shapes, strict=True))
    p = three_spreads([D]).p()
    for alpha in (0.05, 0.05 / 9):
        assert power(Components("arm", *sds, 3, 5), 0.1, seeds, images, alpha) == pytest.approx(
            (p < alpha).mean(), abs=0.03
        )


def test_components_are_those_that_differences_were_made_with():
    rng = np.random.default_rng(7)
    D = (
        0.3 * rng.standard_normal((400, 1))
        + 0.2 * rng.standard_normal((1, 300))
        + 0.1 * rng.standard_normal((400, 300))
    )
    parts = components_of("arm", D)
    assert (parts.seed, parts.image, parts.residual) == pytest.approx((0.3, 0.2, 0.1), rel=0.1)
    assert components_of("arm", np.full((3, 4), 0.1))[1:4] == (0.0, 0.0, 0.0)
    low, high = parts.interval
    assert low.seed < parts.seed < high.seed
    assert low.image < parts.image < high.image


def test_no_number_of_seeds_replaces_test_images():
    parts = Components("arm", 0.02, 0.14, 0.05, 3, 5)
    assert seeds_needed(parts, 0.1, 5) is None
    images = images_needed(parts, 0.1, 3)
    assert power(parts, 0.1, 3, images, 0.05) >= 0.8 > power(parts, 0.1, 3, images - 1, 0.05)
    assert images_needed(parts, 0.1, None) <= images
    assert seeds_needed(parts, 0.1, 2 * images) is not None
    # Where seeds deviate too much, no number of images helps; and one image is none.
    assert images_needed(parts._replace(seed=0.2), 0.1, 3) is None
    assert seeds_needed(of_seeds(0.01), 0.1, 1) is None


def test_the_ends_of_the_scale():
    assert seeds_needed(of_seeds(1e-9), 0.1, 5) == 3
    assert seeds_needed(of_seeds(0.0), 0.1, 5) == 3
    assert seeds_needed(of_seeds(100.0), 0.1, 5) is None
    assert power(of_seeds(1e-6), 1.0, 3, 5, 0.05) == 1.0
    assert t_power(1e-6, 1.0, 3, 0.05) == 1.0
    assert math.isfinite(t_power(10.0, 1e-6, 2, 1e-6))


def test_more_comparisons_and_smaller_differences_need_more():
    few, more, most = (
        seeds_needed(of_seeds(0.1), d, 5, a) for d, a in ((0.1, 0.05), (0.1, 0.05 / 8), (0.05, 0.05 / 8))
    )
    assert few < more < most


def test_the_interval_of_a_spread_covers_the_truth():
    draws = np.random.default_rng(1).normal(0, 2.0, (4000, 5)).std(axis=1, ddof=1)
    low, high = spread_interval(1.0, 5)
    assert ((draws * low < 2.0) & (draws * high > 2.0)).mean() == pytest.approx(0.95, abs=0.015)


FAMILY = 8
"""Cells of the study: two arms, each on two kernels in two metrics."""
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
    assert (needs.metric, needs.difference, needs.family) == ("psnr_y", 0.1, FAMILY)
    parts = {part.arm: part for part in needs.components}
    assert parts["ρ=0.5"].seed == pytest.approx(np.std(OFFSETS, ddof=1))
    assert (parts["ρ=0.5"].seeds, parts["ρ=0.5"].images) == (4, 3)
    assert parts["ρ=0.5"].alpha == 0.05 / FAMILY
    assert parts["true pairs"][1:4] == (0, 0, 0)
    assert not needs.siblings


def test_a_study_that_adds_seeds_is_planned_at_the_level_of_its_tests(finished):
    _, study, store, plan = finished
    adding = declare(study, "quick", {"seeds.half_width": 0.01, "seeds.at_least": 4}).plan(store)
    needs, fixed = outlook(adding, store), outlook(plan, store)
    assert needs.level == 0.02 < fixed.level == 0.05
    assert {part.alpha for part in needs.components} == {0.02 / FAMILY}
    assert seeds_needed(needs.components[0], 0.5, 3, 0.02 / FAMILY) >= seeds_needed(
        fixed.components[0], 0.5, 3, 0.05 / FAMILY
    )


def test_the_plan_prints_the_seeds_that_are_needed(finished, capsys):
    folder, study, _, _ = finished
    assert main(["plan", str(study), "--results", str(folder / "r"), "--difference", "0.5"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    parts = components_of("ρ=0.5", np.repeat([OFFSETS], 3, axis=0).T)
    counts = [seeds_needed(p, 0.5, 3, 0.05 / FAMILY) for p in (parts, *parts.interval)]
    assert (
        f"to see 0.5 dB in PSNR-Y on photos-test, bd ×2 (power 80%, two-sided test over seeds and images, alpha 0.05/{FAMILY})"
        in out
    )
    assert f"ρ=0.5: {counts[0]} ({counts[1]} to {counts[2]}), true pairs: no deviation measured; planned: 4" in out
    assert "An estimate from 2 comparisons over 4 seeds and 3 images" in out
    assert "1 of them of the positive control" in out
    assert out.count("in brackets at the ends") == 1


def test_the_plan_says_that_test_images_are_what_is_missing(tmp_path, capsys):
    def by_image(trial, evaluation, image):
        return noisy(trial, evaluation, image) + 0.3 * image * (trial.arm.name == "ρ=0.5")

    study = write_study(tmp_path, seeds=4)
    finish(study, tmp_path / "r", score=by_image)
    assert main(["plan", str(study), "--results", str(tmp_path / "r"), "--difference", "0.2"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "ρ=0.5: needs more test images" in out
    assert "in brackets at the ends" not in out  # no number has any


def test_before_any_trial_of_its_own_other_studies_are_measured(finished, tmp_path):
    folder, _, store, _ = finished
    other = write_study(tmp_path, name="longer", steps=5, seeds=2)
    needs = outlook(declare(other, "quick").plan(store), store)
    assert needs.siblings == ("mini/quick",)
    assert {part.seed > 0 for part in needs.components} == {True, False}
    assert {part.family for part in needs.components} == {FAMILY}
    assert not (folder / "r" / "longer").exists()


def test_unknown_stays_unknown(tmp_path, capsys):
    study = write_study(tmp_path)
    assert main(["plan", str(study), "--results", str(tmp_path / "r")]) == 0
    assert "unknown: nothing like it was measured" in capsys.readouterr().out


def test_one_seed_has_no_spread(tmp_path):
    store, plan = finish(write_study(tmp_path, seeds=1), tmp_path / "r", score=noisy)
    assert outlook(plan, store).components == ()


def test_infinite_scores_and_lost_files_count_as_absent(tmp_path):
    def value(trial, evaluation, image):
        return (
            float("inf")
            if image == 0 and trial.arm.name == "ρ=0.5" and trial.trial.seed == 1
            else noisy(trial, evaluation, image)
        )

    store, plan = finish(write_study(tmp_path, seeds=3), tmp_path / "r", score=value)
    parts = {part.arm: part for part in outlook(plan, store).components}
    assert parts["ρ=0.5"].seed == pytest.approx(np.std(OFFSETS[:3], ddof=1))
    lost = next(t for t in plan.trials if t.arm.name == "ρ=0.5")
    (store.trial(lost.unit.key) / "per_image.parquet").unlink()
    parts = {part.arm: part for part in outlook(plan, store).components}
    assert parts["ρ=0.5"].seeds == 2


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
