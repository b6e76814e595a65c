"""Helpers of several test files: a study that trains in a second, the command line as a process, waiting, reading a store."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import psutil
import torch

from drnbench.config.study import Study
from drnbench.planning.expand import Expanded, expand
from drnbench.search.resolve import expanded, resolve_search

PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4//8/AAX+Av4N70a4AAAAAElFTkSuQmCC")
"""A PNG of one pixel."""
STUDY = '''"""Does a share of unpaired images change anything here?"""

from drnbench import Axis, Curve, Data, Evaluate, Stage, Study, Table, Trial, Until

small = {{"batch": 2, "patch": 32, "validations": 2}}
pretrain = Stage("pretrain", scheme="paired", data=Data("photos/train", crop=96), steps={steps}, lr=1e-3, **small)
adapt = Stage("adapt", scheme="unpaired", rho=0.5, data=Data("photos/train", crop=96),
              unpaired=Data("photos/unpaired", kernel="bd", crop=96), steps={steps}, lr=1e-3, **small)
study = Study(
    base=Trial(method="drn", model={{"n_blocks": 1, "n_feats": 2}}, scale=2, stages=[pretrain, adapt],
               evaluate=[Evaluate("photos/test", kernel="bd", crop=48), Evaluate("photos/test", crop=48)]),
    axes=[Axis("adapt.rho", {rhos}, label="ρ")],
    arms={{"true pairs": {{"adapt.scheme": "paired", "adapt.data.kernel": "bd"}}}},
    seeds={seeds}, baseline={{"adapt.rho": {first}}}, control="true pairs",
    outputs=[Table(rows="adapt.rho"), Curve(x="adapt.rho")],
)
'''


def write_study(
    folder: Path, *, name: str = "mini", steps: int = 3, rhos: tuple[float, ...] = (0.0, 0.5), seeds: int | str = 1
) -> Path:
    """Write a study file that trains in seconds."""
    path = folder / f"{name}.py"
    path.write_text(STUDY.format(steps=steps, rhos=list(rhos), seeds=seeds, first=rhos[0]), encoding="utf-8")
    return path


STORE_ONLY = ("--tracking-uri", "off", "--no-report")
"""Options of a `run` that a test looks at by its store alone: a report and a mirror take longer than small units."""


def command(*args: object) -> list[str]:
    """Return the command line as a user calls it."""
    return [sys.executable, "-m", "drnbench", *map(str, args)]


def call(*args: object, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        command(*args), cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, timeout=300, check=False
    )


def until(condition: Callable[[], object], seconds: float = 120) -> None:
    """Wait until a condition holds; fail when it does not within the deadline."""
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        pause.wait(0.005)


def until_blocked(process: subprocess.Popen) -> None:
    """Wait until a process sleeps in a system call: a signal that comes just before the call does not wake it."""
    until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_SLEEPING)


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def weights(results: Path) -> dict[str, dict]:
    """Return every checkpoint of a store, by stage key."""
    return {p.parent.name: torch.load(p, weights_only=True) for p in sorted(results.glob("stages/*/checkpoint.pt"))}


def scores(results: Path) -> pd.DataFrame:
    """Return every score of a store, sorted."""
    frames = [
        pd.read_parquet(p).assign(trial=p.parent.name) for p in sorted(results.glob("trials/*/per_image.parquet"))
    ]
    return pd.concat(frames).sort_values(["trial", "evaluation", "image"]).reset_index(drop=True)


def histories(results: Path) -> pd.DataFrame:
    """Return every history of a store, without the times."""
    frames = [pd.read_parquet(p).assign(stage=p.parent.name) for p in sorted(results.glob("stages/*/history.parquet"))]
    return pd.concat(frames).drop(columns="time").reset_index(drop=True)


def same(a: object, b: object) -> bool:
    """Return True if two nested dictionaries or lists of tensors and values are equal bit for bit."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def expand_study(study: Study, name: str, question: str, profile: str = "quick") -> Expanded:
    """Turn any study into arms of frozen trials: its grid, or the arms of a search that has not run."""
    if study.search is None:
        return expand(study, name, question, profile)
    return expanded(resolve_search(study, name, question, profile))
