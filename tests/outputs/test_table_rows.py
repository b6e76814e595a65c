"""Rows and columns of a table, and its caption."""

from __future__ import annotations

import pytest

from drnbench import Table
from drnbench.config.study import Study
from drnbench.outputs import report, table_rows
from drnbench.results import reading, summary
from drnbench.results.scores import Condition, Scores
from drnbench.store import Store
from tests.fake_store import fill, plan_of
from tests.outputs.shapes import SKEWED, dual_study


def scores_of(store: Store, study: Study) -> Scores:
    fill(store, plan_of(study, "study"), lambda arm, kernel: 0.0)
    return reading.read(store, "study")


def test_axes_that_move_the_conditions_are_columns_and_the_others_blocks(store: Store) -> None:
    scores = scores_of(store, dual_study())
    frame = table_rows.skeleton(scores, "loss")
    assert [a.path for a in frame.others] == ["network"]
    assert frame.across == ["kernel", "scale"]
    assert [group.head for group in frame.groups][:3] == ["bd ×2", "bd ×4", "gaussian σ=2 ×2"]
    assert [line.labels for line in frame.lines] == [
        ["", "bicubic"], ["S", "off (baseline)"], ["", "on"], ["L", "off (baseline)"], ["", "on"],
    ]  # fmt: skip
    assert [len(line.arms) for line in frame.lines] == [2, 6, 6, 6, 6]


def test_where_such_an_axis_is_the_rows_its_columns_join(store: Store) -> None:
    scores = scores_of(store, dual_study())
    frame = table_rows.skeleton(scores, "kernel")
    assert [group.head for group in frame.groups] == ["photos-test ×2", "photos-test ×4"]
    assert [line.labels[-1] for line in frame.lines[:4]] == [
        "bicubic, kernel=bd", "bicubic, kernel=gaussian", "bicubic, kernel=skewed", "bd",
    ]  # fmt: skip
    results = summary.summarise(scores)
    result = table_rows.find(frame.lines[1], frame.groups[1], "psnr_y", results)
    assert result is not None
    assert result.condition == Condition("photos-test", "gaussian:sigma=2.0", 4)


def test_a_baseline_on_another_axis_is_marked_in_its_column(store: Store) -> None:
    scores = scores_of(store, dual_study(outputs=[Table(rows="network")]))
    frame = table_rows.skeleton(scores, "network")
    assert [line.labels for line in frame.lines] == [
        ["", "bicubic"], ["off (baseline)", "S"], ["", "L"], ["on", "S"], ["", "L"],
    ]  # fmt: skip


@pytest.mark.usefixtures("unrendered")
def test_full_specs_stand_once_in_the_caption(store: Store) -> None:
    fill(store, plan_of(dual_study(outputs=[Table(rows="loss")]), "study"), lambda arm, kernel: 0.0)
    report.write(store, "study")
    text = (store.study("study/quick") / "table_loss.md").read_text().partition("[//]: #")[0]
    assert text.count(SKEWED) == 1
    assert f"anisotropic 3×1, 45° is {SKEWED}" in text
    assert "gaussian σ=2 ×4: PSNR-Y" in text
