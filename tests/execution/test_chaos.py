"""A sweep whose workers and coordinators are killed at random ends bit for bit as an undisturbed one."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
from pathlib import Path

import psutil
import pytest
import torch

from tests.execution.test_kill import assert_equal, running
from tests.helpers import STORE_ONLY, call, command, until, write_study

pytestmark = pytest.mark.real

WORKERS, COORDINATORS = 10, 3


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calm")
    study = write_study(folder, steps=80, rhos=(0.0, 0.2, 0.4, 0.6, 0.8), seeds=2)
    done = call("run", study, "--results", folder / "r", *STORE_ONLY, "--jobs", 2)
    assert done.returncode == 0, done.stderr
    return study, folder / "r"


def saved_step(folder: Path) -> int:
    """The step of a stage's last checkpoint; 0 where there is none."""
    path = folder / "checkpoint.pt"
    return int(torch.load(path, weights_only=True)["step"]) if path.exists() else 0


def test_a_sweep_under_random_kills_ends_like_an_undisturbed_one(undisturbed, tmp_path):
    study, reference = undisturbed
    results, rng = tmp_path / "r", random.Random(0)
    args = command("run", study, "--results", results, *STORE_ONLY, "--jobs", 2)
    environment = {**os.environ, "DRNBENCH_CHECKPOINT_S": "0.05"}
    killed: list[tuple[Path, int]] = []
    ended = 0
    run = None
    while len(killed) < WORKERS or ended < COORDINATORS:
        if run is None or run.poll() is not None:
            run = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        # Some progress between two kills, so that the sweep gets on.
        step = rng.choice([0, 0, 1])
        until(
            lambda run=run, step=step: (
                run.poll() is not None
                or any(f.parent.name == "stages" and saved_step(f) >= step for f in running(results))
            ),
        )
        if run.poll() is not None:
            assert len(killed) >= WORKERS or run.returncode == 1, "the sweep ended before it was disturbed enough"
            continue
        if ended < COORDINATORS and len(killed) >= WORKERS * (ended + 1) // (COORDINATORS + 1):
            family = psutil.Process(run.pid).children(recursive=True)
            run.kill()
            run.wait()
            psutil.wait_procs(family, timeout=120)
            ended += 1
            continue
        stages = [(folder, pid) for folder, pid in running(results).items() if folder.parent.name == "stages"]
        if stages:
            folder, pid = rng.choice(stages)
            step = saved_step(folder)
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue  # it has just ended by itself
            killed.append((folder, step))
    run.kill()
    run.wait()
    for _ in range(3):  # what was killed too often in one run is tried again by the next
        done = call("run", study, "--results", results, *STORE_ONLY, "--jobs", 2)
        if done.returncode == 0:
            break
    assert done.returncode == 0, done.stderr
    assert_equal(results, reference)
    for folder, step in killed:
        resumed = [int(n) for n in re.findall(r"resumed at step (\d+)", (folder / "log.txt").read_text())]
        assert step == 0 or any(n >= step for n in resumed), f"{folder.name} lost the work before step {step}"
    assert not list(results.glob("*/*/lease.*"))
