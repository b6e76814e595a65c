"""The registry of models, and what an entry says of its network."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drnbench.errors import DrnbenchError, UsageError, nearest
from drnbench.registry import Registry

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Model:
    """A registered network.

    Attributes:
        make: `make(scale, **sizes)`.
        summary: one line for `list`.
        scales: scales it exists at; None for any.
        scheme: how it is trained where nobody says otherwise; None for a model that is not trained.
        multiscale: whether it has an output at each 2x level, as the per-level dual networks need.
        sizes: defaults at a scale for the parameters of `make` whose default is None.
        files: parameters of `make` that name a file, such as the weights of somebody else's network. The content of the
            file enters the keys, its path does not. Only for models that are not trained.

    """

    name: str
    make: Callable[..., nn.Module]
    summary: str
    scales: tuple[int, ...] | None = None
    scheme: str | None = "supervised"
    multiscale: bool = False
    sizes: Callable[[int], dict[str, Any]] = lambda scale: {}  # noqa: ARG005
    files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # A stage does not look whether the content changed since the plan, as an evaluation does.
        if self.files and self.scheme is not None:
            raise DrnbenchError(
                f"model {self.name!r} reads files, so it cannot be trained: register it with scheme=None"
            )

    def contents(self, options: Mapping[str, Any]) -> dict[str, str]:
        """Return the sha256 (hex) of every file that the options name, by option: what stands for it in a key.

        Raises:
            UsageError: no such file.

        """
        out = {}
        for name in self.files:
            if (path := options.get(name)) is not None:
                try:
                    with Path(path).open("rb") as file:
                        out[name] = hashlib.file_digest(file, "sha256").hexdigest()
                except OSError as error:
                    raise UsageError(
                        f"{name}: cannot read {path} ({error.strerror}); give the path of a file"
                    ) from error
        return out

    def options(self, scale: int, given: dict[str, Any]) -> dict[str, Any]:
        """Return every size with its value, defaults filled in, so that equal networks have equal keys.

        Raises:
            UsageError: the scale does not exist, or a size has another name.

        """
        if self.scales is not None and scale not in self.scales:
            raise UsageError(
                f"{self.name} cannot be built at scale {scale}: it exists at {', '.join(map(str, self.scales))}"
            )
        known = {p.name: p.default for p in inspect.signature(self.make).parameters.values() if p.name != "scale"}
        for name, value in given.items():
            if name not in known:
                raise UsageError(f"model {self.name!r} has no size {name!r}: {nearest(name, known)}")
            self._check(name, value)
        defaults = self.sizes(scale)
        return {name: given.get(name, defaults.get(name, value)) for name, value in known.items()}

    def _check(self, size: str, value: Any) -> None:
        """Hold a size against the annotation of `make`: a wrong type would fail in the middle of a sweep."""
        from pydantic import TypeAdapter, ValidationError

        hint = _annotation(self.make, size)
        if hint is inspect.Parameter.empty:
            return
        try:
            TypeAdapter(hint).validate_python(value, strict=True)
        except ValidationError as error:
            message = error.errors()[0]["msg"].replace("Input should be", "must be")
            raise UsageError(f"model {self.name!r}: size {size!r} {message} (got {value!r})") from error


def _annotation(make: Callable[..., Any], parameter: str) -> Any:
    """Return the annotation of a parameter, evaluated."""
    try:
        return inspect.signature(make, eval_str=True).parameters[parameter].annotation
    except NameError:
        # A factory that imports its network when it builds one can name it to type checkers alone in what it returns.
        hint = inspect.signature(make).parameters[parameter].annotation
        names = getattr(inspect.unwrap(make), "__globals__", {})
        return eval(hint, names) if isinstance(hint, str) else hint  # noqa: S307 - the factory's own code


def _entry(name: str, make: Callable[..., nn.Module], summary: str, **fields: Any) -> Model:
    return Model(name, make, summary, **fields)


models: Registry[Model] = Registry(
    "model",
    home=("drnbench.models.builtin",),
    group="drnbench.models",
    entry=_entry,
)
