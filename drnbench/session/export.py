"""The verb `export`: a trained stage of the store -> files that the authors' code loads."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from drnbench.config.keys import short
from drnbench.errors import UsageError
from drnbench.models import on_demand
from drnbench.results.inventory import resolve
from drnbench.store import Store, atomic, read_json


def export_weights(key: str, out: Path, results: Path, *, force: bool) -> int:
    """Write `<name>.pt` and, of a stage with a dual network a level, `<name>_dual_model.pt`; returns the exit code.

    The name is model, scale and the first 12 characters of the stage's key, so equal weights have equal names.

    Raises:
        UsageError: no such key or several, nothing trained to the end under it, a file that is there already.
    """
    store = Store(results)
    folder = _stage(store, key, out)
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
    extra = state.get("extra") or {}
    if "dual" in extra:
        files[f"{name}_dual_model.pt"] = on_demand.weights.read_dual(path)
    _write(out, files, force=force)
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


def _stage(store: Store, key: str, out: Path) -> Path:
    """Return the folder of the stage that a prefix means; of a trial, its last stage."""
    folder = resolve(store, key)
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


def _write(out: Path, files: dict[str, Any], *, force: bool) -> None:
    import torch

    there = [name for name in files if (out / name).exists()]
    if there and not force:
        raise UsageError(f"{out / there[0]} is there already; give --force to overwrite it, or another folder")
    try:
        for name, content in files.items():
            with atomic(out / name) as temporary:
                torch.save(content, temporary)
    except (OSError, RuntimeError) as error:  # torch reports a folder it cannot write to as a RuntimeError
        raise UsageError(
            f"{out} cannot be written ({' '.join(str(error).split())[:120]}); choose another folder"
        ) from error
