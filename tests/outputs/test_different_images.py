"""Means over different images, and arms that equal HR: what tables, captions and headlines make of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from drnbench.outputs import report
from drnbench.planning import PlannedTrial
from drnbench.store import Store
from tests.fake_store import fill, plan_of
from tests.outputs.conftest import rho_study, row, written
from tests.outputs.shapes import gap_study

pytestmark = pytest.mark.usefixtures("undrawn")


def altered(
    arm: str, new: Callable[[pd.DataFrame], pd.DataFrame]
) -> Callable[[PlannedTrial, pd.DataFrame], pd.DataFrame]:
    """Scores of which those of one arm are changed."""
    return lambda trial, rows: new(rows) if trial.arm.name == arm else rows


def put(images: list[str], value: float) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Set PSNR of some images."""
    return lambda rows: rows.assign(
        value=rows["value"].mask(rows["image"].isin(images) & (rows["metric"] == "psnr_y"), value)
    )


LOST: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "infinite": (put(["img00"], np.inf), "Infinite values (SR equal to HR) are left out: 1 of ρ=0.3"),
    "not a number": (put(["img00"], np.nan), "(missing, or not a number) are left out: 1 of ρ=0.3"),
    "missing": (lambda rows: rows[rows["image"] != "img00"], "(missing, or not a number) are left out: 1 of ρ=0.3"),
}


@pytest.mark.parametrize("kind", LOST)
def test_means_over_different_images_say_so_and_are_not_ranked(store: Store, kind: str) -> None:
    change, words = LOST[kind]
    _, table = written(store, rho_study(), change=altered("ρ=0.3", change))
    psnr = [line.split("|")[3] for line in table.splitlines() if line.startswith("| ") and "±" in line]
    assert "(4 of 5 images)" in row(table, "0.3").split("|")[3]
    assert words in table
    assert "**" not in "".join(psnr)
    assert "Means over different images are not ranked" in table


def test_an_arm_that_equals_hr_on_every_image_is_the_best(store: Store) -> None:
    made, table = written(store, rho_study(), change=altered("ρ=0.3", put([f"img{n:02d}" for n in range(5)], np.inf)))
    assert "**∞**" in row(table, "0.3")
    others = "".join(row(table, label).split("|")[3] for label in ("0 (baseline)", "0.1", "1"))
    assert "**" not in others
    assert "<ins>" in others
    assert "ρ=0.3 equals HR on every image of photos-test, bd ×4" in made.headline
    folder = store.study("unpaired/quick")
    frame = pd.read_csv(folder / "summary.csv")
    cells = frame[(frame["arm"] == "ρ=0.3") & (frame["metric"] == "psnr_y")]
    assert (cells["mean"] == np.inf).all()
    assert (cells["n_images"] == 5).all()
    assert '"mean": "inf"' in (folder / "summary.json").read_text(encoding="utf-8")
    assert "\\ensuremath{\\infty}" in (folder / "macros.tex").read_text(encoding="utf-8")


@pytest.mark.parametrize("arm", ["ρ=0", "true pairs"])
def test_a_baseline_or_control_that_equals_hr_is_not_called_unscored(store: Store, arm: str) -> None:
    made, _ = written(store, rho_study(), change=altered(arm, put([f"img{n:02d}" for n in range(5)], np.inf)))
    assert f"{arm} equals HR on every image" in made.headline
    assert "has no scores" not in made.headline


def test_without_a_baseline_means_over_different_images_name_no_best(store: Store) -> None:
    study = rho_study(baseline={}, control=None, arms={})
    made, _ = written(store, study, change=altered("ρ=0.3", put(["img00"], np.inf)))
    assert "rest on different images, so none is called best" in made.headline
    assert "Best PSNR-Y" not in made.headline


def test_arms_are_held_against_bicubic_on_the_images_of_both(store: Store) -> None:
    """Of img00 ... img04 an arm lacks the hardest ones: its mean is above that of bicubic over all."""

    def hard(trial: PlannedTrial, rows: pd.DataFrame) -> pd.DataFrame:
        images = rows["image"].str[3:].astype(int)
        value = 30.0 - 10 * (images < 2) + (trial.arm.kind == "reference")
        return rows.assign(value=value)[(images >= 2) | (trial.arm.name != "ρ=0.3")]

    made, _ = written(store, rho_study(control=None, arms={}), change=hard)
    assert "No trained arm reaches bicubic" in made.headline


def test_gaps_say_which_images_they_lack(store: Store) -> None:
    def perfect(trial: PlannedTrial, rows: pd.DataFrame) -> pd.DataFrame:
        hit = (rows["image"] == "img00") & (rows["dataset"] == "photos-test") & (rows["metric"] == "psnr_y")
        first = trial.arm.values == {"size": "2", "loss": "on"}
        return rows.assign(value=rows["value"].mask(hit & first, np.inf))

    fill(store, plan_of(gap_study(), "gap"), lambda arm, kernel: 0.0, change=perfect)
    report.write(store, "gap")
    table = (store.study("gap/quick") / "table_gap_size.md").read_text(encoding="utf-8")
    assert "(4 of 5 images)" in table
    assert "Infinite values (SR equal to HR) are left out: 1 of 2, on on photos-test" in table
    assert "Means over different images are not ranked" in table


def test_an_arm_that_equals_hr_is_compared_in_other_metrics(store: Store) -> None:
    perfect = altered("ρ=0.3", put([f"img{n:02d}" for n in range(5)], np.inf))
    made, _ = written(store, rho_study(), lambda arm, kernel: 0.0, change=perfect)
    assert "In SSIM-Y: none of 3 differs significantly" in made.headline
