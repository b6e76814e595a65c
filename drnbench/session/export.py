"""The verb `export`: a trained stage of the store -> files that the authors' code loads, or ONNX."""

from __future__ import annotations

import contextlib
import io
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drnbench.config.keys import short
from drnbench.errors import UsageError, disk_full
from drnbench.models import methods, models, on_demand
from drnbench.results.inventory import resolve
from drnbench.session.onnx_file import SIZES, check_packages, write_onnx
from drnbench.store import Store, atomic, is_disk_full, read_json
from drnbench.store.environment import version

if TYPE_CHECKING:
    from torch import nn


def export_weights(key: str, out: Path, results: Path, *, force: bool, onnx: bool = False) -> int:
    """Write `<name>.pt` and, of a stage with a dual network a level, `<name>_dual_model.pt`; returns the exit code.

    Of a stage with averaged weights `<name>.pt` has those that are scored, and `<name>_last_step.pt` or `<name>_average.pt`
    the others.

    The name is model, scale and the first 12 characters of the stage's key, so equal weights have equal names.

    Args:
        key: begins that of a stage, or of a trial, which means its last stage.
        out: folder for the files.
        results: folder of the store.
        force: overwrite files.
        onnx: write `<name>.onnx`, too; of a trial whose method is not trained, that alone.

    Raises:
        UsageError: no such key or several, nothing trained to the end under it, a file that is there already, a network that
            has no ONNX form.
    """
    store = Store(results)
    folder = resolve(store, key)
    if onnx:
        check_packages()
        if (method := _untrained(folder)) is not None:
            return _export_untrained(method, folder, out, force=force)
    folder = _stage(store, folder, key, out)
    unit = read_json(folder / "unit.json")
    if unit is None:
        raise UsageError(
            f"stage {short(folder.name)} has no unit.json, so nothing tells what it is; copy the whole folder"
        )
    path = folder / "checkpoint.pt"
    state = on_demand.weights.read_safely(path)
    if not on_demand.weights.is_checkpoint(state):
        raise UsageError(f"{path} is no checkpoint of this store; train the stage again with --rerun")
    name = f"{unit['model']}_x{unit['scale']}_{short(folder.name)}"
    # Plain dictionaries of tensors: what `load_state_dict` of the authors' code, and of anybody's, takes.
    files: dict[str, Any] = {f"{name}.pt": dict(state["model"])}
    # Of a stage with averaged weights those that are not scored, too.
    files |= {f"{name}_{other}.pt": dict(state[other]) for other in ("average", "last_step") if other in state}
    extra = state.get("extra") or {}
    if "dual" in extra:
        files[f"{name}_dual_model.pt"] = on_demand.weights.read_dual(path)
    _refuse_existing(out, [*files, *([f"{name}.onnx"] if onnx else [])], force=force)
    with _refusing_unwritable(out):
        if onnx:  # first: it may be refused
            network = models.get(unit["model"]).make(unit["scale"], **unit["options"])
            network.load_state_dict(state["model"])
            _write_network(network, out / f"{name}.onnx", unit["model"], unit["scale"], unit["options"], folder.name)
        _write(out, files)
    for file, content in files.items():
        states = content if isinstance(content, list) else [content]
        count = sum(tensor.numel() for state in states for tensor in state.values())
        print(f"{out / file}: {count:,} numbers")
    sizes = ", ".join(f"{size} = {value}" for size, value in unit["options"].items())
    print(f"model {unit['model']} ({sizes}), scale {unit['scale']}, stage {unit['stage']['name']}, seed {unit['seed']}")
    left = sorted(network for network in extra if network != "dual")
    if left:
        print(f"not exported, since the authors' files have no place for it: {', '.join(left)}")
    return 0


def _untrained(folder: Path) -> dict[str, Any] | None:
    """Return the configuration of a trial whose method is not trained; None for a stage, and for other trials."""
    trial = read_json(folder / "trial.json") if folder.parent.name == "trials" else None
    return trial.get("config") if trial is not None and trial.get("stages") == [] else None


def _export_untrained(method: dict[str, Any], folder: Path, out: Path, *, force: bool) -> int:
    resolved = methods.resolve(method["method"], method["scale"], method["model"])
    name = f"{resolved.model}_x{method['scale']}_{short(folder.name)}.onnx"
    _refuse_existing(out, [name], force=force)
    network = models.get(resolved.model).make(method["scale"], **resolved.options)
    with _refusing_unwritable(out):
        _write_network(network, out / name, resolved.model, method["scale"], resolved.options, folder.name)
    return 0


def _write_network(
    network: nn.Module, path: Path, model: str, scale: int, options: Mapping[str, Any], key: str
) -> None:
    facts = {
        "model": model,
        "scale": str(scale),
        "options": json.dumps(options),
        "key": key,
        "drnbench": str(version("drnbench")),
        "torch": str(version("torch")),
    }
    difference = write_onnx(network.eval(), path, facts)
    sizes = " and ".join(f"{images}x3x{height}x{width}" for images, height, width in SIZES)
    print(f"{path}: differs from the network by at most {difference:.1g} gray levels at {sizes}")


def _stage(store: Store, folder: Path, key: str, out: Path) -> Path:
    """Return the folder of the stage that a key means; of a trial, its last stage."""
    if folder.parent.name == "trials":
        stages = (read_json(folder / "trial.json") or {}).get("stages")
        if stages is None:
            raise UsageError(f"trial {key} has no trial.json, so nothing tells its stages; give the key of a stage")
        if not stages:
            raise UsageError(f"trial {key} has no weights to export: its method is not trained")
        folder = store.stage(stages[-1])
    state = store.state(folder)
    if state != "done":
        raise UsageError(f"stage {folder.name[:12]} cannot be exported: it is {state}; run its study until it is done")
    if not (folder / "checkpoint.pt").exists():
        users = (
            path.parent.name
            for path in store.root.glob("trials/*/trial.json")
            if folder.name in ((read_json(path) or {}).get("stages") or ())
        )
        again = next((f"`reproduce {name[:12]} --keep DIR` trains them again, bit for bit" for name in users), None)
        way = (
            f"{again}, for `export {folder.name[:12]} {shlex.quote(str(out))} --results DIR`"
            if again
            else "train it with --rerun all"
        )
        raise UsageError(f"the weights of stage {folder.name[:12]} were cleaned away; {way}")
    return folder


def _refuse_existing(out: Path, names: Sequence[str], *, force: bool) -> None:
    existing = [name for name in names if (out / name).exists()]
    if existing and not force:
        raise UsageError(f"{out / existing[0]} is there already; give --force to overwrite it, or another folder")


def _write(out: Path, files: dict[str, Any]) -> None:
    import torch

    for name, content in files.items():
        with atomic(out / name) as temporary:
            # Not by its path: PyTorch reports a full disk in words of its own, and puts the temporary name into the file.
            buffer = io.BytesIO()
            torch.save(content, buffer)
            temporary.write_bytes(buffer.getbuffer())


@contextlib.contextmanager
def _refusing_unwritable(out: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:  # torch reports a folder it cannot write to as a RuntimeError
        if is_disk_full(error, out):
            raise disk_full(out) from error
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:120]
        raise UsageError(f"{out} cannot be written ({reason}); choose another folder") from error
