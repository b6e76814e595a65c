"""Figures of made-up scores against stored data and pictures, so that a change of what a paper shows is seen as such.

`pytest tests/outputs/test_images.py --update-snapshots` writes both again; look at them before they are committed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.testing.compare import compare_images

from drnbench import Curve, DualKernel, Heatmap, Tradeoff
from drnbench.config.study import Axis
from drnbench.outputs import compose
from drnbench.render import style
from drnbench.results import reading
from drnbench.store import Store
from tests.fake_store import fill, plan_of
from tests.outputs.conftest import gain, rho_study
from tests.outputs.shapes import KERNELS, LOSS, NETWORKS, adapt_study, dual_study

BASELINE = Path(__file__).parent / "baseline"
DPI = 60
DRAWN_BY = "3.11"
"""The matplotlib of the stored pictures: letters, and so the layout, of another version differ by more than a line does."""
TOLERANCE = 2.0
"""Root mean square of the gray levels; the figure of training differs by 5 where one arm of four is missing."""

SWEEP = rho_study(outputs=[Curve(x="adapt.rho", y="psnr_y")])
ABLATION = dual_study(
    axes=[Axis("network", NETWORKS), Axis("loss", LOSS), Axis("kernel", {k: KERNELS[k] for k in ("bd", "gaussian")})],
    outputs=[Heatmap(x="kernel", y="network"), Tradeoff(x="parameters")],
)
ADAPTATION = adapt_study(outputs=[DualKernel(x="kernel")])
STUDIES = {
    "sweep": (SWEEP, ("figure_psnr_y_rho", "figure_training", "figure_strip")),
    "ablation": (ABLATION, ("figure_heatmap_psnr_y_kernel_network", "figure_psnr_y_against_parameters")),
    "adaptation": (ADAPTATION, ("figure_dual_kernel_kernel",)),
}


def dual_gain(arm: Any, kernel: str) -> float:
    """The dual loss helps on bd, and hurts a little on the other kernel."""
    return (0.15 if kernel == "bd" else -0.08) if arm.values.get("loss") == "on" else 0.0


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Figure]:
    """Six kinds of figures by their file stems."""
    drawn = {}
    for name, (study, stems) in STUDIES.items():
        store, plan = Store(tmp_path_factory.mktemp(name)), plan_of(study, name)
        if name == "ablation":
            fill(store, plan, dual_gain, costs=True)
        else:
            fill(store, plan, gain, samples=name == "sweep", history=name == "sweep", kernels=name == "adaptation")
        scores = reading.read(store, name)
        shown = compose.figures(compose.results_of(scores, store), compose.outputs_of(scores.plan)[0])
        by_name = {figure.name: figure.figure for figure in shown}
        drawn |= {stem: by_name[stem] for stem in stems}
    return drawn


STEMS = [stem for _, stems in STUDIES.values() for stem in stems]


@pytest.mark.fast_variants(1)
@pytest.mark.parametrize("stem", STEMS)
def test_figures_show_the_same_data(figures: dict[str, Figure], stem: str, request: pytest.FixtureRequest) -> None:
    path, lines = BASELINE / f"{stem}.txt", list(described(figures[stem]))
    if request.config.getoption("update_snapshots"):
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert lines == path.read_text(encoding="utf-8").splitlines()


@pytest.mark.skipif(
    not mpl.__version__.startswith(f"{DRAWN_BY}."), reason=f"the stored pictures were drawn by matplotlib {DRAWN_BY}"
)
@pytest.mark.parametrize("stem", STEMS)
def test_figures_look_the_same(
    figures: dict[str, Figure], stem: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    drawn, stored = tmp_path / f"{stem}.png", BASELINE / f"{stem}.png"
    with style.styled():
        figures[stem].savefig(drawn, dpi=DPI / 2 if stem == "figure_strip" else DPI)
    if request.config.getoption("update_snapshots"):
        shutil.copy(drawn, stored)
    assert compare_images(str(stored), str(drawn), tol=TOLERANCE) is None


def described(figure: Figure) -> Iterator[str]:
    """What a figure shows, whatever the version of matplotlib: a line for each text, line, interval and picture."""
    for legend in figure.legends:
        yield f"legend: {', '.join(text.get_text() for text in legend.get_texts())}"
    for ax in (ax for ax in figure.axes if ax.get_visible()):
        titles = [ax.get_title(loc=side) for side in ("left", "center")]
        yield f"panel: {[text for text in (*titles, ax.get_xlabel(), ax.get_ylabel()) if text]}"
        yield from (f"  {line}" for line in _artists(ax))


def _artists(ax: Axes) -> Iterator[str]:
    yield from (f"text: {text.get_text()!r}" for text in ax.texts if text.get_text())
    for line in ax.lines:
        look = f"{to_hex(line.get_color())} {line.get_linestyle()} {line.get_marker()}"
        yield f"line: {look} x {_numbers(line.get_xdata())} y {_numbers(line.get_ydata())}"
    for image in ax.images:
        yield f"picture: {_numbers(image.get_array())}"
    for collection in ax.collections:
        values = collection.get_array()
        parts = [path.vertices for path in collection.get_paths()] if values is None else [values]
        yield f"{type(collection).__name__}: {'; '.join(map(_numbers, parts))}"


def _numbers(values: Any) -> str:
    """Values to five decimals; of many, their shape, smallest, mean and largest."""
    array = np.ma.filled(np.ma.asarray(values, dtype=float), np.nan)
    shape, shown = "", array.ravel()
    if array.size > 24:
        shape, shown = f"{array.shape} ", np.array([array.min(), array.mean(), array.max()])
    return shape + " ".join(f"{round(float(value), 5) + 0.0:g}" for value in shown)
