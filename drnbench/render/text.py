"""Numbers and names in writing, for tables, figures and sentences alike.

A minus is U+2212 here; `plain` makes it a hyphen for terminals and Markdown, `latex.escape` sets it in math.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from drnbench.config.study import value_text
from drnbench.evaluation import metrics
from drnbench.render.spelling import KEPT, LONGEST, legible, mark
from drnbench.results import labels
from drnbench.results.layout import Slot
from drnbench.results.plan_record import AxisRecord
from drnbench.results.scores import Arm, Condition, Scores
from drnbench.results.statistics import Difference


@dataclass(frozen=True)
class MetricStyle:
    """A metric in writing: label, unit with a leading space, digits of means and of differences."""

    label: str
    unit: str
    decimals: int
    delta_decimals: int
    higher_is_better: bool

    @property
    def axis_label(self) -> str:
        """Label with its unit: `PSNR-Y (dB)`."""
        return f"{self.label} ({self.unit.strip()})" if self.unit else self.label

    @property
    def sign(self) -> int:
        """1 where higher is better, -1 where lower is."""
        return 1 if self.higher_is_better else -1

    @property
    def direction(self) -> str:
        """Second line of an axis: `higher is better`."""
        return "higher is better" if self.higher_is_better else "lower is better"


def style(metric: str) -> MetricStyle:
    """Return the style of a registered metric.

    Raises:
        UsageError: there is no such metric.

    """
    m = metrics.get(metric)
    # Differences of 0.05 dB are what a study looks for: two digits would hide half of them.
    unit = f" {m.unit}" if m.unit else ""
    return MetricStyle(m.label, unit, m.decimals, max(3, m.decimals), m.higher_is_better)


def minus(text: str) -> str:
    """Replace every hyphen before a digit by a minus sign."""
    return "".join("−" if c == "-" and text[n + 1 : n + 2].isdigit() else c for n, c in enumerate(text))


def plain(text: str) -> str:
    """Return text for terminals and Markdown: hyphens for minus signs, code points for what cannot be printed."""
    return legible(text.replace("−", "-"))


def number(value: float, decimals: int) -> str:
    """Write a number, ∞ where it is infinite; one that rounds to zero has no sign."""
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:.{decimals}f}"
    return minus(text.lstrip("-") if float(text) == 0 else text)


def signed(value: float, decimals: int) -> str:
    """Write a difference with its sign; one that rounds to zero has none."""
    text = f"{value:+.{decimals}f}"
    return minus(text.lstrip("+-") if float(text) == 0 else text)


def interval(difference: Difference, decimals: int) -> str:
    """Write `[low, high]`, or nothing where there is no interval."""
    if difference.low is None or difference.high is None:
        return ""
    return f"[{signed(difference.low, decimals)}, {signed(difference.high, decimals)}]"


def delta(difference: Difference, metric: str) -> str:
    """Write a difference with unit and interval: `+0.213 dB [+0.150, +0.270]`."""
    s = style(metric)
    between = interval(difference, s.delta_decimals)
    return f"{signed(difference.mean, s.delta_decimals)}{s.unit}" + (f" {between}" if between else "")


def shown(value: Any, path: str = "") -> str:
    """Write an axis value as arm names do; one of an axis of kernels by its short label."""
    if path.rpartition(".")[2] == "kernel" and isinstance(value, str):
        return labels.kernel(value)
    return value_text(value)


def setting(axis: AxisRecord, value: Any) -> str:
    """Write an axis value with the name of the axis: `λ=0.1`."""
    return f"{axis.title}={shown(value, axis.path)}"


def count(n: int, noun: str) -> str:
    """Write `1 seed`, `3 seeds`."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def span(numbers: list[int], noun: str) -> str:
    """Write `3 seeds`, or `2–3 seeds` where arms differ."""
    low, high = min(numbers), max(numbers)
    return count(high, noun) if low == high else f"{low}–{high} {noun}s"


def sample(seeds: list[int], images: list[int]) -> str:
    """Write `3 seeds, 5 images`, with ranges where arms differ."""
    return f"{span(seeds, 'seed')}, {span(images, 'image')}"


def slot_label(scores: Scores, slot: Slot | Condition, *, scale: bool = False) -> str:
    """Return the shortest name of a condition that is unique in the study; `scale`: with the scale."""
    parts = []
    if slot.dataset is not None and (slot.kernel is None or len({c.dataset for c in scores.conditions}) > 1):
        parts.append(slot.dataset)
    if slot.kernel is not None:
        parts.append(labels.kernel(slot.kernel))
    label = ", ".join(parts) or "score"
    return f"{label} ×{slot.scale}" if scale and slot.scale is not None else label


def title(scores: Scores, path: str | None) -> str:
    """Return the title of an axis; `arm` where there is none."""
    return next((a.title for a in scores.axes if a.path == path), "arm")


def common(conditions: Sequence[Condition]) -> str:
    """Return the shared parts of conditions: `photos-test, bd ×4`, `photos-test ×4`."""
    first = conditions[0]
    parts = [first.dataset] if len({c.dataset for c in conditions}) == 1 else []
    parts += [labels.kernel(first.kernel)] if len({c.kernel for c in conditions}) == 1 else []
    scale = f"×{first.scale}" if len({c.scale for c in conditions}) == 1 else ""
    return " ".join(part for part in (", ".join(parts), scale) if part)


def arm_label(scores: Scores, arm: Arm, among: Sequence[Arm]) -> str:
    """Return an arm's name without the axis values that all of some arms share."""
    if arm.kind == "reference":
        return "bicubic"
    if arm.kind != "grid":
        return arm.name
    settings = []
    for axis in scores.axes:
        value, values = arm.values[axis.path], {repr(a.values[axis.path]) for a in among if a.kind == "grid"}
        if len(values) > 1:
            plain_value = axis.named or axis.path == "method"
            settings.append(shown(value, axis.path) if plain_value else setting(axis, value))
    return ", ".join(settings) or arm.name


def arm_name(scores: Scores, name: str) -> str:
    """Return the name of an arm in a sentence: values of its axes as they are shown elsewhere, kernels by their names."""
    return arm_label(scores, scores.arm(name), scores.arms) if scores.arm(name).kind == "grid" else name


def reduces_pairs(scores: Scores) -> bool:
    """Return True if some arms replace pairs by unpaired images (ρ above 0)."""
    return any(axis.path.endswith(".rho") for axis in scores.plan.axes)


def path_slug(path: str) -> str:
    """Return the last word of an override path as files may be called."""
    return slug(path.rpartition(".")[2])


def slug(words: str) -> str:
    """Return a name as files may be called: ASCII letters, digits, `_`, `-`; the field's Greek letters by name."""
    named = {"λ": "lambda", "ρ": "rho", "σ": "sigma", "Δ": "delta", "α": "alpha", "β": "beta", "μ": "mu"}
    text = "".join(named.get(c, c if c.isascii() and (c.isalnum() or c == "_") else "-") for c in words)
    name = "-".join(part for part in text.split("-") if part) or "arms"
    # A file's name has at most 255 bytes, of which others than this take a part.
    return name if len(name) <= LONGEST else f"{name[:KEPT]}-{mark(words)}"
