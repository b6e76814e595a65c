"""What a study wants to see: tables and figures, declared in its file and drawn by `report`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from drnbench.config.trial import Frozen

Cost = Literal["parameters", "macs", "step_macs", "seconds"]
"""What an arm costs: parameters of the model; multiply-adds for a 96 x 96 LR image; multiply-adds of a step of its last
stage (forward and backward, every network) by image; seconds of training in one process, over all its stages."""


class OutputSpec(Frozen):
    """What every declared output says of itself; `drnbench.outputs.base.Output` adds what it gives to a report."""

    name: ClassVar[str]

    def axes(self) -> list[str]:
        """Return the paths of the axes that it asks for."""
        return []

    def check_study(self, baseline: Mapping[str, Any]) -> None:
        """Refuse what can be known from the declaration alone.

        Args:
            baseline: axis values of the study's baseline; empty without one.

        Raises:
            ValueError: what is wrong.

        """


class Table(Frozen):
    """A table: one row an arm; columns for each kernel (or data set) and metric, with differences to the baseline.

    A row is a value of the axis `rows`, in blocks of the other axes. Where another axis moves nothing but the test set,
    the kernel or the scale that an arm is scored on, its values are columns and not blocks.
    """

    rows: str = Field(description="the axis whose values are the rows; named arms and bicubic follow")
    columns: str = Field("kernel", pattern="^(kernel|dataset|scale)$", description="what the column groups are")
    metrics: Annotated[tuple[str, ...], Field(strict=False)] = Field((), description="metrics shown; none: all")
    costs: Annotated[tuple[Cost, ...], Field(strict=False)] = Field((), description="columns of what an arm costs")
    peers: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        (), description="published methods that get rows of their own, where the test sets have published numbers"
    )


class Curve(Frozen):
    """A figure: a metric against an axis, with intervals, one line for each evaluation."""

    x: str = Field(description="path of the axis on the horizontal")
    y: str = Field("psnr_y", description="metric")
    log: bool = Field(False, description="logarithmic horizontal (symlog, so that 0 is shown)")


class Heatmap(Frozen):
    """A figure: the difference of `of` to the baseline in every cell of two axes (scale and kernel, say)."""

    x: str = Field(description="the axis on the horizontal")
    y: str = Field(description="the axis on the vertical")
    metric: str = Field("psnr_y", description="what is compared")


class Tradeoff(Frozen):
    """A figure: a metric against what it costs, one point an arm, with intervals."""

    x: Cost = Field(description="cost on the horizontal, logarithmic")
    y: str = Field("psnr_y", description="metric")


class Gap(Frozen):
    """A table and a figure: score on the training images minus score on the test images, against an axis."""

    x: str = Field(description="the axis on the horizontal: the size of the training set, say")
    train: str | None = Field(None, description="source of the Evaluate on training images; none: the first one")
    test: str | None = Field(None, description="source of the Evaluate on test images; none: the second one")
    metric: str = Field("psnr_y", description="what is compared")


class DualKernel(Frozen):
    """A figure: the effective kernel of the learned D beside that of the true degradation, for each value of an axis.

    Wants the metric `dual_mae` among the evaluations, which is when D is looked at.
    """

    x: str = Field(description="the axis whose values are the columns: the kernel that D was trained on, say")


Output = Table | Curve | Heatmap | Tradeoff | Gap | DualKernel


def axes_of(out: Output) -> list[str]:
    """Return the axes that an output asks for."""
    if isinstance(out, Table):
        return [out.rows]
    if isinstance(out, Heatmap):
        return [out.x, out.y]
    return [] if isinstance(out, Tradeoff) else [out.x]
