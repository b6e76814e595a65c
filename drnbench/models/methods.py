"""Methods: a model, its sizes, and its default training scheme.

Every registered model is a method of the same name. The names here add sizes (`drn-s`) or another scheme (`no-dual`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drnbench.errors import UsageError, nearest
from drnbench.models._registry import models

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Method:
    """A preset: a model with fixed sizes or another default scheme.

    Attributes:
        model: name in the registry of models.
        summary: one line for `list`.
        sizes: fixed sizes of the model at a scale; a study cannot change these.
        scheme: default scheme; None: the model's own.
        test_time: default adaptation to each test image.
    """

    model: str
    summary: str
    sizes: Callable[[int], dict[str, Any]] = lambda scale: {}  # noqa: ARG005
    scheme: str | None = None
    test_time: str | None = None


@dataclass(frozen=True)
class Resolved:
    """A method at one scale: model, every size, default scheme (None: not trained), default adaptation to test images."""

    model: str
    options: dict[str, Any]
    scheme: str | None
    test_time: str | None = None


def _large(scale: int) -> dict[str, Any]:
    return {"n_blocks": 36, "n_feats": 10} if scale == 8 else {"n_blocks": 40, "n_feats": 20}


def _compressed(rate: int, scale: int) -> dict[str, Any]:  # noqa: ARG001 - the same at every scale
    return {"rate": rate}


METHODS: dict[str, Method] = {
    "drn-s": Method("drn", "DRN-S of the paper, 4.8 M parameters at x4", lambda scale: models.get("drn").sizes(scale)),
    "drn-l": Method("drn", "DRN-L of the paper, 9.8 M parameters at x4", _large),
    **{
        f"drn-s{rate}": Method(
            "drn-compressed",
            f"DRN-S with {rate} % of its channels removed, by the numbers that its authors' search gave",
            functools.partial(_compressed, rate),
        )
        for rate in (30, 50, 70)
    },
    "no-dual": Method("drn", "the DRN network without the dual loss, sizes free", scheme="supervised"),
    "dual-synth": Method(
        "drn",
        "DRN trained on pairs that its dual makes, fitted to real LR images before (dual-fit)",
        scheme="dual-synth",
    ),
    "kernelgan-zssr": Method(
        "zssr",
        "ZSSR with the kernel that KernelGAN estimates of each test image",
        lambda scale: {"kernel": "estimated"},  # noqa: ARG005
    ),
    "srtta": Method(
        "edsr",
        "EDSR, trained first, then adapted to each test image when it is scored (SRTTA); sizes free",
        test_time="srtta",
    ),
    "dualgan": Method(
        "cyclegan", "CycleGAN's networks under DualGAN's Wasserstein losses, sizes free", scheme="dualgan"
    ),
}


def names() -> list[str]:
    """Return the names of all methods: the presets and the registered models."""
    return sorted({*METHODS, *models.list()})


def get(name: str) -> Method:
    """Return a method by name.

    Raises:
        UsageError: no such method; the message has the nearest name.
    """
    if name in METHODS:
        return METHODS[name]
    if name not in models:
        raise UsageError(f"unknown method {name!r}: {nearest(name, names())}")
    return Method(name, models.get(name).summary)


def is_fitted(name: str | None, test_time: str | None = None) -> bool:
    """Return True if a method of that name is registered, and is fitted or adapted to each test image when it is scored.

    Args:
        name: of the method.
        test_time: adaptation that the trial asks for.
    """
    if name is None or not (name in METHODS or name in models):
        return False
    return bool(test_time or get(name).test_time) or models.get(get(name).model).zero_shot


def resolve(name: str, scale: int, sizes: dict[str, Any]) -> Resolved:
    """Return model, complete sizes and default scheme.

    >>> resolve("drn-s", 8, {}).options
    {'n_blocks': 30, 'n_feats': 8, 'train_mean': True}

    Raises:
        UsageError: unknown method or size, impossible scale, a size that the method fixes.
    """
    method = get(name)
    model = models.get(method.model)
    if model.scales is not None and scale not in model.scales:
        raise UsageError(f"{name} cannot be built at scale {scale}: it exists at {', '.join(map(str, model.scales))}")
    fixed = method.sizes(scale)
    if clash := sorted(set(fixed) & set(sizes)):
        raise UsageError(f"{name} fixes {clash[0]!r} at {fixed[clash[0]]}; use method {method.model!r} for free sizes")
    options = model.options(scale, {**sizes, **fixed})
    for size, value in options.items():
        if isinstance(value, int) and not isinstance(value, bool) and value < 1:
            raise UsageError(f"{name}: {size} must be at least 1 (got {value})")
    return Resolved(method.model, options, method.scheme or model.scheme, method.test_time)


def create(name: str, scale: int, **sizes: Any) -> nn.Module:
    """Build a model, or the model of a method such as `drn-s`, with weights that PyTorch initialises.

    Raises:
        UsageError: unknown name, size or scale.
    """
    resolved = resolve(name, scale, sizes)
    return models.get(resolved.model).make(scale, **resolved.options)
