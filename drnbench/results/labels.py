"""Short readable names, for heads of columns, axes and sentences; the full specs stay in files."""

from __future__ import annotations

from collections.abc import Sequence

NUMBERED = {"noise": "noise {}", "jpeg": "JPEG {}"}
"""Parameters of a kernel that are written as words."""

GAUSSIAN8 = {"size": "21", "border": "reflect", "then": "bicubic"}
"""What the kernels of Gaussian8 share (`drnbench.config.kernel_sets`)."""


def listing(names: Sequence[str], most: int | None = None) -> str:
    """Return `a`, `a and b`, `a, b and c`; of more than `most`, the first ones: `a, b and 3 more`."""
    if most is not None and len(names) > most:
        names = [*names[:most], f"{len(names) - most} more"]
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1]


def _number(text: str) -> str:
    try:
        return f"{float(text):g}"
    except ValueError:
        return text


def kernel(spec: str) -> str:
    """Return the short name of a kernel.

    `gaussian:sigma=2.0` is `gaussian σ=2`, `anisotropic:angle=45,sigma_x=3.0,sigma_y=1.0` is `anisotropic 3×1, 45°`.
    Every parameter of the spec is in it, so two kernels do not share a label; of a file only the name is.
    """
    name, _, text = spec.partition(":")
    pairs = [part.partition("=") for part in text.split(",")] if text else []
    given = {key.strip(): _number(value.strip()) for key, _, value in pairs}
    head, tail = name, []
    if GAUSSIAN8.items() <= given.items():
        head = "gaussian8"
        given = {key: value for key, value in given.items() if key not in GAUSSIAN8}
    if {"sigma_x", "sigma_y"} <= given.keys():
        head += f" {given.pop('sigma_x')}×{given.pop('sigma_y')}"
        if "angle" in given:
            tail.append(f"{given.pop('angle')}°")
    elif "sigma" in given:
        head += f" σ={given.pop('sigma')}"
    if "path" in given:
        # The folder of a kernel file says little and takes much room.
        head += f" {given.pop('path').rpartition('/')[2]}"
    tail += [NUMBERED[k].format(v) if k in NUMBERED else f"{k}={v}" for k, v in given.items()]
    return ", ".join([head, *tail])
