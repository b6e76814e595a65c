"""Notation of a primary loss: `l1`, `l1+0.05*fft`, `charbonnier:eps=0.5`, or a dictionary of losses and weights."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

_PLUS = re.compile(r"(?<![0-9.][eE])\+")
"""A plus sign between terms, and not that of an exponent such as 1e+3."""


def loss_terms(loss: Any) -> dict[str, float]:
    """Return the weight of each loss of a primary loss, also those of weight 0.

    >>> loss_terms("l1+0.05*fft"), loss_terms({"l1": 1, "fft": 0})
    ({'l1': 1.0, 'fft': 0.05}, {'l1': 1.0, 'fft': 0.0})

    Raises:
        ValueError: not of that form, a loss that is given twice, a weight that is negative or not finite.

    """
    if isinstance(loss, Mapping):
        pairs = [(str(name).strip(), weight) for name, weight in loss.items()]
    elif isinstance(loss, str):
        pairs = [_term(text) for text in _PLUS.split(loss)]
    else:
        raise ValueError(  # noqa: TRY004 - pydantic reports it with the field's path
            'takes losses with weights, as "l1", "l1+0.05*fft" or {"l1": 1, "fft": 0.05}'
        )
    terms: dict[str, float] = {}
    for name, weight in pairs:
        if not name:
            raise ValueError("a loss has no name: write l1, or l1+0.05*fft")
        if name in terms:
            raise ValueError(f"the loss {name!r} is given twice")
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 <= weight < math.inf:
            raise ValueError(f"the weight of the loss {name!r} must be a finite number of at least 0")
        terms[name] = float(weight)
    return terms


def loss_text(terms: Mapping[str, float]) -> str:
    """Return losses and their weights as text, without those of weight 0.

    >>> loss_text({"l1": 1.0, "fft": 0.05, "l2": 0.0})
    'l1+0.05*fft'

    Raises:
        ValueError: every weight is 0.

    """
    used = {name: weight for name, weight in terms.items() if weight}
    if not used:
        raise ValueError("every loss has weight 0, so nothing would be trained: give one a weight")
    return "+".join(name if weight == 1 else f"{_number(weight)}*{name}" for name, weight in used.items())


def _term(text: str) -> tuple[str, Any]:
    weight, star, name = text.partition("*")
    if not star:
        return text.strip(), 1.0
    try:
        return name.strip(), float(weight)
    except ValueError:
        raise ValueError(f"{text.strip()!r} is not weight*loss, as in 0.05*fft") from None


def _number(weight: float) -> str:
    return json.dumps(int(weight) if weight.is_integer() else weight)
