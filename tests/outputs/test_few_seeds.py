"""Headlines of one or two seeds, one image, and arms that lack the seeds of the others: nothing is claimed of them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

import pandas as pd
import pytest

from drnbench.config.study import Axis, Study, Until
from drnbench.outputs import report
from drnbench.planning import PlannedTrial
from drnbench.results.plan_record import write_plan
from drnbench.store import Store
from tests.fake_store import base, fill, plan_of
from tests.outputs.conftest import composed, failing, gain, headline, notes_of, rho_study, row, written
from tests.outputs.shapes import adapt_study, dual_study

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.mark.parametrize("seeds", [2, 3])
def test_arms_with_two_seeds_are_cautioned(store: Store, seeds: int) -> None:
    made, table = written(store, rho_study(seeds=seeds), failed=failing("ρ=1", seeds=(1,) if seeds == 3 else ()))
    words = "Two seeds: " if seeds == 2 else "1 arm with two seeds: not starred."
    assert words in made.headline
    assert "†" not in row(table, "1")
    assert "\\*" not in row(table, "1")


def test_one_test_image_says_nothing_of_methods(store: Store) -> None:
    made, table = written(store, rho_study(), images=1)
    assert "(3 seeds, 1 image)" in made.headline
    assert "One test image: these are differences on this image, not of the methods." in made.headline
    assert "†" not in row(table, "1")
    assert "\\*" not in row(table, "true pairs")


def test_one_test_image_tests_nothing(store: Store) -> None:
    made, _ = written(store, rho_study(margin={"psnr_y": 0.1}), images=1)
    assert "The 3 other values of ρ are not tested (one test image) against ρ=0: best ρ=" in made.headline
    assert "The positive control is not judged (one test image): " in made.headline
    assert re.search(r"best ρ=\S+ with .*, worst ρ=1 with ", made.headline)
    words = ("Holm", "significant", "equivalen", " gains ", " loses ", "is detected")
    assert [word for word in words if word in made.headline] == [], made.headline


def test_one_test_image_in_each_cell_tests_nothing(store: Store) -> None:
    fill(store, plan_of(adapt_study(outputs=[]), "cells"), lambda arm, kernel: 0.0, images=1)
    headline = report.write(store, "cells").headline
    assert "not tested (one test image): kernel=" in headline
    assert not any(word in headline for word in ("Holm", "significant"))


def test_sizes_of_all_arms_are_named_where_seeds_differ(store: Store) -> None:
    missing = failing("ρ=0.1", seeds=(2,))
    without, _ = written(store, rho_study(control=None), lambda arm, kernel: 0.0, failed=missing)
    assert "in PSNR-Y (2–3 seeds, 5 images)" in without.headline
    beside, _ = written(store, rho_study(), lambda arm, kernel: 0.0, failed=missing)
    assert "differs significantly from ρ=0 (2–3 seeds, 5 images)" in beside.headline


CLAIMS = (
    "Holm",
    "significant",
    " gains ",
    " loses ",
    "better (",
    "worse (",
    "is detected",
    "tested alone",
    "equivalent",
)


def last_arm_on(*seeds: int) -> Callable[[PlannedTrial], bool]:
    """The trials of a study in which ρ = 0.3 has some seeds only, and all other arms have all."""
    return lambda trial: trial.arm.name != "ρ=0.3" or trial.trial.seed in seeds


@pytest.mark.parametrize("arms", [1, 3])
def test_one_seed_claims_nothing(store: Store, arms: int) -> None:
    axes = [Axis("adapt.rho", [0, 1.0] if arms == 1 else [0, 0.1, 0.3, 1.0], label="ρ")]
    text = headline(store, rho_study(axes=axes, seeds=1, margin={"psnr_y": 0.1}, primary={"adapt.rho": 1.0}), gain)
    assert "ρ=1 on photos-test, bd ×4 in PSNR-Y, is not tested (one common seed) against ρ=0: -9." in text
    assert "The positive control is not judged (one seed): 'true pairs' differs by +0.2" in text
    assert [word for word in CLAIMS if word in text] == [], text
    assert arms == 1 or "The 2 other values of ρ are not tested (one common seed) against ρ=0: best ρ=0.3" in text
    assert "In SSIM-Y: " in text or arms == 1


def test_one_seed_in_each_cell_claims_nothing(store: Store) -> None:
    text = headline(store, adapt_study(outputs=[], seeds=1), lambda arm, kernel: -5.0 * (arm.name == "adapted, bd"))
    assert "not tested (one common seed): kernel=skewed with " in text
    assert [word for word in CLAIMS if word in text] == [], text


def test_sentences_claim_what_summary_csv_tests(store: Store) -> None:
    """Whatever is called better or worse has an adjusted p below 5 %."""
    for seeds, images in itertools.product((1, 2, 3), (1, 5)):
        fill(store, plan_of(rho_study(seeds=seeds)), gain, images=images)
        results = composed(store)[0].results.values()
        assert all(result.p_holm is not None and result.p_holm < 0.05 for result in results if result.claim)
        assert any(result.claim for result in results) == (seeds > 1 and images > 1)


def test_untrained_methods_are_not_called_one_seed(store: Store) -> None:
    methods = Axis("method", ["bicubic", "ibp"])
    study = Study(base=base(method="bicubic", stages=[]), axes=[methods], baseline={"method": "bicubic"})
    text = headline(store, study, gain)
    assert "method=ibp is not tested (untrained) against method=bicubic" in text
    assert not any(word in text for word in ("checkpoint", "one seed", "significant"))


def test_two_seeds_judge_no_equality(store: Store) -> None:
    study = rho_study(margin={"psnr_y": 0.1}, primary={"adapt.rho": 0.3}, seeds=2)
    made, table = written(store, study, lambda arm, kernel: 0.0)
    assert "not judged as to equivalence within 0.1 dB: two seeds" in made.headline.partition("tested alone")[2]
    assert "2 not judged within 0.1 dB: two seeds (" in made.headline
    assert "undecided" not in made.headline
    assert "The positive control is not judged (two seeds): 'true pairs' differs by " in made.headline
    assert "or under 3 common seeds or two images not judged" in table
    frame = pd.read_csv(store.study("unpaired/quick") / "summary.csv")
    assert set(frame.loc[frame["metric"] == "psnr_y", "equivalence"].dropna()) == {"not judged"}


def test_two_seeds_among_three_judge_no_equality(store: Store) -> None:
    text = headline(store, rho_study(margin={"psnr_y": 0.1}), lambda arm, kernel: 0.0, done=last_arm_on(0, 1))
    assert "1 not judged within 0.1 dB: two seeds (ρ=0.3)" in text


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        ((2,), "ρ=0.3 has no seed in common with ρ=0 and is not compared. "),
        ((1,), "ρ=0.3 is not tested (one common seed). "),
    ],
)
def test_arms_that_lack_the_seeds_of_the_baseline_are_named(store: Store, seeds: tuple[int, ...], words: str) -> None:
    study, arm_has = rho_study(control=None, arms={}), last_arm_on(*seeds)
    text = headline(store, study, gain, done=lambda t: arm_has(t) and (t.arm.name != "ρ=0" or t.trial.seed < 2))
    assert text.count(words) == 1
    assert "Of the 2 other " in text


@pytest.mark.parametrize("arm", ["ρ=0.3", "ρ=0"])
def test_arms_that_lack_a_metric_are_named(store: Store, arm: str) -> None:
    def without(trial: PlannedTrial, rows: pd.DataFrame) -> pd.DataFrame:
        return rows[(rows["metric"] != "ssim_y") | (trial.arm.name != arm)]

    text = headline(store, rho_study(control=None, arms={}), gain, change=without)
    expected = {
        "ρ=0.3": "ρ=0.3 has no scores in SSIM-Y and is not compared there. ",
        "ρ=0": "ρ=0.1, ρ=0.3 and ρ=1 are not compared in SSIM-Y, as ρ=0 has no scores there. ",
    }
    assert text.count(expected[arm]) == 1
    assert ("In SSIM-Y: " in text) == (arm == "ρ=0.3")


def test_arms_that_lack_the_images_of_a_test_set_are_named(store: Store) -> None:
    def halves(trial: PlannedTrial, rows: pd.DataFrame) -> pd.DataFrame:
        own = (rows["image"] < "img02") == (trial.arm.name == "ρ=0.3")
        return rows[own | (rows["kernel"] != "bicubic")]

    text = headline(store, rho_study(), gain, change=halves)
    assert "ρ=0.3 has no image in common with ρ=0 and is not compared on photos-test, bicubic ×4. " in text


def test_cells_without_a_common_seed_are_named(store: Store) -> None:
    def disjoint(trial: PlannedTrial) -> bool:
        return trial.arm.name not in ("S, on", "S, off") or (trial.trial.seed < 2) == (trial.arm.name == "S, off")

    text = headline(store, dual_study(axes=dual_study().axes[:2], outputs=[]), gain, done=disjoint)
    assert "S, on has no seed in common with its baseline and is not compared. " in text


def test_a_control_without_a_common_seed_says_so(store: Store) -> None:
    text = headline(
        store, rho_study(), gain,
        done=lambda t: t.arm.name not in ("ρ=0", "true pairs") or (t.trial.seed < 2) == (t.arm.name == "ρ=0"),
    )  # fmt: skip
    assert text.count("true pairs") == 1
    assert "The positive control 'true pairs' has no seed in common with ρ=0 and is not compared." in text


@pytest.mark.parametrize("baseline", [{"adapt.rho": 0}, {}])
def test_means_over_other_seeds_are_not_ranked(store: Store, baseline: dict[str, float]) -> None:
    """ρ = 0.3 is by far the best, of its only two seeds."""
    study = rho_study(control=None, arms={}, baseline=baseline)
    made, table = written(
        store, study, lambda arm, kernel: 5.0 * (arm.name == "ρ=0.3"), failed=failing("ρ=0.3", seeds=(1,))
    )
    assert "**" not in row(table, "0.3")
    assert "<ins>" not in row(table, "0.3")
    others = [row(table, label) for label in ("0 (baseline)" if baseline else "0", "0.1", "1")]
    assert sum("**" in line for line in others) >= 1
    words = "Only means over the same seeds, those that most arms have, are ranked, which leaves out ρ=0.3 in PSNR-Y and SSIM-Y."
    assert words in table
    if not baseline:
        assert "Not ranked, as their seeds are others: ρ=0.3." in made.headline


def test_a_seed_that_all_arms_lack_leaves_their_ranks(store: Store) -> None:
    _, table = written(store, rho_study(), gain, failed=lambda trial: bool(trial.stages) and trial.trial.seed == 1)
    assert "**" in table
    assert "not compete: " not in table
    assert "Only means over the same seeds" not in table


def test_disjoint_seeds_rank_nothing(store: Store) -> None:
    study = rho_study(control=None, arms={}, baseline={}, axes=[Axis("adapt.rho", [0, 0.3], label="ρ")])
    made, table = written(store, study, failed=lambda t: bool(t.stages) and (t.trial.seed < 2) == (t.arm.name == "ρ=0"))
    assert "**" not in table
    made, table = written(
        store, rho_study(control=None, arms={}, baseline={}, axes=study.axes, seeds=4), gain,
        failed=lambda t: bool(t.stages) and (t.trial.seed < 2) == (t.arm.name == "ρ=0"),
    )  # fmt: skip
    assert "**" not in table
    assert "rest on different seeds, so none is called best" in made.headline


def test_arms_of_a_study_that_adds_seeds_are_ranked_with_all_of_theirs(store: Store) -> None:
    plan = plan_of(rho_study(seeds=Until(half_width=0.01, at_least=3, at_most=5), control=None, arms={}))
    assert plan.trials
    fill(store, plan, lambda arm, kernel: 5.0 * (arm.name == "ρ=0.3"))
    report.write(store, "unpaired")
    table = (store.study("unpaired/quick") / "table_rho.md").read_text(encoding="utf-8")
    assert "**" in row(table, "0.3")
    assert "Arms with different numbers of seeds are ranked together" in table


def test_cells_none_of_which_has_a_common_seed_say_why(store: Store) -> None:
    def disjoint(trial: PlannedTrial) -> bool:
        return (trial.trial.seed < 2) == (trial.arm.values.get("loss") == "off")

    text = headline(store, dual_study(axes=dual_study().axes[:2], outputs=[]), gain, done=disjoint)
    assert "No arm has scores to compare with loss=off" in text
    assert "S, on and L, on have no seed in common with their baselines and are not compared. " in text


def test_the_correction_is_said_of_test_sets_with_several_images(store: Store) -> None:
    def few(trial: PlannedTrial, rows: pd.DataFrame) -> pd.DataFrame:
        del trial
        return rows[(rows["kernel"] != "bd") | (rows["image"] == "img00")]

    text = headline(store, rho_study(), gain, change=few)
    assert "are not tested (one test image) against ρ=0" in text
    assert "On photos-test, bicubic ×4, in PSNR-Y: 1 of 3 worse" in text
    assert "Verdicts are after Holm's correction over 8 differences." in text


def test_a_mean_over_fewer_seeds_than_another_metric_says_so_and_is_not_ranked(store: Store) -> None:
    def lost(trial: PlannedTrial, rows: pd.DataFrame) -> pd.DataFrame:
        keeps = trial.arm.name != "ρ=0.3" or trial.trial.seed == 0
        return rows if keeps else rows[rows["metric"] != "ssim_y"]

    _, table = written(store, rho_study(), lambda arm, kernel: 5.0 * (arm.name == "ρ=0.3"), change=lost)
    assert row(table, "0.3").count("(1 of 3 seeds)") == 2  # SSIM on both test sets
    assert row(table, "0.3").count("**") == 2 * 2  # PSNR
    assert "which leaves out ρ=0.3 in SSIM-Y." in table


@pytest.mark.parametrize("interrupted", [True, False])
def test_added_seeds_are_said_as_a_fact_once_they_are_all_there(store: Store, *, interrupted: bool) -> None:
    study = rho_study(seeds=Until(half_width=1.0, at_least=3, at_most=5), control=None, arms={})
    fill(store, plan_of(study), gain, done=lambda trial: trial.trial.seed == 0 or not interrupted)
    write_plan(plan_of(study, store=store).record(), store)
    made = report.write(store, "unpaired")
    notes = notes_of(store.study("unpaired/quick") / "table_rho.md")
    rule = "Seeds are added until the half-width of Δ is at most 1 dB.* \\(3 to 5 an arm\\)"
    if interrupted:
        assert re.search("Seeds are added until each half-width is at most 1 dB.*; so far 0 of 3 arms", made.headline)
        assert re.search(f"{rule}; so far: ", notes)
        assert "were added" not in made.headline + notes
    else:
        assert "Seeds were added: 3 of 3 arms reached a half-width of 1 dB" in made.headline
        assert re.search(f"{rule}: ", notes)
        assert "so far" not in made.headline + notes
