"""Seeds that failed, and seeds that lie far from the others: where reports say so."""

from __future__ import annotations

import re
from collections.abc import Callable

import pandas as pd
import pytest

from drnbench.outputs import crops, report
from drnbench.planning import PlannedTrial
from drnbench.results import reading
from drnbench.store import Status, Store
from tests.fake_store import fill, plan_of
from tests.outputs.conftest import failing, gain, headline, rho_study, row, written

pytestmark = pytest.mark.usefixtures("undrawn")


def follows_the_answer(caution: str, headline: str) -> bool:
    """Return True if a headline has a caution, and before it what the study shows."""
    before, _, _ = headline.partition(caution)
    return caution in headline and any(word in before for word in ("control", "compared", "against", "differs"))


def test_a_diverged_seed_is_said_in_row_caption_and_headline(store: Store) -> None:
    made, table = written(store, rho_study(), failed=failing("ρ=0.3", seeds=(1,)))
    words = "ρ=0.3: 1 of 3 seeds diverged (seed 1); the mean leaves it out."
    assert follows_the_answer(words, made.headline)
    assert "so far" not in made.headline
    assert "1 arm with two seeds: not starred" in made.headline
    caption = table.rpartition("|\n")[2]
    assert words in caption
    assert "Unfinished" not in caption
    assert "2 (1 of 3 diverged)" in row(table, "0.3")
    page = (store.study("unpaired/quick") / "report.html").read_text(encoding="utf-8")
    assert "15 of 16 done, 1 failed" in page


def test_a_failure_while_others_still_run(store: Store) -> None:
    plan = plan_of(rho_study())
    fill(store, plan, gain, done=lambda trial: trial.arm.name != "ρ=0.3")
    broken = next(trial for trial in plan.trials if trial.arm.name == "ρ=0.3")
    store.write_status(store.stage(broken.stages[-1]), Status("failed", kind="oom", message="out of memory"))
    headline = report.write(store, "unpaired").headline
    assert headline.startswith("13 of 16 trials so far. ")
    assert follows_the_answer("ρ=0.3: 1 of 3 seeds ran out of memory (seed 0)", headline)


@pytest.mark.parametrize(
    ("arm", "words", "never"),
    [
        ("true pairs", "The positive control 'true pairs' has no scores.", "no scores yet"),
        ("ρ=0", "The baseline ρ=0 has no scores, so nothing is compared.", "gains"),
    ],
)
def test_an_arm_that_failed_whole_is_not_waited_for(store: Store, arm: str, words: str, never: str) -> None:
    made, _ = written(store, rho_study(), failed=failing(arm, seeds=(0, 1, 2)))
    assert follows_the_answer(f"{arm}: all 3 seeds diverged, so there is no mean. ", made.headline)
    assert words in made.headline
    assert never not in made.headline
    assert "so far" not in made.headline


def test_a_seed_that_failed_everywhere_is_said_once(store: Store) -> None:
    made, _ = written(store, rho_study(), failed=lambda trial: bool(trial.stages) and trial.trial.seed == 2)
    assert follows_the_answer(
        "ρ=0, ρ=0.1, ρ=0.3, ρ=1 and 1 more arm: each 1 of 3 seeds diverged (seed 2)", made.headline
    )
    assert "(2 seeds, 5 images)" in made.headline


@pytest.mark.parametrize("unit", ["trial", "stage"])
def test_a_recorded_failure_counts_whatever_scores_are_left(store: Store, unit: str) -> None:
    plan = plan_of(rho_study())
    fill(store, plan, gain)
    trial = next(t for t in plan.trials if t.arm.name == "ρ=0.3" and t.trial.seed == 1)
    folder = store.trial(trial.unit.key) if unit == "trial" else store.stage(trial.stages[-1])
    evaluations = [e.key for e in trial.unit.wanted] if unit == "trial" else []
    status = Status("failed", kind="diverged", message="the loss is not finite", evaluations=evaluations)
    store.write_status(folder, status)
    made = report.write(store, "unpaired")
    assert follows_the_answer("ρ=0.3: 1 of 3 seeds diverged (seed 1); the mean leaves it out.", made.headline)
    location = store.study("unpaired/quick")
    assert "2 (1 of 3 diverged)" in row((location / "table_rho.md").read_text(encoding="utf-8"), "0.3")
    page = (location / "report.html").read_text(encoding="utf-8")
    assert "15 of 16 done, 1 failed" in page
    assert ("the scores that are left of it are not counted" in page) == (unit == "stage")
    again = plan_of(rho_study(), store=store)
    assert [t.state for t in again.trials].count("failed") == 1


def test_a_failure_in_a_metric_of_another_study_takes_no_scores(store: Store) -> None:
    plan = plan_of(rho_study())
    fill(store, plan, gain)
    trial = next(t for t in plan.trials if t.arm.name == "ρ=0.3" and t.trial.seed == 1)
    evaluations = [e.key for e in trial.unit.wanted]
    status = Status("failed", kind="error", message="lpips: no weights", evaluations=evaluations)
    store.write_status(store.trial(trial.unit.key), status)
    made = report.write(store, "unpaired")
    assert "lpips" not in made.headline
    assert made.incomplete == 0
    assert [t.state for t in plan_of(rho_study(), store=store).trials].count("done") == 16


def test_a_difference_on_fewer_seeds_than_its_row_says_so(store: Store) -> None:
    _, table = written(store, rho_study(), failed=failing("ρ=0", seeds=(1,)))
    assert row(table, "0.3").count("(2 common seeds)") == 4  # every Δ
    assert "common seeds" not in row(table, "0 (baseline)") + row(table, "bicubic")
    macros = (store.study("unpaired/quick") / "macros.tex").read_text(encoding="utf-8")
    assert "% ρ=0.3, photos-test, bd ×4, psnr_y; 3 seeds, 5 images; Delta on 2 seeds, 5 images" in macros


def collapsed(arms: tuple[str, ...], seed: int, loss: float) -> Callable[[PlannedTrial, pd.DataFrame], pd.DataFrame]:
    """Scores of which the PSNR of one seed of some arms is lower, and finite."""

    def change(trial: PlannedTrial, rows: pd.DataFrame) -> pd.DataFrame:
        hit = (rows["metric"] == "psnr_y") & (trial.arm.name in arms) & (trial.trial.seed == seed)
        return rows.assign(value=rows["value"] - loss * hit)

    return change


ALL_ARMS = ("ρ=0", "ρ=0.1", "ρ=0.3", "ρ=1", "true pairs")


@pytest.mark.parametrize(
    ("arms", "seeds", "words"),
    [
        (("ρ=0.3",), 3, "Seed 1 of ρ=0.3 lies 21.4 dB below the other seeds on photos-test, bd ×4 in PSNR-Y and in 1 more column; "),
        (("ρ=0.3",), 2, "Seed 1 of ρ=0.3 lies 21.4 dB below seed 0 on photos-test, bd ×4 in PSNR-Y and in 1 more column; the "),
        (ALL_ARMS, 5, "Seed 1 of ρ=0, ρ=0.1, ρ=0.3, ρ=1 and 1 more lies 21.4 dB below the other seeds on "),
        (("ρ=0", "ρ=1"), 2, "Seed 1 of ρ=0 and ρ=1 lies 21.4 dB below seed 0 on "),
    ],
)  # fmt: skip
def test_a_seed_that_collapsed_to_finite_values_is_said(
    store: Store, arms: tuple[str, ...], seeds: int, words: str
) -> None:
    made, table = written(store, rho_study(seeds=seeds), lambda arm, kernel: 0.0, change=collapsed(arms, 1, 21.4))
    assert follows_the_answer(words, re.sub(r"21\.[345](–21\.[45])?", "21.4", made.headline))
    assert re.search(r"Seed 1 of [^;]*", made.headline)[0] in table


def test_seeds_that_lie_as_usual_are_not_pointed_out(store: Store) -> None:
    for seeds in (1, 2, 3):
        assert "other seeds" not in headline(store, rho_study(seeds=seeds), gain)
        assert "below seed" not in headline(store, rho_study(seeds=seeds), gain)


def test_seeds_with_equal_scores_are_said(store: Store) -> None:
    def copied(trial: PlannedTrial, rows: pd.DataFrame) -> pd.DataFrame:
        images = rows["image"].str[3:].astype(float)
        return rows.assign(value=25 + images**2) if trial.arm.name == "ρ=0.3" else rows

    made, table = written(store, rho_study(), gain, change=copied)
    words = "All seeds of ρ=0.3 have the same scores"
    assert words in made.headline
    assert words in table


@pytest.mark.parametrize("seed", [1, 2])
def test_outlying_seeds_in_further_columns_are_said(store: Store, seed: int) -> None:
    """Seed 1 collapses in PSNR under both kernels, and a seed, the same or another one, in SSIM under one."""

    def change(trial: PlannedTrial, rows: pd.DataFrame) -> pd.DataFrame:
        rows = collapsed(("ρ=0.3",), 1, 21.4)(trial, rows)
        hit = (rows["metric"] == "ssim_y") & (rows["kernel"] == "bd")
        return rows.assign(value=rows["value"] - 0.6 * hit * (trial.arm.name == "ρ=0.3" and trial.trial.seed == seed))

    text = headline(store, rho_study(seeds=4), gain, change=change)
    others = " (there seed 2, too)" if seed == 2 else ""
    assert f" in PSNR-Y and in 2 more columns{others}; the mean includes it." in text


def test_one_column_with_outlying_seeds_is_no_more_than_one(store: Store) -> None:
    def change(trial: PlannedTrial, rows: pd.DataFrame) -> pd.DataFrame:
        changed = collapsed(("ρ=0.3",), 1, 21.4)(trial, rows)
        return rows.where(rows["kernel"] != "bd", changed)

    assert "more column" not in headline(store, rho_study(), gain, change=change)


def strip_caption(store: Store, seeds: int, *outliers: tuple[str, int]) -> str:
    """The caption of the crops of a study in which some seeds collapsed."""

    def change(trial: PlannedTrial, rows: pd.DataFrame) -> pd.DataFrame:
        for arm, seed in outliers:
            rows = collapsed((arm,), seed, 21.4)(trial, rows)
        return rows

    fill(store, plan_of(rho_study(seeds=seeds)), gain, change=change, samples=True)
    return drawn_caption(store)


def drawn_caption(store: Store) -> str:
    figure = crops.draw(reading.read(store, "unpaired"), store)
    assert figure is not None
    return figure.caption


@pytest.mark.fast_variants(1)
@pytest.mark.parametrize(
    ("seeds", "outliers", "words", "never"),
    [
        (3, (("ρ=0.3", 0),), "; seed 1, LR enlarged", "lies far"),
        (4, (("ρ=0.3", 0), ("true pairs", 1)), "; seed 2, LR enlarged", "lies far"),
        (
            3, (("ρ=0", 0), ("ρ=0.3", 1), ("true pairs", 2)),
            "; seed 0, LR enlarged without interpolation. Seed 0 of ρ=0 lies far below its other seeds.", "seed 1",
        ),
        (2, (("ρ=0.3", 1),), "; seed 0, LR enlarged without interpolation. Seed 0 of ρ=0.3 lies far above its other", "1"),
    ],
)  # fmt: skip
def test_crops_are_of_a_seed_that_lies_far_from_no_other(
    store: Store, seeds: int, outliers: tuple[tuple[str, int], ...], words: str, never: str
) -> None:
    caption = strip_caption(store, seeds, *outliers)
    assert words in caption
    assert never not in caption.partition("each; ")[2]


def test_crops_are_of_a_seed_that_all_arms_have(store: Store) -> None:
    fill(
        store,
        plan_of(rho_study()),
        gain,
        samples=True,
        done=lambda trial: trial.arm.name != "ρ=0.3" or trial.trial.seed == 2,
    )
    assert "; seed 2, LR enlarged" in drawn_caption(store)


def test_crops_of_bicubic_alone_are_of_no_seed(store: Store) -> None:
    """As after a first run whose training failed: the reference is scored, no arm is."""
    fill(store, plan_of(rho_study()), gain, samples=True, done=lambda trial: trial.arm.kind == "reference")
    assert "each; LR enlarged without interpolation." in drawn_caption(store)
