"""An examination of this installation: what works, what is missing, and the command that gets it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from drnbench.data.disk_space import free_bytes
from drnbench.datasets.catalogue import REMOTES
from drnbench.datasets.fetch import checkpoints, present
from drnbench.datasets.sources import datasets, roots
from drnbench.errors import DrnbenchError, one_line
from drnbench.models import on_demand
from drnbench.store import Store, environment
from drnbench.tracking.record import database_fault

State = Literal["ok", "note", "missing"]
"""Works; an option that is not installed or not here; what a study with defaults cannot do without."""

SMALLEST_TORCH, SMALLEST_PYTHON = (2, 11), (3, 11)
LOW_BYTES = 2e9
"""Free disk space below which a study of the quick profile may not end."""
EXTRAS = {
    "video": "av", "spandrel": "spandrel", "ray": "ray", "slurm": "submitit", "onnx": "onnxruntime",
}  # fmt: skip
"""Distribution that an extra installs."""


@dataclass(frozen=True)
class Finding:
    """The state of one part of the installation.

    Attributes:
        part: what was examined.
        state: ok, note, or missing.
        detail: version, place, or what is wrong.
        remedy: the command or the change that mends it; "" where nothing is to do.
    """

    part: str
    state: State
    detail: str
    remedy: str = ""


def examine(store: Store) -> list[Finding]:
    """Return the state of every part, in the order in which a study needs them; writes nothing.

    Args:
        store: the results folder, which need not exist.
    """
    findings = list[Finding]()
    for part, check in _CHECKS.items():
        try:
            findings += check(store)
        except importlib.metadata.PackageNotFoundError as error:
            findings.append(
                Finding(part, "missing", f"no distribution {error.name} is installed", f"pip install {error.name}")
            )
        except DrnbenchError as error:  # its message says how to mend it
            findings.append(Finding(part, "missing", one_line(str(error))))
        except (ImportError, OSError) as error:
            findings.append(
                Finding(part, "missing", one_line(str(error)), "pip check names what does not fit together")
            )
    return findings


def _python(_: Store) -> Iterator[Finding]:
    version = platform.python_version()
    if sys.version_info < SMALLEST_PYTHON:
        yield Finding("Python", "missing", version, "make an environment with Python 3.11 or later")
    else:
        yield Finding("Python", "ok", f"{version}, {sys.prefix}")
    yield Finding("drnbench", "ok", f"{importlib.metadata.version('drnbench')}, {Path(__file__).parents[1]}")


def _torch(_: Store) -> Iterator[Finding]:
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Finding("torch", "missing", one_line(str(error)), "pip install 'torch>=2.11' torchvision")
        return
    version = tuple(map(int, torch.__version__.split("+")[0].split(".")[:2]))
    if version < SMALLEST_TORCH:
        yield Finding("torch", "missing", torch.__version__, "pip install --upgrade torch torchvision")
    else:
        yield Finding("torch", "ok", f"{torch.__version__}, {torch.get_num_threads()} threads")
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            properties: Any = torch.cuda.get_device_properties(index)
            yield Finding("GPU", "ok", f"{index}: {properties.name}, {properties.total_memory / 2**30:.0f} GiB")
    else:
        built = torch.version.cuda
        yield Finding(
            "GPU",
            "note",
            f"none that PyTorch can use ({f'built for CUDA {built}' if built else 'a build for the CPU'})",
        )


def _packages(_: Store) -> Iterator[Finding]:
    remedies = {
        "torchvision": "pip install torchvision, of the same build (CPU or CUDA) and release as torch",
        "lpips": "pip install --force-reinstall lpips",
    }
    errors = {package: on_demand.perceptual.import_error(package) for package in remedies}
    for package, error in errors.items():
        detail = f"cannot be imported: {error}" if error else importlib.metadata.version(package)
        # A package that only lacks another one is mended with that one.
        cause = next((name for name in errors if errors[name] and f"'{name}'" in str(error)), package)
        yield Finding(package, "missing" if error else "ok", detail, remedies[cause] if error else "")
    absent = [extra for extra, distribution in EXTRAS.items() if environment.version(distribution) is None]
    if absent:
        yield Finding(
            "extras", "note", f"not installed: {', '.join(absent)}", f"pip install 'drnbench[{','.join(absent)}]'"
        )
    else:
        yield Finding("extras", "ok", ", ".join(EXTRAS))


def _weights(_: Store) -> Iterator[Finding]:
    for name in (name for name, remote in REMOTES.items() if remote.folder is None):
        try:
            fetched = present(REMOTES[name], checkpoints())
        except DrnbenchError as error:
            yield Finding(f"weights {name}", "missing", str(error), "move the file away and fetch it again")
            continue
        if fetched:
            yield Finding(f"weights {name}", "ok", str(fetched.path))
        else:
            remedy = f"python -m drnbench data fetch {name}"
            yield Finding(
                f"weights {name}", "note", f"not in {checkpoints()}; metrics that need them are refused", remedy
            )


def _data(_: Store) -> Iterator[Finding]:
    readable = True
    for root in roots():
        if not root.is_dir():
            yield Finding(
                "data root", "missing", f"{root} is no folder", "set DRNBENCH_DATA to the folder with Set5, DIV2K, ..."
            )
        elif not os.access(root, os.R_OK | os.X_OK):
            readable = False
            yield Finding(
                "data root", "missing", f"{root} cannot be read", f"chmod u+rx {root}, or name another folder"
            )
        else:
            yield Finding("data root", "ok", str(root))
    if not readable:
        return
    names = [dataset.name for dataset in datasets() if not dataset.name.startswith("photos/")]
    if names:
        yield Finding("data sets", "ok", ", ".join(names))
    else:
        remedy = "python -m drnbench data fetch Set5 Set14 B100"
        yield Finding("data sets", "note", "only the photographs that installed packages ship", remedy)


def _store(store: Store) -> Iterator[Finding]:
    folder = next(parent for parent in (store.root.absolute(), *store.root.absolute().parents) if parent.exists())
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Finding("results", "missing", f"{folder} cannot be written", "choose another folder with --results")
    else:
        yield Finding(
            "results", "ok", str(store.root.absolute()) + ("" if folder == store.root.absolute() else " (not made yet)")
        )
    free = free_bytes(folder)
    enough = free >= LOW_BYTES
    remedy = "" if enough else "make room (`clean` shows what the store holds), or choose another --results"
    yield Finding("disk", "ok" if enough else "missing", f"{free / 1e9:.3g} GB free at {folder}", remedy)


def _mlflow(store: Store) -> Iterator[Finding]:
    version, path = importlib.metadata.version("mlflow"), store.root / "mlflow.db"
    if (fault := database_fault(path)) is not None:
        yield Finding("MLflow", "missing", str(fault), "python -m drnbench check --repair")
    elif (lock := _lock(path)) is not None:
        yield Finding(
            "MLflow", "missing", f"{path} {lock}", "end the process that holds it, or wait; `sync` catches up later"
        )
    else:
        yield Finding("MLflow", "ok", f"{version}, {path}{'' if path.exists() else ' (not made yet)'}")


def _lock(path: Path) -> str | None:
    """Return why a database cannot be written now; None where it can, or where there is none."""
    if not path.is_file():
        return None
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=0.5)) as opened:
            opened.execute("BEGIN IMMEDIATE")
            opened.rollback()
    except sqlite3.Error as error:
        return f"cannot be written: {error}"
    return None


def _machine(_: Store) -> Iterator[Finding]:
    import psutil

    memory = psutil.virtual_memory()
    cores = f"{environment.processor()}, {os.cpu_count()} cores"
    yield Finding(
        "machine", "ok", f"{cores}, {memory.available / 2**30:.0f} of {memory.total / 2**30:.0f} GiB memory free"
    )
    latex = shutil.which("pdflatex")
    yield Finding("LaTeX", "ok" if latex else "note", latex or "no pdflatex; tables are written all the same")


_CHECKS: dict[str, Callable[[Store], Iterator[Finding]]] = {
    "Python": _python, "torch": _torch, "packages": _packages, "weights": _weights, "data": _data, "results": _store,
    "MLflow": _mlflow, "machine": _machine,
}  # fmt: skip
