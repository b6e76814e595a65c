"""The protocol by which images are compared; it is printed in every caption and part of every evaluation's key.

PSNR that does not match a paper is nearly always due to RGB or Y, the border, or rounding; each is a setting here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar
from typing import Protocol as Interface

from pydantic import BaseModel, ConfigDict, Field

from drnbench.config.plain import PlainArguments

COLORS = {"y": "Y of BT.601", "rgb": "RGB"}
"""Colours that metrics compare, by short name."""


class Measure(Interface):
    """Attributes of a metric that a protocol uses; every `drnbench.evaluation.metric.Metric` has them."""

    version: ClassVar[str]
    reads: ClassVar[frozenset[str]]
    color: ClassVar[str | None]
    kind: ClassVar[str]


class Protocol(BaseModel, metaclass=PlainArguments):
    """The field's protocol; its defaults are those of papers.

    The colour of a score, Y or RGB, is in the name of its metric (`psnr_y`, `psnr_rgb`); all else is set here.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    y_round: bool = Field(
        False, description="round Y to integers, as MATLAB does on uint8; Set5 x4 bicubic: 28.42 for 28.43 dB"
    )
    border: int | None = Field(None, ge=0, description="pixels shaved on each side before comparing; none: the scale")
    quantise: bool = Field(
        True, description="round SR to 8 bits before comparing, as in a file; false: only clamp it to 0..255"
    )

    def shaved(self, scale: int) -> int:
        """Return the pixels shaved on each side at a scale."""
        return scale if self.border is None else self.border

    def fields_of(self, metric: Measure) -> dict[str, Any]:
        """Return the fields that change a metric's numbers; they enter the key of its scores, and their tag."""
        return {name: value for name, value in self.model_dump(mode="json").items() if name in metric.reads}

    def tag(self, metrics: Mapping[str, Measure], scale: int | None = None) -> str:
        """Return one line on the measurement of each metric: colours, settings with their values, versions.

        It is stored with each score in per_image.parquet, and as a tag in MLflow.
        """
        parts = []
        for name, metric in metrics.items():
            fields = self.fields_of(metric)
            if "border" in fields:
                border = "scale" if scale is None and self.border is None else self.shaved(scale or 0)
                fields["border"] = border
            values = [f"{key}={str(value).lower()}" for key, value in fields.items()]
            parts.append(" ".join([f"{name} v{metric.version}:", COLORS.get(metric.color or "", ""), *values]).strip())
        return "; ".join(" ".join(part.split()) for part in parts)

    def caption(self, metrics: Iterable[Measure], scale: int | None = None) -> str:
        """Return one sentence for the caption of a table of these metrics; without a scale, for a table of several.

        Metrics without a `kind` are left out: their own summaries describe them.
        """
        described = [metric for metric in metrics if metric.kind]
        parts = []
        for color, label in (("y", f"Y of BT.601 (studio range, float64, {self._rounded()})"), ("rgb", "RGB")):
            kinds = list(dict.fromkeys(metric.kind for metric in described if metric.color == color))
            if kinds:
                parts.append(f"{' and '.join(kinds)} on {label}")
        if not parts:
            return ""
        if scale is None and self.border is None:
            border = "border of as many pixels as the scale shaved"
        else:
            pixels = self.shaved(scale or 0)
            border = f"border of {pixels} pixel{'s' * (pixels != 1)} shaved" if pixels else "no border shaved"
        bits = "SR rounded to 8 bit" if self.quantise else "SR clamped to 0..255 and not rounded"
        return f"{'; '.join(parts)}, {border}, {bits}, mean over images"

    def _rounded(self) -> str:
        return "rounded to integers" if self.y_round else "not rounded"
