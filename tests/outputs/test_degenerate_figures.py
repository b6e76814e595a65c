"""Figures of studies with next to nothing in them: one seed, one image, a failed arm, infinite scores, a metric that some arms lack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from drnbench import Crops, Curve, Evaluate, Forest, Heatmap, PerImage, Ranks, Table, Tradeoff
from drnbench.config.study import Axis
from drnbench.outputs import compose, report
from drnbench.outputs.parts import Parts
from drnbench.store import Store
from tests.fake_store import base, fill, plan_of
from tests.outputs.conftest import composed, rho_study

OUTPUTS = [
    Table(rows="adapt.rho"), Curve(x="adapt.rho"), Heatmap(x="adapt.rho", y="adapt.lam"), PerImage(), Ranks(), Forest(),
    PerImage(differences=False), Crops(images=("median", "best"), errors=True), Tradeoff(x="macs", size="parameters"),
]  # fmt: skip
AXES = [Axis("adapt.rho", [0, 0.5], label="ρ"), Axis("adapt.lam", [0.1, 1.0], label="λ")]
NAMES = ["a_b%&#{}<script>", "$\\frac{a$", "中文方法", "x" * 200, "🚀"]


def infinite(_: Any, rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(value=np.where(rows["metric"] == "psnr_y", np.inf, rows["value"]))


def without_ssim(trial: Any, rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["metric"] != "ssim_y"] if trial.arm.name.startswith("ρ=0,") else rows


ONE_ARM: dict[str, Any] = {"axes": [Axis("adapt.rho", [0], label="ρ"), Axis("adapt.lam", [0.1])]}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a failed arm": ({}, {"done": lambda trial: not trial.arm.name.startswith("ρ=0.5")}),
    "one arm": (ONE_ARM, {}),
    "one seed, one image": ({"seeds": 1}, {"images": 1}),
    "nothing is scored": ({}, {"done": lambda trial: False}),
    "infinite scores": ({}, {"change": infinite}),
    "a metric that some arms lack": ({}, {"change": without_ssim}),
    "one test set": ({"base": base(evaluate=[Evaluate("photos/test", kernel="bd")])}, {}),
    "hostile names": ({"arms": {name: {"adapt.lam": 0.2 + n} for n, name in enumerate(NAMES)}}, {}),
}


@pytest.mark.fast_variants(2)
@pytest.mark.fast_variants(1)
@pytest.mark.parametrize("case", CASES)
def test_every_figure_comes_out(store: Store, case: str) -> None:
    fields, filled = CASES[case]
    study = rho_study(**{"axes": AXES, "arms": {}, "control": None, "seeds": 2, "outputs": OUTPUTS, **fields})
    options: dict[str, Callable[..., Any] | int] = {"images": 2, **filled}
    fill(store, plan_of(study), costs=True, sr_images=True, history=True, **options)
    results, outputs = composed(store)
    parts = Parts()
    figures = compose.figures(results, [parts.guarded(output) for output in outputs])
    assert parts.failed == []
    for figure in figures:
        figure.figure.draw_without_rendering()
    assert len({figure.name for figure in figures}) == len(figures)
    assert ("figure_crops" in {figure.name for figure in figures}) == (case != "nothing is scored")


def test_a_study_of_one_arm_names_what_each_missing_figure_takes(store: Store, unrendered: None) -> None:
    study = rho_study(**ONE_ARM, arms={}, control=None, seeds=1, outputs=OUTPUTS)
    fill(store, plan_of(study), images=2)
    written = report.write(store, "unpaired")
    drawn = {file.stem for file in written.files if file.suffix == ".png"}
    page = (store.study("unpaired/quick") / "report.html").read_text(encoding="utf-8")
    for kind, stem in (("Heatmap", "figure_heatmap"), ("Forest", "figure_forest"), ("Crops", "figure_crops")):
        (line,) = [warning for warning in written.warnings if warning.startswith(f"{kind} has no figure")]
        assert not any(name.startswith(stem) for name in drawn)
        assert line in page
