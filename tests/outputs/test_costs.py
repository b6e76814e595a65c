"""Costs of arms in tables, files, macros and figures."""

from __future__ import annotations

import csv
import re

import pytest

from drnbench import Table, Tradeoff
from drnbench.outputs import report
from drnbench.results.costs import three_digits
from drnbench.store import Store
from tests.fake_store import fill, plan_of
from tests.outputs.shapes import adapt_study


def test_costs_stand_in_table_file_and_figure(store: Store) -> None:
    plan = plan_of(
        adapt_study(outputs=[Table(rows="training", costs=("parameters", "macs", "step_macs", "seconds"))]), "a"
    )
    fill(store, plan, lambda arm, kernel: 0.0, costs=True)
    report.write(store, "a")
    with (store.study("a/quick") / "costs.csv").open() as file:
        rows = {row["arm"]: row for row in csv.DictReader(file)}
    row = rows["adapted, bd"]
    # Two stages of 100 and 200 s, ten more a seed in each: the mean of 300, 320 and 340.
    assert (float(row["seconds"]), row["n_seeds"]) == (320.0, "3")
    assert float(row["step_macs"]) == 80_000_000  # of the last stage
    assert int(row["macs"]) == 9216 * int(row["parameters"])
    assert (rows["bicubic"]["parameters"], rows["bicubic"]["seconds"]) == ("0", "")
    text = (store.study("a/quick") / "table_training.md").read_text()
    line = next(row for row in text.splitlines() if row.startswith("| adapted"))
    # Cells of both kernels share the row; one D costs what the other costs, up to the fake's sizes.
    assert re.search(r"\| +320 \|", line)
    assert "cost: Params (M)" in text
    assert "Step MMACs" in text
    for words in ("parameters of the model", "LR image of 96×96 pixels", "seconds of one process"):
        assert words in text


@pytest.mark.parametrize(
    ("number", "text"), [(0.0, "0"), (1.534, "1.53"), (14.13, "14.1"), (320.0, "320"), (9.999, "10.0")]
)
def test_costs_have_three_digits(number: float, text: str) -> None:
    assert three_digits(number) == text


def test_unmeasured_costs_are_dashes(store: Store) -> None:
    study = adapt_study(outputs=[Table(rows="training", costs=("parameters", "seconds")), Tradeoff(x="macs")])
    fill(store, plan_of(study, "a"), lambda arm, kernel: 0.0)
    names = {path.name for path in report.write(store, "a").files}
    assert "figure_psnr_y_against_macs.pdf" not in names
    macros = (store.study("a/quick") / "macros.tex").read_text()
    assert r"\newcommand{\drnSecondsAdaptedBd}{\textbf{??}}" in macros
