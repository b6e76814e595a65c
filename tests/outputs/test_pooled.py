"""The table of differences pooled over test sets."""

from __future__ import annotations

import csv

import pytest

from drnbench.outputs import report
from drnbench.store import Store
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
