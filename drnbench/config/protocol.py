"""How images are compared: one named object, printed in every caption and part of every evaluation's key.

PSNR that does not match a paper is nearly always RGB against Y, the border, or rounding; each is stated here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar
from typing import Protocol as Interface

from pydantic import BaseModel, ConfigDict, Field

COLORS = {"y": "Y of BT.601", "rgb": "RGB"}
"""What metrics compare, by the short names that they use."""


class Measure(Interface):
    """The part of a metric that a protocol looks at; every `drnbench.evaluation.metric.Metric` has it."""

    version: ClassVar[str]
    reads: ClassVar[frozenset[str]]
    color: ClassVar[str | None]
    kind: ClassVar[str]


class Protocol(BaseModel):
    """The field's protocol; its defaults are what papers report.

    Whether a score is of Y or of RGB is in the name of its metric (`psnr_y`, `psnr_rgb`); the rest stands here.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    y_round: bool = Field(
        False, description="round Y to integers, as MATLAB does on uint8; Set5 x4 bicubic: 28.42 for 28.43 dB"
    )
    border: int | None = Field(None, ge=0, description="pixels shaved on each side before comparing; none: the scale")
    quantise: bool = Field(
        True, description="round SR to 8 bits before comparing, as a file holds it; false: only clamp it to 0..255"
    )

    def shaved(self, scale: int) -> int:
        """Return the pixels shaved on each side at a scale."""
        return scale if self.border is None else self.border

    def reaching(self, metric: Measure) -> dict[str, Any]:
        """Return the fields that move a metric's numbers: what enters the key of its scores, and their tag."""
        return {name: value for name, value in self.model_dump(mode="json").items() if name in metric.reads}

    def tag(self, metrics: Mapping[str, Measure], scale: int | None = None) -> str:
        """Return one line that says how each metric was measured: colours, settings with their values, versions.

        It stands beside each score in per_image.parquet, and as a tag in MLflow.
        """
        told = []
        for name, metric in metrics.items():
            fields = self.reaching(metric)
            if "border" in fields:
                border = "scale" if scale is None and self.border is None else self.shaved(scale or 0)
                fields["border"] = border
            values = [f"{key}={str(value).lower()}" for key, value in fields.items()]
            told.append(" ".join([f"{name} v{metric.version}:", COLORS.get(metric.color or "", ""), *values]).strip())
        return "; ".join(" ".join(one.split()) for one in told)

    def caption(self, metrics: Iterable[Measure], scale: int | None = None) -> str:
        """Return one sentence for the caption of a table of these metrics; without a scale, for a table of several.

        Metrics of no `kind`, which their own summaries describe, are not told of.
        """
        shown = [metric for metric in metrics if metric.kind]
        parts = []
        for color, named in (("y", f"Y of BT.601 (studio range, float64, {self._rounded()})"), ("rgb", "RGB")):
            kinds = list(dict.fromkeys(metric.kind for metric in shown if metric.color == color))
            if kinds:
                parts.append(f"{' and '.join(kinds)} on {named}")
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
