"""The headline of stores in which something went wrong, or from which little follows: what it says and must not say."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from drnbench.config.study import Axis
from drnbench.config.trial import Evaluate
from drnbench.outputs import report
from drnbench.planning import PlannedTrial
from drnbench.store import Store
from tests.fake_store import base, fill, plan_of
from tests.outputs.conftest import headline, notes_of, rho_study, row, written
from tests.outputs.shapes import gap_study

pytestmark = pytest.mark.usefixtures("undrawn")


def worse_ssim(trial: PlannedTrial, rows: pd.DataFrame) -> pd.DataFrame:
    """ρ = 0.1 loses 0.05 in SSIM, and nothing in PSNR."""
    loses = (rows["metric"] == "ssim_y") & (trial.arm.name == "ρ=0.1")
    return rows.assign(value=rows["value"] - 0.05 * loses)


@pytest.mark.parametrize("arms", [1, 3])
def test_a_loss_in_ssim_follows_what_psnr_shows(store: Store, arms: int) -> None:
    axes = [Axis("adapt.rho", [0, 0.1] if arms == 1 else [0, 0.1, 0.3, 1.0], label="ρ")]
    study = rho_study(axes=axes, control=None, arms={})
    made, table = written(store, study, lambda arm, kernel: 0.0, change=worse_ssim)
    first, _, rest = made.headline.partition(" In SSIM-Y: ")
    assert first.count(". ") <= 1  # no more than the sentence on PSNR stands before it
    assert "differ" in first
    assert rest.startswith("ρ=0.1 loses 0.0" if arms == 1 else "1 of 3 worse (ρ=0.1 with -0.0")
    assert row(table, "0.1").count("†") == 2  # both test sets, in columns of their own


def test_a_loss_in_ssim_stands_beside_an_answer_on_gaps(store: Store) -> None:
    def worse(trial: PlannedTrial, rows: pd.DataFrame) -> pd.DataFrame:
        loses = (rows["metric"] == "ssim_y") & (trial.arm.values.get("loss") == "on")
        return rows.assign(value=rows["value"] - 0.2 * loses)

    fill(store, plan_of(gap_study(), "gap"), lambda arm, kernel: 0.0, change=worse)
    headline = report.write(store, "gap").headline
    assert headline.startswith("The gap in PSNR-Y ")
    assert re.search(
        r"Of 12 differences in score to loss=off at the same images: none significantly better, [1-6] worse", headline
    )


def test_means_of_different_images_say_so_in_the_cell(store: Store) -> None:
    def perfect(trial: PlannedTrial, rows: pd.DataFrame) -> pd.DataFrame:
        hit = (rows["image"] == "img00") & (rows["metric"] == "psnr_y") & (trial.arm.name == "ρ=0.1")
        return rows.assign(value=rows["value"].where(~hit, np.inf))

    _, table = written(store, rho_study(), change=perfect)
    cells = row(table, "0.1").split("|")
    assert sum("(4 of 5 images)" in cell for cell in cells) == 2
    assert "(4 of 5 images)" not in row(table, "0.3")
    assert "a cell says on how many images it rests" in table


def test_differences_to_a_baseline_with_an_infinite_value_say_so(store: Store) -> None:
    def perfect(trial: PlannedTrial, rows: pd.DataFrame) -> pd.DataFrame:
        hit = (rows["image"] == "img00") & (rows["metric"] == "psnr_y") & (trial.arm.name == "ρ=0")
        return rows.assign(value=rows["value"].where(~hit, np.inf))

    _, table = written(store, rho_study(), change=perfect)
    assert row(table, "0 (baseline)").count("(4 of 5 images)") == 2
    assert row(table, "true pairs").count("(4 of 5 images)") == 2  # the two Δ of PSNR


def test_the_headline_names_the_settings(store: Store) -> None:
    made, _ = written(store, rho_study())
    assert "Profile quick: drn ×4; pretrain 40 steps, adapt 20 steps; λ=0.1, D chain" in made.headline
    assert "ρ=0 (" not in made.headline.rpartition("Profile quick")[2]  # ρ is the axis


def test_the_headline_names_both_weights_of_the_dual_loss(store: Store) -> None:
    arms = {"own weight": {"adapt.rho": 0.5, "adapt.unpaired_lam": 10.0, "adapt.unpaired_dual": "linear"}}
    study = rho_study(axes=[Axis("adapt.rho", [0, 0.1], label="ρ")], arms=arms, control=None)
    words = headline(store, study, lambda arm, kernel: 0.0).rpartition("Profile quick")[2]
    assert "(λ=0.1)" in words
    assert "linear for unpaired images (λ=0.1, of unpaired images 10)" in words


def test_only_contenders_are_best_of_a_column(store: Store) -> None:
    _, table = written(store, rho_study(), lambda arm, kernel: 1.0 if arm.name == "true pairs" else 0.0)
    assert "**" not in row(table, "true pairs") + row(table, "bicubic")
    rows = [row(table, label) for label in ("0", "0.1", "0.3", "1")]
    assert sum(line.count("**") for line in rows) >= 2 * 4  # the best of four columns
    assert sum(line.count("<ins>") for line in rows) >= 4
    assert "untrained references and the positive control do not compete" in table


def test_an_arm_that_sees_pairs_of_the_unknown_kernel_is_an_oracle_where_it_is_no_control(store: Store) -> None:
    made, table = written(store, rho_study(control=None))
    words = "true pairs is an oracle: trained on pairs under a kernel that the study takes as unknown."
    assert words in made.headline
    assert words in table
    assert "**" not in row(table, "true pairs")
    with_control, _ = written(store, rho_study())
    assert "oracle" not in with_control.headline


@pytest.mark.parametrize(
    ("overrides", "oracle"),
    [
        ({"adapt.unpaired_dual": "known"}, True),
        ({"adapt.dual": "known"}, True),
        ({"adapt.unpaired_dual": "known", "adapt.unpaired_dual_kernel": "bd"}, True),
        ({"adapt.unpaired_dual": "known", "adapt.unpaired_dual_kernel": "gaussian:sigma=1.0"}, False),
        ({"adapt.unpaired_dual": "linear"}, False),
    ],
)
def test_a_known_d_of_the_unknown_kernel_is_an_oracle(store: Store, overrides: dict[str, Any], oracle: bool) -> None:
    arms = {"given": {"adapt.rho": 0.5, **overrides}}
    made, table = written(store, rho_study(control=None, arms=arms))
    words = "given is an oracle: D is the true degradation of the unpaired images, which the study takes as unknown."
    assert (words in made.headline, words in table) == (oracle, oracle)


def test_equivalence_and_the_declared_comparison_in_words(store: Store) -> None:
    margin = {"psnr_y": 0.1, "ssim_y": 0.05}
    made, table = written(store, rho_study(margin=margin, primary={"adapt.rho": 0.3}))
    assert made.headline.startswith("The comparison declared in advance, ρ=0.3 on photos-test, bd ×4 in PSNR-Y, ")
    assert "tested alone; undecided as to equivalence to ρ=0 within 0.1 dB" in made.headline
    assert "1 equivalent within 0.1 dB (ρ=0.1), 1 undecided within 0.1 dB (ρ=0.3)" in made.headline
    assert "≈" in row(table, "0.1")
    assert "≈" not in row(table, "1")
    assert "40 %" in row(table, "0.1")
    assert "within a margin of 0.1 dB in PSNR-Y and 0.05 in SSIM-Y" in table
    assert "tested alone at p &lt; 0.05: ρ=0.3 on photos-test, bd ×4 in PSNR-Y" in table


def test_the_declared_comparison_is_spoken_of_once(store: Store) -> None:
    made, _ = written(store, rho_study(primary={"adapt.rho": 1}, control=None, margin={"psnr_y": 0.5}))
    declared, _, rest = made.headline.partition("tested alone). ")
    assert "ρ=1 on photos-test, bd ×4 in PSNR-Y, loses 9.7" in declared
    assert rest.startswith("Of the 3 other arms, against ρ=0 on ")
    assert "ρ=1" not in rest.partition(" In SSIM-Y: ")[0]
    assert "In SSIM-Y: 1 of 4 worse (ρ=1 with " in rest


def test_the_only_comparison_is_the_declared_one(store: Store) -> None:
    study = rho_study(axes=[Axis("adapt.rho", [0, 1], label="ρ")], arms={}, control=None, primary={"adapt.rho": 1})
    made, _ = written(store, study)
    assert made.headline.startswith(
        "The comparison declared in advance, ρ=1 on photos-test, bd ×4 in PSNR-Y, loses 9.7"
    )
    assert "tested alone). In SSIM-Y: ρ=1 loses 0." in made.headline
    assert "No other arm" not in made.headline


def test_losses_and_their_intervals_have_no_double_negative(store: Store) -> None:
    made, _ = written(store, rho_study(primary={"adapt.rho": 1}))
    assert re.search(r"loses 9\.[78]\d\d dB \[9\.[67]\d\d, 9\.[89]\d\d\] against", made.headline)
    assert not re.search(r"(gains|loses|improves by|worsens by) -", made.headline)


def test_better_needs_no_verdict_of_not_worse(store: Store) -> None:
    study = rho_study(margin={"psnr_y": 0.05}, primary="true pairs", control=None)
    made, _ = written(store, study, lambda arm, kernel: 1.0 * (arm.name == "true pairs"))
    assert "true pairs on photos-test, bd ×4 in PSNR-Y, gains +" in made.headline
    assert "not worse by more than" not in made.headline.partition("tested alone")[2][:60]
    assert "not worse" not in made.headline


def test_equivalence_on_other_test_sets_is_said(store: Store) -> None:
    made, _ = written(store, rho_study(margin={"psnr_y": 0.1}), lambda arm, kernel: 0.0)
    others = made.headline.partition("On photos-test, bicubic ×4 ")[2]
    assert others.startswith("none of 6 differences of 3 arms in PSNR-Y and SSIM-Y is significant; in PSNR-Y ")
    assert "equivalent within 0.1 dB (" in others
    assert "undecided within 0.1 dB (" in others


@pytest.mark.parametrize("seeds", [2, 3])
def test_the_correction_is_said_where_it_is_made(store: Store, seeds: int) -> None:
    made, _ = written(store, rho_study(seeds=seeds, control=None), lambda arm, kernel: 0.0)
    assert "differs significantly from ρ=0 on photos-test, bd ×4 in PSNR-Y" in made.headline
    assert "after Holm's correction: best" in made.headline


def test_the_headline_pools_test_sets(store: Store) -> None:
    sets = [Evaluate(name, metrics=("psnr_y",)) for name in ("photos/test", "Set5")]
    study = rho_study(base=base(evaluate=sets), control=None, arms={})
    made, _ = written(store, study, lambda arm, kernel: 5.0 * (arm.name == "ρ=0.1"))
    pooled = made.headline.partition("Over photos-test and Set5 together, bicubic ×4, in PSNR-Y")[2]
    assert pooled.startswith(", after Holm's correction over 3 pooled differences: 1 of 3 better (ρ=0.1 with +")
    made, _ = written(store, study, lambda arm, kernel: 0.0)
    pooled = made.headline.partition("Over photos-test and Set5 together, bicubic ×4, in PSNR-Y")[2]
    assert "none of 3 differs significantly (best ρ=" in pooled


def test_the_table_of_a_terminal_explains_its_marks(store: Store) -> None:
    study = rho_study(
        margin={"psnr_y": 0.1}, base=base(evaluate=[Evaluate("photos/test", metrics=("psnr_y", "ssim_y"))])
    )
    made, _ = written(store, study, lambda arm, kernel: -20.0 * (arm.name == "ρ=1"))
    legend = made.table.rstrip().rpartition("\n\n")[2].replace("\n", " ")
    assert legend.startswith("* better, † worse than the baseline: Holm-adjusted p < 0.05 over ")
    assert "≈ equivalent to the baseline, ≥ not worse, within a margin of 0.1 dB in PSNR-Y" in legend
    assert "undecided (no margin is declared in SSIM-Y)" in legend
    assert "scored on bicubic" in made.table.splitlines()[0]


def test_the_caption_of_pooled_differences_names_family_and_sets(store: Store) -> None:
    sets = [Evaluate(name, metrics=("psnr_y",)) for name in ("photos/test", "Set5")]
    written(store, rho_study(base=base(evaluate=sets), control=None, arms={}))
    caption = notes_of(store.study("unpaired/quick") / "table_pooled.md")
    assert "on each test set (photos-test and Set5)" in caption
    assert "over the 3 tested rows of this table. Untrained methods have no seeds and are not tested." in caption


def test_an_end_that_rounds_to_zero_is_neither_best_nor_worst(store: Store) -> None:
    """The gains are about -0.00004 dB, -0.2 and -0.4, with seeds that vary so much that none is significant."""

    def change(trial: PlannedTrial, rows: pd.DataFrame) -> pd.DataFrame:
        loss = {"ρ=0.1": 0.00004, "ρ=0.3": 0.2, "ρ=1": 0.4}.get(trial.arm.name, 0.0)
        noise = {0: -1.0, 1: 0.0, 2: 1.0}[trial.trial.seed] * (trial.arm.name != "ρ=0")
        return rows.assign(value=25.0 + rows["image"].str[3:].astype(float) + noise - loss)

    fields: dict[str, Any] = {"control": None, "arms": {}}
    text = headline(store, rho_study(**fields), lambda arm, kernel: 0.0, change=change)
    assert re.search(r": closest to zero ρ=0\.1 with 0\.000 dB \[[^]]*\], worst ρ=1 with -0\.400 dB ", text)
    assert not re.search(r"best \S+ with 0\.000", text)


def test_a_page_claims_no_more_than_its_numbers_are(store: Store) -> None:
    written(store, rho_study())
    page = (store.study("unpaired/quick") / "report.html").read_text(encoding="utf-8")
    assert "ρ <b>0, 0.1, 0.3, 1</b>" in page  # as in the table
    assert re.search(r'<tr><th scope="row">bicubic</th>.*<td>– × 5</td><td class="l">not trained</td>', page)
    assert re.search(r'<tr><th scope="row">ρ=0\.3</th>.*<td>3 × 5</td><td class="l">method</td>', page)
    assert "every number" not in page
    assert "every score is derived from per-image scores" in page
