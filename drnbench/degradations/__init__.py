"""Kernels: degradations HR -> LR at any integer scale, named by short specs such as `bd:sigma=2.0,size=12`.

Every kernel takes `noise` (gray levels) and `jpeg` (quality), which come after it: `bd:noise=5,jpeg=70`.

A new kernel is a class derived from `drnbench.degradations.kernel.Kernel` under `@kernels.register("name")`,
in a file listed in `home` below, or in another package through the entry-point group `drnbench.kernels`. A plan reads
names and parameters alone, so PyTorch is imported inside the functions that compute.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from drnbench.config.keys import digest
from drnbench.errors import ChangedError, UsageError, in_plain_words, nearest
from drnbench.registry import Registry

if TYPE_CHECKING:
    from drnbench.degradations.kernel import Kernel

__all__ = ["canonical", "check_kernel", "identity", "kernels", "parse"]

# The module is called `kernel`: importing a submodule `kernels` would replace this registry in the package.
kernels: Registry[type[Kernel]] = Registry(
    "kernel",
    home=(
        "drnbench.degradations.kernel",
        "drnbench.degradations.blur",
        "drnbench.degradations.file",
        "drnbench.degradations.drawn",
        "drnbench.degradations.second_order",
    ),
    group="drnbench.kernels",
)


def parse(spec: str) -> Kernel:
    """Return the kernel that `name` or `name:parameter=value,...` describes.

    >>> parse("bd:sigma=2.0").sigma
    2.0

    Raises:
        UsageError: an unknown name or parameter, a parameter given twice, a missing one or a bad value.
    """
    from pydantic import ValidationError

    name, colon, rest = (part.strip() for part in spec.partition(":"))
    kind = kernels.get(name)
    fields: dict[str, Any] = {}
    for item in rest.split(",") if colon else ():
        key, equals, text = (part.strip() for part in item.partition("="))
        if not equals or not key or not text:
            raise UsageError(f"kernel {spec!r}: {item!r} is not parameter=value, as in bd:sigma=2.0,size=12")
        if key not in kind.model_fields:
            raise UsageError(f"kernel {name!r} has no parameter {key!r}: {nearest(key, kind.model_fields)}")
        if key in fields:
            raise UsageError(f"kernel {spec!r} gives {key!r} twice")
        fields[key] = _value(text)
    try:
        return kind(**fields)
    except ValidationError as error:
        # A union reports an error for each member; the user can act on the first.
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else "?"
        value = "" if first["type"] == "missing" else f", not {fields[key]!r}" if key in fields else ""
        description = kind.model_fields[key].description if key in kind.model_fields else None
        hint = f" ({description.split(';')[0]})" if description else ""
        raise UsageError(f"kernel {spec!r}: {key}: {in_plain_words(first['msg'])}{value}{hint}") from None


def canonical(spec: str) -> str:
    """Return the shortest spec of the same kernel: parameters that differ from their defaults, sorted.

    >>> canonical("bd:sigma=2,size=none,noise=5"), canonical("bicubic:border=symmetric")
    ('bd:noise=5.0,sigma=2.0', 'bicubic')

    Raises:
        UsageError: as `parse`.
    """
    kernel = parse(spec)
    changed = kernel.model_dump(exclude_defaults=True)
    values = ",".join(f"{key}={v if isinstance(v, str) else json.dumps(v)}" for key, v in sorted(changed.items()))
    return f"{kernel.name}:{values}" if values else kernel.name


def identity(spec: str) -> dict[str, object]:
    """Return the name and every parameter of a kernel, defaults included, as they enter a key.

    `noise` and `jpeg` are included only where they are set, and the content of a file stands for its path.

    >>> identity("bicubic")
    {'name': 'bicubic', 'border': 'symmetric'}

    Raises:
        UsageError: as `parse`, and a kernel file that cannot be used.
    """
    return parse(spec).identity()


def check_kernel(spec: str, expected: str | None) -> None:
    """Refuse a kernel whose file is not what it was when a plan was made.

    Args:
        spec: of the kernel.
        expected: `digest` of its identity then; None: it reads no file.

    Raises:
        ChangedError: the file has another content, or is gone.
    """
    if expected is None:
        return
    try:
        content = digest(identity(spec))
    except UsageError as error:
        raise ChangedError(f"the file of kernel {spec} changed since the plan was made: {error}") from error
    if content != expected:
        raise ChangedError(f"the file of kernel {spec} changed since the plan was made; run the study again")


def _value(text: str) -> Any:
    """Return the value of JSON text, None for `none`, and any other text unchanged."""
    if text.lower() == "none":
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text
