"""State dicts as trainers save them: inside other dictionaries, and with prefixes before the names of the parameters.

Known wrappings are BasicSR's `params` and `params_ema`, `state_dict` of PyTorch Lightning, `model`, `net_g` and the like, and
prefixes of DataParallel (`module.`), torch.compile (`_orig_mod.`) and of the attribute that holds the network (`net.`). Of
several networks that fit, averaged weights (EMA) come first, as the authors' scripts and spandrel choose, and then the order
of `KEYS`; a warning names the choice.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from drnbench.errors import ChoiceWarning, UsageError

State = dict[str, Tensor]

KEYS = (
    "params",
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "network",
    "net_g",
    "netg",
    "generator",
    "g",
    "weights",
)
"""Keys and prefixes, in lower case, under which trainers keep a network, in the order of preference."""
_EMA = re.compile(r"(^|[_-])ema($|[_-])", re.IGNORECASE)
_WRAPPER = re.compile(rf"(module|_orig_mod|{'|'.join(KEYS)}|(\w+[_-])?ema)\.", re.IGNORECASE)
_DEPTH = 4


class Wrapped(NamedTuple):
    """A state dict in a file.

    Attributes:
        keys: under which it lies.
        prefix: before the names, ending in a dot; empty for none.
        state: without the prefix.
    """

    keys: tuple[str, ...]
    prefix: str
    state: State

    @property
    def place(self) -> str:
        """Words for a message: `params_ema, names with module. before them`; empty for a plain state dict."""
        parts = [repr(".".join(self.keys))] if self.keys else []
        return ", ".join([*parts, f"names that begin with {self.prefix!r}"] if self.prefix else parts)

    @property
    def rank(self) -> int:
        """Preference among networks that fit, the lower the better: averaged weights, then the order of `KEYS`."""
        words = [*self.keys, *self.prefix.split(".")]
        if any(_EMA.search(word) for word in words):
            return 0
        return min((1 + KEYS.index(word.lower()) for word in words if word.lower() in KEYS), default=len(KEYS) + 1)


def state_dicts(content: Any, keys: tuple[str, ...] = ()) -> Iterator[Wrapped]:
    """Yield every dictionary of tensors in nested dictionaries; torch.compile's `_orig_mod.` is left out of its names."""
    if not isinstance(content, dict) or len(keys) > _DEPTH:
        return
    if state := {str(name): value for name, value in content.items() if isinstance(value, Tensor)}:
        names = {name: name.replace("_orig_mod.", "") for name in state}
        compiled = len(set(names.values())) == len(names) and any(name != names[name] for name in names)
        yield Wrapped(keys, "", {names[name]: value for name, value in state.items()} if compiled else state)
    for key, value in content.items():
        yield from state_dicts(value, (*keys, str(key)))


def without_prefixes(wrapped: Wrapped) -> Iterator[Wrapped]:
    """Yield a state dict itself, and the parts of it below the prefixes that trainers add."""
    yield wrapped
    for prefix in dict.fromkeys(match[0] for name in wrapped.state if (match := _WRAPPER.match(name))):
        part = {name.removeprefix(prefix): value for name, value in wrapped.state.items() if name.startswith(prefix)}
        yield from without_prefixes(Wrapped(wrapped.keys, wrapped.prefix + prefix, part))


def below(state: State, ending: str) -> Iterator[tuple[str, State]]:
    """Yield each prefix that stands before a name, with all parameters below it."""
    prefixes = {name.removesuffix(ending) for name in state if name.endswith(ending)}
    for prefix in sorted((prefix for prefix in prefixes if not prefix or prefix.endswith(".")), key=len):
        yield prefix, {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def fitting(content: Any, target: Mapping[str, Tensor], path: Path) -> Wrapped | None:
    """Return the state dict in a file's content that has the names and shapes of a network; None if none has.

    Raises:
        UsageError: several fit, and nothing says which is meant.
    """
    if not target:
        return next(state_dicts(content), None)
    longest = max(target, key=len)
    matches = [
        Wrapped(wrapped.keys, prefix, state)
        for wrapped in state_dicts(content)
        for prefix, state in below(wrapped.state, longest)
        if state.keys() == target.keys() and all(state[name].shape == target[name].shape for name in target)
    ]
    return preferred(matches, path)


def preferred(matches: list[Wrapped], path: Path) -> Wrapped | None:
    """Return the first of some networks by their rank, with a warning where others were as good.

    Raises:
        UsageError: two of the first rank.
    """
    matches = sorted(matches, key=lambda match: match.rank)
    if len(matches) > 1:
        first, second = matches[:2]
        if first.rank == second.rank:
            raise UsageError(
                f"{path} holds several networks that fit ({'; '.join(match.place for match in matches[:4])}): save the one "
                "that you mean on its own"
            )
        if second.rank <= len(KEYS):
            others = "; ".join(match.place or "the top" for match in matches[1:4])
            warnings.warn(f"{path}: weights are those under {first.place}, not {others}", ChoiceWarning, stacklevel=2)
    return matches[0] if matches else None


def nearest(content: Any, target: Mapping[str, Tensor]) -> Wrapped | None:
    """Return the state dict in a file's content that shares most names with a network; None where there is none."""
    parts = (part for wrapped in state_dicts(content) for part in without_prefixes(wrapped))
    return max(parts, key=lambda part: (len(part.state.keys() & target.keys()), -len(part.prefix)), default=None)
