"""Zoomed crops: the whole image with boxes, and what every arm makes of them at the size of their pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from drnbench.config.outputs import PlannedTrial
from drnbench.errors import UsageError, nearest
from drnbench.outputs import on_demand, outputs
from drnbench.outputs.base import Output, StudyResults

if TYPE_CHECKING:
    from drnbench.render.style import CaptionedFigure

RULES = {
    "difference": "the largest difference between the arms",
    "best": "the largest gain over the baseline, or score without one",
    "worst": "the smallest gain over the baseline, or score without one",
    "median": "the median gain over the baseline, or score without one",
}
"""Rules by which an image is chosen, as a caption states them; scores are of the seed that is shown."""
Corners = Annotated[tuple[int, int, int, int], Field(strict=False)]


@outputs.register("zoom")
class Crops(Output):
    """A figure: whole HR images with boxes, and in each box LR, bicubic, every arm and HR, at an integer zoom.

    Pixels are those of the stored SR images, enlarged without interpolation. It takes the whole images that a store keeps
    (`Study.image_budget`); without them the report has the crops that every trial keeps, `figure_strip`, alone.
    """

    summary = "figure: whole images with boxes and zoomed crops of every arm, PSNR / SSIM below; TikZ beside"
    figure_needs = "whole SR images of these arms, which the store keeps within Study.image_budget"

    images: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        ("difference",), description=f"names of test images, or rules: {', '.join(RULES)}"
    )
    arms: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        (), description="names of arms, in this order; none: bicubic and those that a page has room for"
    )
    boxes: Annotated[int, Field(ge=1)] | dict[str, Annotated[tuple[Corners, ...], Field(strict=False)]] = Field(
        1,
        description="number of boxes, placed where the arms differ most, or by image (left, top, width, height) in HR pixels",
    )
    side: int = Field(48, ge=8, description="of a box that is placed, in HR pixels")
    metrics: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        ("psnr_y", "ssim_y"), description="written below the crops where the images are scored in them, best bold"
    )
    dataset: str | None = Field(None, description="test set; none: that of the headline")
    kernel: str | None = Field(None, description="its kernel; none: that of the headline")
    errors: bool = Field(False, description="maps of |SR - HR| below the crops, with a colour bar")
    width: Literal["column", "page"] = Field("page", description="of the figure")
    tikz: bool = Field(True, description="write the figure as TikZ with `spy` too, with the images as PNGs beside it")

    def check(self, trials: Sequence[PlannedTrial], where: str) -> None:
        """See `OutputSpec`: arms, a test set or a kernel that the plan does not have."""
        super().check(trials, where)
        evaluations = [evaluation for trial in trials for evaluation in trial.unit.wanted]
        available = {
            "arm": ({trial.arm.name for trial in trials}, self.arms),
            "test set": ({name for e in evaluations for name in (e.dataset, e.source)}, (self.dataset,)),
            "kernel": ({e.kernel for e in evaluations}, (self.kernel,)),
        }
        for kind, (names, asked) in available.items():
            for name in asked:
                if name is not None and name not in names:
                    raise UsageError(f"{where}: Crops: no {kind} {name!r} is planned: {nearest(name, names)}")

    def figures(self, study: StudyResults) -> Sequence[CaptionedFigure | None]:
        """See `Output`."""
        return [on_demand.zoom_figure.draw(study.scores, study.store, self)]
