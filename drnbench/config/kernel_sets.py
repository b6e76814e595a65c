"""Sets of kernels that test images are degraded by in turn: those that papers name, and those that a study lists."""

from __future__ import annotations

from drnbench.errors import UsageError

GAUSSIAN8 = {2: (0.8, 1.6), 3: (1.35, 2.4), 4: (1.8, 3.2)}
"""First and last σ of Gaussian8, in HR pixels, by scale.

IKC (Gu et al. 2019) and DAN (Luo et al. 2020): the values are quoted from DAN in issue 21 of greatlog/DAN; those of x4 stand in
guoyongcs/DRC at d374450, DCLS/codes/scripts/generate_mod_blur_LR_bic.py.
"""
NAMES = {"gaussian8": "eight isotropic Gaussian kernels of 21 x 21 (x2, x3, x4), then bicubic: IKC, DAN, DCLS"}
"""Sets that have a name, with a line for lists."""


def kernels_of(kernel: str | tuple[str, ...], scale: int) -> tuple[str, ...]:
    """Return the kernels of a set at a scale, each once; of a single kernel that one.

    >>> kernels_of("gaussian8", 4)[0]
    'gaussian:sigma=1.8,size=21,border=reflect,then=bicubic'

    Raises:
        UsageError: the set is not defined at that scale.

    """
    members = [kernel] if isinstance(kernel, str) else list(kernel)
    return tuple(dict.fromkeys(spec for member in members for spec in _named(member.strip(), scale)))


def is_set(kernel: str | tuple[str, ...]) -> bool:
    """Return True if a declaration stands for several kernels."""
    return kernel.strip() in NAMES if isinstance(kernel, str) else len(kernel) > 1 or kernel[0].strip() in NAMES


def _named(name: str, scale: int) -> list[str]:
    if name not in NAMES:
        return [name]
    if scale not in GAUSSIAN8:
        raise UsageError(f"the set {name!r} is defined at the scales 2, 3 and 4, not {scale}: list kernels instead")
    first, last = GAUSSIAN8[scale]
    sigmas = [round(first + (last - first) * step / 7, 6) for step in range(8)]
    return [f"gaussian:sigma={sigma:g},size=21,border=reflect,then=bicubic" for sigma in sigmas]
