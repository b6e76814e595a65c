"""Values of study files as plain Python: NumPy's numbers and arrays, paths, ranges and generators."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)

SCALARS = frozenset({bool, int, float, str, type(None)})
"""Types that are plain."""


def plain(value: Any) -> Any:
    """Return a value with everything inside as Python's own types; models and unknown types as they are.

    A number of less than double precision is the shortest decimal that it prints: `np.float32(0.3)` is 0.3.

    >>> plain([np.float32(0.3), np.arange(3), range(2), np.bool_(True)])
    [0.3, [0, 1, 2], [0, 1], True]
    """
    if type(value) in SCALARS:  # most of them
        return value
    if isinstance(value, np.floating):
        return float(str(value))
    if isinstance(value, (np.bool_, np.integer, np.str_)):
        return value.item()
    if isinstance(value, np.ndarray):
        return [plain(item) for item in value] if value.ndim else plain(value[()])
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, range, Iterator)):
        return [plain(item) for item in value]
    return tuple(plain(item) for item in value) if type(value) is tuple else value


def on_axes(cell: Mapping[str, Any], axes: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Return values by path, or lists of them, with numbers that differ from one of their axis by rounding alone replaced.

    >>> on_axes({"rho": 0.3, "scale": [2, 4]}, {"rho": [0.0, 0.1 * 3], "scale": [2, 4]})
    {'rho': 0.30000000000000004, 'scale': [2, 4]}
    """
    out = dict(cell)
    for path in cell.keys() & axes.keys():
        value = cell[path]
        several = isinstance(value, (list, tuple))
        members = [_member(number, axes[path]) for number in (value if several else [value])]
        out[path] = members if several else members[0]
    return out


def _member(value: Any, values: Sequence[Any]) -> Any:
    numbers = [number for number in values if _is_number(number)]
    if not _is_number(value) or value in values:
        return value
    near = 1e-9 * max((abs(number) for number in numbers), default=0.0)
    return next((number for number in numbers if abs(number - value) <= near), value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


class PlainArguments(ModelMetaclass):
    """Gives the constructor of a model plain values; validation, of JSON too, is as strict as the model says."""

    def __call__(self, *args: Any, **fields: Any) -> Any:
        """Return a model of plain arguments."""
        return super().__call__(*map(plain, args), **plain(fields))
