"""The table of differences pooled over test sets."""

from __future__ import annotations

import csv

import numpy as np
import pandas as pd
import pytest

from drnbench.outputs import report
from drnbench.planning import PlannedTrial
from drnbench.store import Store
from tests.fake_store import fill, plan_of
from tests.results.test_pooled import SETS, filled, study


@pytest.mark.usefixtures("unrendered")
def test_the_table_says_what_pooling_and_ranks_are(store: Store) -> None:
    filled(store, study(*SETS))
    report.write(store, "unpaired")
    folder = store.study("unpaired/quick")
    text = (folder / "table_pooled.md").read_text()
    for words in (
        "each set counting alike",
        "these checkpoints on these 12 images",
        "Friedman",
        "Wilcoxon-Holm",
        "mean rank",
    ):
        assert words in text
    with (folder / "table_pooled.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["datasets"] for row in rows} == {"photos-test+Set5+photos-frames"}
    assert {row["arm"] for row in rows} >= {"λ=0.1", "λ=0.4"}
    assert r"\newcommand{\drnPooledDeltaLow" in (folder / "macros.tex").read_text()


@pytest.mark.usefixtures("unrendered")
def test_images_that_are_left_out_are_counted(store: Store) -> None:
    def perfect(trial: PlannedTrial, rows: pd.DataFrame) -> pd.DataFrame:
        hit = (rows["image"] == "img00") & (rows["dataset"] == "Set5") & (trial.arm.name == "λ=0.1")
        return rows.assign(value=rows["value"].mask(hit & (rows["metric"] == "psnr_y"), np.inf))

    fill(store, plan_of(study(*SETS)), change=perfect)
    report.write(store, "unpaired")
    text = (store.study("unpaired/quick") / "table_pooled.md").read_text(encoding="utf-8")
    assert "Images that are infinite or have no value are left out: 1 of λ=0.1 in PSNR-Y." in text
