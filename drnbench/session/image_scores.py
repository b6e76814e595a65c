"""The scores of many images under one protocol: what `evaluate` and `score` return."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drnbench.config.protocol import Protocol
from drnbench.errors import UsageError
from drnbench.evaluation import metrics as registry
from drnbench.store.environment import versions

if TYPE_CHECKING:
    import pandas as pd

METRICS = ("psnr_y", "ssim_y")
"""What is measured unless something else is asked for."""


@dataclass(frozen=True)
class Scored:
    """The scores of one image by metric; `extra` are further entries of its JSON."""

    image: str
    values: dict[str, float]
    extra: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class ImageScores:
    """The scores of a set of images, and what could not be scored.

    Attributes:
        record: plain data, as `--json` writes it: model, scale, protocol, mean, images, versions.
        metrics: names, in the order asked for.
        protocol: how they were measured.
        failed: images that could not be scored, a line each.
        notes: what the reader of the numbers should know, a line each.
    """

    record: dict[str, Any]
    metrics: tuple[str, ...]
    protocol: Protocol
    failed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def warnings(self) -> list[str]:
        """Reasons to doubt the numbers, a line each: LR images that are shifted against HR."""
        return list(self.record.get("warnings", []))

    @property
    def mean(self) -> dict[str, float | None]:
        """Mean over images by metric; None where no image has a finite value."""
        return dict(self.record["mean"])

    @property
    def per_image(self) -> pd.DataFrame:
        """One row an image, one column a metric; an infinite PSNR is inf."""
        import pandas as pd

        rows = self.record["images"]
        frame = pd.DataFrame(
            {name: [math.inf if row[name] is None else row[name] for row in rows] for name in self.metrics}
        )
        return frame.set_index(pd.Index([row["image"] for row in rows], name="image"))

    def to_json(self) -> str:
        """Return the record as JSON text; an infinite PSNR is null."""
        return json.dumps(self.record, indent=2, ensure_ascii=False) + "\n"

    def _repr_html_(self) -> str:
        table = self.per_image
        table.loc["mean"] = [value if value is not None else math.inf for value in self.mean.values()]
        return str(table.to_html())


def check_metrics(names: Iterable[str]) -> tuple[str, ...]:
    """Return metric names once each exists and can be computed here.

    Raises:
        UsageError: none, an unknown one, one named twice, or not to be had on this machine.
    """
    names = tuple(names)
    if not names:
        raise UsageError("--metrics: name at least one metric, such as psnr_y")
    if len(set(names)) != len(names):
        raise UsageError(f"--metrics {','.join(names)}: name each metric once")
    for name in names:
        registry.get(name).check_available()
    return names


def check_protocol(protocol: Protocol, metrics: Sequence[str]) -> None:
    """Refuse settings that no metric looks at: a number would not be what its reader thinks.

    Raises:
        UsageError: which setting.
    """
    options = {"y_round": "--y-round", "border": "--border", "quantise": "--no-quantise"}
    for field in protocol.model_fields_set:
        if getattr(protocol, field) != getattr(Protocol(), field) and not any(
            field in registry.get(name).reads for name in metrics
        ):
            raise UsageError(f"{options[field]}: none of {', '.join(metrics)} looks at it; leave it out")


def _finite(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def image_scores(
    head: Mapping[str, Any], rows: Sequence[Scored], failed: Sequence[str], metrics: Sequence[str], protocol: Protocol,
    notes: Sequence[str] = (),
) -> ImageScores:  # fmt: skip
    """Return the scores of images with their means; `head`: what was scored: model, scale, data, kernel, ..."""
    finite = {name: [row.values[name] for row in rows if math.isfinite(row.values[name])] for name in metrics}
    shown = {name: registry.get(name) for name in metrics}
    record = {
        **head,
        "versions": versions(),
        "protocol": {
            **protocol.model_dump(mode="json"),
            "shaved": protocol.shaved(head["scale"]),
            "metrics": {name: {"color": metric.color, "version": metric.version} for name, metric in shown.items()},
        },
        "mean": {name: math.fsum(values) / len(values) if values else None for name, values in finite.items()},
        "infinite": {name: len(rows) - len(values) for name, values in finite.items() if len(values) < len(rows)},
        "images": [{"image": row.image, **_finite(row.values), **(row.extra or {})} for row in rows],
        **({"failed": [" ".join(line.split()) for line in failed]} if failed else {}),
    }
    return ImageScores(record, tuple(metrics), protocol, tuple(failed), tuple(notes))
