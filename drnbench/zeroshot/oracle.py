"""The check that a method which is given the test set's degradation can have it."""

from __future__ import annotations

from drnbench.degradations.kernel import Kernel
from drnbench.errors import UsageError

GIVEN = "given"
"""Value of a method's option `kernel`: the degradation of the test set, an oracle."""


def check_given(method: str, kernel: Kernel) -> None:
    """Refuse a degradation whose kernel is not known, or not the same for every image.

    Raises:
        UsageError: which, and what to choose instead.
    """
    instead = "choose kernel=bicubic"
    if kernel.real:
        raise UsageError(f"{method} with kernel={GIVEN}: the degradation of 'real' images is not known; {instead}")
    if type(kernel).taps is Kernel.taps:
        raise UsageError(f"{method} with kernel={GIVEN}: kernel {kernel.name!r} does not state its weights; {instead}")
