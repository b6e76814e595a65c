"""Every figure of a report: the width that its output declares, and the data that it draws as CSV."""

from __future__ import annotations

import csv
import io
from typing import Any, Literal

import pytest

from drnbench import Crops, Curve, DualKernel, Forest, Gap, Heatmap, PerImage, Ranks, Table, Tradeoff
from drnbench.config.study import Axis, Study
from drnbench.config.trial import Data, Evaluate, Stage
from drnbench.outputs import compose, outputs
from drnbench.outputs.base import FigureOutput, Output
from drnbench.outputs.crops import SampleCrops
from drnbench.outputs.kernels import KernelFigure
from drnbench.outputs.training import TrainingCurves
from drnbench.render.style import COLUMN_IN, PAGE_IN
from drnbench.store import Store
from tests.fake_store import PRETRAIN, base, fill, plan_of
from tests.outputs.conftest import composed, rho_study

METRICS = ("psnr_y", "ssim_y", "dual_mae")
WIDTHS = {"column": COLUMN_IN, "page": PAGE_IN}


def everything(width: str) -> Study:
    """A study that every figure can be drawn of, at one width."""
    wide: dict[str, Any] = {"width": width}
    figures: list[Output] = [
        Curve(x="adapt.rho", **wide), Heatmap(x="adapt.rho", y="adapt.lam", **wide), PerImage(**wide), Ranks(**wide), Forest(**wide),
        Tradeoff(x="macs", **wide), DualKernel(x="adapt.rho", **wide), Gap(x="adapt.rho", test="photos-train", **wide), Crops(**wide),
        TrainingCurves(**wide), KernelFigure(**wide), SampleCrops(**wide),
    ]  # fmt: skip
    adapt = Stage("adapt", scheme="paired", lam=0.1, rho=0.0, data=Data("photos/train"), steps=20)
    return Study(
        base=base(
            stages=[PRETRAIN, adapt],
            evaluate=[Evaluate("photos/test", kernel="bd", metrics=METRICS), Evaluate("photos-train", metrics=METRICS)],
        ),
        axes=[Axis("adapt.rho", [0.0], label="ρ"), Axis("adapt.lam", [0.1, 1.0], label="λ")], seeds=2,
        baseline={"adapt.lam": 0.1}, outputs=[Table(rows="adapt.lam"), *figures],
    )  # fmt: skip


@pytest.mark.parametrize("width", WIDTHS)
def test_every_figure_has_the_declared_width_and_its_data(store: Store, width: str) -> None:
    fill(
        store,
        plan_of(everything(width)),
        images=2,
        samples=True,
        sr_images=True,
        history=True,
        costs=True,
        kernels=True,
    )
    results, declared = composed(store)
    figures = compose.figures(results, declared)
    assert len(figures) == 12
    for figure in figures:
        assert figure.figure.get_size_inches()[0] == pytest.approx(WIDTHS[width], abs=0.02), figure.name
        head, *rows = csv.reader(io.StringIO(figure.data))
        assert rows, figure.name
        assert {len(row) for row in rows} == {len(head)}, figure.name
        figure.figure.draw_without_rendering()


def test_every_output_with_a_figure_has_a_width() -> None:
    drawing = [kind for name in outputs.list() if "figures" in vars(kind := outputs.get(name))]
    assert {kind.__name__ for kind in drawing if "width" not in kind.model_fields} == set()
    assert any(issubclass(kind, FigureOutput) for kind in drawing)


@pytest.mark.parametrize(("width", "sizes"), [("column", set()), ("page", {5, 6, 7})])
def test_numbers_in_the_cells_of_a_heat_map_are_legible_or_left_to_the_data(
    store: Store, width: Literal["column", "page"], sizes: set[int]
) -> None:
    axes = [Axis("adapt.rho", [n / 10 for n in range(10)], label="ρ"), Axis("adapt.lam", [0.1, 1.0], label="λ")]
    heatmap = Heatmap(x="adapt.rho", y="adapt.lam", width=width)
    fill(store, plan_of(rho_study(axes=axes, arms={}, control=None, seeds=2, outputs=[heatmap])), images=2)
    (figure,) = (f for f in compose.figures(*composed(store)) if f.name.startswith("figure_heatmap"))
    written = [text for ax in figure.figure.axes for text in ax.texts if any(map(str.isdigit, text.get_text()))]
    assert {round(text.get_fontsize()) for text in written} <= sizes
    assert bool(written) == bool(sizes)
    assert ("numbers are in the data beside" in figure.caption) == (not sizes)
    assert len(figure.data.splitlines()) == 1 + 2 * 2 * 9
