"""The registry of models and its entries."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drnbench.errors import DrnbenchError, UsageError, in_plain_words, nearest
from drnbench.registry import Registry

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Model:
    """A registered network.

    Attributes:
        name: in the registry.
        make: `make(scale, **sizes)`.
        summary: one line for `list`.
        scales: scales it exists at; None for any.
        scheme: default scheme; None for a model that is not trained.
        multiscale: it has an output at each 2x level, as the per-level dual networks need.
        sizes: defaults at a scale for the parameters of `make` whose default is None; of a network with outputs at every
            level also its `n_feats`, which the dual networks follow.
        files: parameters of `make` that name a file, such as published weights. The content of the file enters the keys,
            its path does not. Only for models that are not trained.
        packages: distributions beside torch and numpy that compute its output: of another version, results are stale.
        zero_shot: it makes a `drnbench.zeroshot.base.ZeroShot`, which is fitted to each test image when it is scored.
    """

    name: str
    make: Callable[..., nn.Module]
    summary: str
    scales: tuple[int, ...] | None = None
    scheme: str | None = "supervised"
    multiscale: bool = False
    sizes: Callable[[int], dict[str, Any]] = lambda scale: {}  # noqa: ARG005
    files: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    zero_shot: bool = False

    def __post_init__(self) -> None:
        # A stage does not check that the content is unchanged since the plan, as an evaluation does.
        if self.files and self.scheme is not None:
            raise DrnbenchError(
                f"model {self.name!r} reads files, so it cannot be trained: register it with scheme=None"
            )

    def contents(self, options: Mapping[str, Any]) -> dict[str, str]:
        """Return the sha256 (hex) of every file that the options name, by option, as it enters a key.

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

    def options(self, scale: int, sizes: dict[str, Any]) -> dict[str, Any]:
        """Return every size with its value, defaults filled in, so that equal networks have equal keys.

        Raises:
            UsageError: the scale does not exist, or a size is unknown or of the wrong type.
        """
        if self.scales is not None and scale not in self.scales:
            raise UsageError(
                f"{self.name} cannot be built at scale {scale}: it exists at {', '.join(map(str, self.scales))}"
            )
        parameters = inspect.signature(self.make).parameters.values()
        defaults = {parameter.name: parameter.default for parameter in parameters if parameter.name != "scale"}
        for name, value in sizes.items():
            if name not in defaults:
                raise UsageError(f"model {self.name!r} has no size {name!r}: {nearest(name, defaults)}")
            self._check(name, value)
        return defaults | {name: value for name, value in self.sizes(scale).items() if name in defaults} | sizes

    def _check(self, size: str, value: Any) -> None:
        """Check a size against the annotation of `make`: a wrong type would fail in the middle of a sweep."""
        from pydantic import TypeAdapter, ValidationError

        hint = _annotation(self.make, size)
        if hint is inspect.Parameter.empty:
            return
        try:
            TypeAdapter(hint).validate_python(value, strict=True)
        except ValidationError as error:
            message = in_plain_words(error.errors()[0]["msg"])
            raise UsageError(f"model {self.name!r}: size {size!r} {message} (got {value!r})") from error


def _annotation(make: Callable[..., Any], parameter: str) -> Any:
    """Return the annotation of a parameter, evaluated."""
    try:
        return inspect.signature(make, eval_str=True).parameters[parameter].annotation
    except NameError:
        # The return annotation of a factory may be a name that is imported for type checkers alone.
        hint = inspect.signature(make).parameters[parameter].annotation
        names = getattr(inspect.unwrap(make), "__globals__", {})
        return eval(hint, names) if isinstance(hint, str) else hint  # noqa: S307 - the factory's own code


models: Registry[Model] = Registry("model", home=("drnbench.models.builtin",), group="drnbench.models", entry=Model)
