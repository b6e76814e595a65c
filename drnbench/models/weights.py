"""Loading weights from files: the store's checkpoints, plain state dicts and the authors' files; never code."""

from __future__ import annotations

import functools
import hashlib
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from drnbench.errors import DamagedError, UsageError
from drnbench.models import wrapping
from drnbench.models.dual import DualSingle, dual_per_level, parts
from drnbench.models.operator import Operator, from_state
from drnbench.store import atomic
from drnbench.store.integrity import ALTERED, CRC, crc_text

State = dict[str, Tensor]

OPERATOR = {"weights", "first"}
"""Entries of an operator: `drnbench.models.operator.Operator`."""
DUALS = ("dual", "dual_single", "dual_linear", "dual_known", "dual_estimated")
LEVEL = {"dual_module.0.0.weight", "dual_module.1.weight"}
"""Parameters of one per-level dual network, in the authors' files and in those of this package."""
_DUAL_PREFIX = re.compile(r"((module|model|net|network|\w*dual\w*)\.)*", re.IGNORECASE)
"""Before the names of dual networks; a network P may have parts of the same shapes under other names."""


def read_safely(path: Path) -> Any:
    """Return what a file written by torch holds, on the CPU; tensors and plain containers only, never code.

    Raises:
        UsageError: anything else, or a checkpoint that is not whole.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the reader raises nearly anything on bytes of another format
        raise UsageError(
            f"{path} holds no weights that can be read safely: give a checkpoint.pt of the store, or a state dict that torch.save wrote"
        ) from error
    if isinstance(content, dict) and CRC in content and content.pop(CRC) != state_crc(content):
        raise UsageError(f"{path} {ALTERED}: copy it again, or train its stage again")
    return content


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint with the CRC-32 of its content; the caller syncs it."""
    with atomic(path, durable=False) as temporary:
        torch.save({**state, CRC: state_crc(state)}, temporary)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return a checkpoint of the store, on the CPU.

    Raises:
        DamagedError: it is missing, or not what was written.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise DamagedError(path, "is missing") from None
    except Exception as error:  # the reader raises nearly anything on bytes of another format
        raise DamagedError(path, "is not a checkpoint that can be read") from error
    if not is_checkpoint(content) or content.pop(CRC, None) not in {None, state_crc(content)}:
        raise DamagedError(path, ALTERED)
    checkpoint: dict[str, Any] = content
    return checkpoint


def state_crc(state: Any) -> str:
    """Return the CRC-32 of a nested state as 8 hexadecimal digits: names, types, shapes and bytes of tensors, numbers, text.

    torch.load compares no checksum, so a bit that flips on a disk is another weight.
    """
    return crc_text(functools.reduce(lambda value, piece: zlib.crc32(piece, value), _pieces(state), 0))


def _pieces(content: Any) -> Iterator[bytes]:
    if isinstance(content, Tensor):
        yield f"{content.dtype}{tuple(content.shape)}".encode()
        yield content.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    elif isinstance(content, dict):
        yield f"{{{len(content)}".encode()
        for name, value in content.items():
            yield repr(name).encode()
            yield from _pieces(value)
        yield repr(getattr(content, "_metadata", None)).encode()  # of a state dict: the versions of its modules
    elif isinstance(content, (list, tuple)):
        yield f"{type(content).__name__}{len(content)}".encode()
        for value in content:
            yield from _pieces(value)
    else:
        yield repr(content).encode()


def load_weights(model: nn.Module, path: Path) -> None:
    """Load a checkpoint of the store, or a state dict (the authors' `DRNS4x.pt`), into a model.

    State dicts may be wrapped as trainers do (`drnbench.models.wrapping`).

    Raises:
        UsageError: not a file of weights, or of another network; the message names the wrapping, and the first parameter that
            differs.
    """
    content, target = read_safely(path), model.state_dict()
    if is_checkpoint(content) and "extra" in content:  # further networks of the store's own may have the same shapes
        content = content["model"]
    if match := wrapping.fitting(content, target, path):
        model.load_state_dict(match.state)
        return
    if dual_states(content):
        raise UsageError(
            f"{path} holds dual networks (D), not the network P: give it as dual weights, and here a file such as "
            "DRNS4x.pt or a checkpoint.pt of the store"
        )
    closest = wrapping.nearest(content, target)
    if closest is None:
        raise UsageError(f"{path} holds no state dict: expected names and tensors, or a checkpoint.pt of the store")
    _check_fit(target, closest, path, "check method, scale and sizes (--set)")


def read_dual(path: Path) -> list[State]:
    """Return the state dicts of the dual networks in a file, D0 (2x -> 1x) first; a single one for a `DualSingle`.

    Reads the authors' `*_dual_model.pt` (a list of state dicts) and a checkpoint of the store; if unpaired images have a D
    of their own there, that D.

    Raises:
        UsageError: not a file of weights, or one without dual networks.
    """
    content = read_safely(path)
    if is_checkpoint(content):
        extra = content.get("extra") or {}
        names = (*(f"{name}_unpaired" for name in DUALS), *DUALS)
        states = dual_states(next((extra[name] for name in names if extra.get(name)), None) or content["model"])
        if not states:
            raise UsageError(
                f"{path} holds no dual networks: its stage was trained without; give a stage of scheme paired or unpaired"
            )
        return states
    states = dual_states(content)
    if not states:
        content_text = (
            "the weights of another network (P?)" if any(wrapping.state_dicts(content)) else "no dual networks"
        )
        raise UsageError(
            f"{path} holds {content_text}: dual weights are a list of state dicts such as DRNS4x_dual_model.pt, "
            "or a checkpoint.pt of the store"
        )
    return states


def load_dual(duals: nn.Module, path: Path) -> None:
    """Load a file of dual networks into `dual_per_level(...)` or a `DualSingle`.

    Raises:
        UsageError: as `read_dual`, or of another kind, scale or number of channels.
    """
    _load_duals(duals, read_dual(path), path)


def dual_from_file(path: Path, scale: int) -> nn.ModuleList | DualSingle | Operator:
    """Build the dual networks of a file, with its number of channels, and load them.

    A `DualSingle` of scale 2 and one of scale 3 have equal shapes: there a wrong scale is not detected.

    Raises:
        UsageError: as `load_dual`; per-level networks at a scale that is no power of two.
    """
    states = read_dual(path)
    if states[0].keys() == OPERATOR:
        return from_state(states[0], scale)
    single = _is_single(states[0])
    if not single and scale & (scale - 1):
        raise UsageError(f"{path} holds one dual network for each 2x level, which scale {scale} does not have")
    n_feats = states[0]["body.0.0.weight" if single else "dual_module.0.0.weight"].shape[0]
    duals = DualSingle(scale, n_feats) if single else dual_per_level(scale, n_feats)
    _load_duals(duals, states, path)
    return duals


def state_digest(path: Path) -> str:
    """Return the sha256 (hex) over names, shapes, dtypes and bytes of the tensors that can be loaded from a file.

    A key of content: order, container types and pickle's bytes do not move it, nor do a checkpoint's optimisers and
    counters.

    Raises:
        UsageError: not a file of weights.
    """
    content = read_safely(path)
    if is_checkpoint(content):
        content = {"model": content["model"], "extra": content.get("extra") or {}}
    total, named = hashlib.sha256(), sorted(tensors(content), key=lambda item: item[0])
    if not named:
        raise UsageError(f"{path} holds no tensors: expected a state dict, dual networks or a checkpoint.pt")
    for name, tensor in named:
        total.update(f"{name}\0{tuple(tensor.shape)}\0{tensor.dtype}\0".encode())
        total.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def tensors(content: Any, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors in nested dictionaries and lists, each with its path: `/model/head.weight`."""
    if isinstance(content, Tensor):
        yield prefix, content
    elif isinstance(content, (dict, list, tuple)):
        for name, value in content.items() if isinstance(content, dict) else enumerate(content):
            yield from tensors(value, f"{prefix}/{name}")


def is_checkpoint(content: Any) -> bool:
    """Return True for the content of a checkpoint.pt of the store: model's state dict, extra networks, optimisers."""
    return isinstance(content, dict) and isinstance(content.get("model"), dict)


def _is_state(content: Any) -> bool:
    return isinstance(content, dict) and all(isinstance(value, Tensor) for value in content.values())


def _is_single(state: State) -> bool:
    """Return True if the names are those of a `DualSingle`."""
    return "body.0.0.weight" in state and all(re.fullmatch(r"body\.\d+(\.0)?\.weight", name) for name in state)


def dual_states(content: Any) -> list[State]:
    """Return the dual networks in nested dictionaries and lists, also with prefixes before their names; [] for none."""
    if isinstance(content, (list, tuple)):
        parts_of_each = [_below_prefixes(state) for state in content]
        return _duals([parts[-1] for parts in parts_of_each]) if all(parts_of_each) else []
    for part in _below_prefixes(content):
        if states := _duals(part):
            return states
    inner = content.values() if isinstance(content, dict) else ()
    return next((states for value in inner if (states := dual_states(value))), [])


def _below_prefixes(content: Any) -> list[State]:
    """Return a state dict, and the parts of it where a dual network may be."""
    state = next((wrapped.state for wrapped in wrapping.state_dicts(content) if not wrapped.keys), None)
    if state is None:
        return []
    endings = ("0.dual_module.0.0.weight", "dual_module.0.0.weight", "body.0.0.weight")
    parts_below = [pair for ending in endings for pair in wrapping.below(state, ending)]
    return [state, *(part for prefix, part in parts_below if _DUAL_PREFIX.fullmatch(prefix))]


def _duals(content: Any) -> list[State]:
    """Return the dual networks of a list, of a ModuleList's state dict or of a `DualSingle`; [] where it is none."""
    if isinstance(content, (list, tuple)):
        return list(content) if all(_is_state(state) and state.keys() == LEVEL for state in content) else []
    if not _is_state(content):
        return []
    if _is_single(content) or content.keys() in (LEVEL, OPERATOR):
        return [content]
    levels: dict[int, State] = {}
    for name, value in content.items():
        number, dot, rest = name.partition(".")
        if not (number.isdigit() and dot and rest in LEVEL):
            return []
        levels.setdefault(int(number), {})[rest] = value
    return [levels[level] for level in sorted(levels)]


def _load_duals(duals: nn.Module, states: list[State], path: Path) -> None:
    targets = [part.state_dict() for part in parts(duals)]
    (stored, setting), (expected, _) = _described(states[0]), _described(targets[0])
    if stored != expected:
        raise UsageError(f"{path} holds {stored}, and {expected} is wanted; use {setting} with it, or another file")
    if states[0].keys() == OPERATOR:
        _load(duals, states[0], path, "check the scale")
        return
    have, need = _levels(states), _levels(targets)
    if have != need:
        raise UsageError(
            f"{path} holds dual networks over {have} 2x level(s), scale {2**have}, and {need}, scale {2**need}, "
            "are wanted; give the file of that scale"
        )
    for part, state, target in zip(parts(duals), states, targets, strict=True):
        first = min(target)
        if state.keys() == target.keys() and state[first].shape[:1] != target[first].shape[:1]:
            n, m = state[first].shape[0], target[first].shape[0]
            raise UsageError(f"{path} holds dual networks of {n} channels, and {m} are wanted; set dual_feats = {n}")
        _load(part, state, path, "check the scale and dual_feats")


def _described(state: State) -> tuple[str, str]:
    """Return the kind of a dual network in words, and the setting for it."""
    if state.keys() == OPERATOR:
        return "one strided kernel", "dual = 'linear'"
    if _is_single(state):
        return "one dual network straight from SR to LR", "dual = 'single'"
    return "one dual network for each 2x level", "dual = 'level' or 'chain'"


def _levels(states: list[State]) -> int:
    """Return the number of halvings: one network each, or the strided layers of a `DualSingle`."""
    return len(states[0]) - 1 if _is_single(states[0]) else len(states)


def _load(model: nn.Module, state: State, path: Path, advice: str) -> None:
    _check_fit(model.state_dict(), wrapping.Wrapped((), "", state), path, advice)
    model.load_state_dict(state)


def _check_fit(target: State, wrapped: wrapping.Wrapped, path: Path, advice: str) -> None:
    """Refuse a state dict whose names or shapes are not those of a network, with the first that differs."""
    state, place = wrapped.state, f" (under {wrapped.place})" if wrapped.place else ""
    for name in sorted(target.keys() | state.keys()):
        if name not in state:
            raise UsageError(f"{path}{place} is of another network: it lacks {name!r}; {advice}")
        if name not in target:
            raise UsageError(f"{path}{place} is of another network: {name!r} has no place in it; {advice}")
        if state[name].shape != target[name].shape:
            raise UsageError(
                f"{path}{place} is of another network: {name!r} is {tuple(state[name].shape)}, expected "
                f"{tuple(target[name].shape)}; {advice}"
            )
