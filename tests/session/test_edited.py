"""Code, plug-in, study, images, kernels and weights edited in the middle of a run: each is said, nothing is filed wrongly.

The network of a plug-in holds its first worker until the test has edited the files.
"""

import json
import os
import shutil
import subprocess
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from drnbench.store import code
from tests.conftest import REPOSITORY
from tests.helpers import STORE_ONLY, call, command, until
from tests.test_plugins import install

pytestmark = pytest.mark.real

NET = """
import os
import threading
from multiprocessing import parent_process
from pathlib import Path

from torch import nn
from torch.nn import functional as F

from drnbench.models import models

BIAS = 0.0


def in_worker():
    return parent_process() is not None or any(name.startswith("SUBMITIT_") for name in os.environ)


class Net(nn.Module):
    def __init__(self, scale, n_feats):
        super().__init__()
        self.scale, self.body = scale, nn.Conv2d(3, 3 * scale**2, 3, padding=1)
        gate = Path(os.environ["GATE"])
        if in_worker() and not (gate / "open").exists():
            (gate / "reached").touch()
            while not (gate / "open").exists():
                threading.Event().wait(0.01)

    def forward(self, lr):
        return (F.pixel_shuffle(self.body(lr / 255), self.scale) + BIAS,)


@models.register("gated-net", "a network that waits", scales=(2, 3, 4))
def gated_net(scale: int, n_feats: int = 8) -> Net:
    return Net(scale, n_feats)
"""
STUDY = '''"""Does a network learn more in three steps than in two?"""

from drnbench import Axis, Data, Evaluate, Stage, Study, Table, Trial

train = Stage("train", data=Data("{train}", kernel="{kernel}", crop=64), steps=2, batch=2, patch=32, lr=1e-3, validations=0)
study = Study(
    base=Trial(method="gated-net", scale=2, stages=[train], evaluate=[Evaluate("{test}", crop=48, metrics=("psnr_y",))]),
    axes=[Axis("train.steps", [2, 3])], seeds=1, baseline={{"train.steps": 2}}, outputs=[Table(rows="train.steps")],
)
'''
BROKEN = "raise RuntimeError('this must not be imported any more')\n"


@pytest.fixture
def site(tmp_path):
    """A folder with a copy of drnbench and the plug-in, to be edited."""
    site = tmp_path / "site"
    (tmp_path / "wheels").mkdir()
    install("gated_net", NET, tmp_path / "wheels", site)
    # With the bytecode, which is valid until a file is edited, as copies keep times; not with what is being written.
    shutil.copytree(REPOSITORY / "drnbench", site / "drnbench", ignore=shutil.ignore_patterns("*.pyc.*"))
    return site


@pytest.fixture
def sets(tmp_path):
    """Training and test images of one's own, and a kernel file."""
    for name in ("train", "test"):
        (tmp_path / name).mkdir()
        for n in range(2):
            write_image(tmp_path / name / f"{name}{n}.png", seed=10 * len(name) + n)
    np.save(tmp_path / "kernel.npy", np.ones((4, 4)))
    return tmp_path


def write_image(path, seed):
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (80, 80, 3), np.uint8)).save(path)


def write_study(folder, train="photos/train", test="photos/test", kernel="bicubic"):
    (folder / "edited.py").write_text(STUDY.format(train=train, test=test, kernel=kernel), encoding="utf-8")


def environment(folder):
    return {"PYTHONPATH": str(folder / "site"), "GATE": str(folder)}


@contextmanager
def running(folder, *args):
    """Start a run; give a function that returns its exit code and output, after the first unit was held for the edits."""
    arguments = command("run", "edited.py", "--results", "r", "--tracking-uri", "off", "--jobs", 1, *args)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(arguments, cwd=folder, env={**os.environ, **environment(folder)}, **pipes)
    try:
        until(lambda: (folder / "reached").exists() or process.poll() is not None, seconds=300)

        def end():
            (folder / "open").touch()
            out, err = process.communicate(timeout=300)
            return process.returncode, out, err

        yield end
    finally:
        process.kill()
        process.communicate()


def again(folder, verb, *args):
    return call(verb, "edited.py", "--results", "r", *args, cwd=folder, **environment(folder))


def records(folder, pattern="stages/*/stage.json"):
    return [json.loads(path.read_text()) for path in sorted((folder / "r").glob(pattern))]


def append(path, text):
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def test_code_plug_in_and_study_edited_in_a_run_are_said_and_the_results_are_of_what_ran(tmp_path, site):
    write_study(tmp_path)
    fingerprints = {kind: code.fingerprint(kind) for kind in code.ROOTS}
    with running(tmp_path) as end:
        append(site / "drnbench" / "schemes" / "supervised.py", BROKEN)
        append(site / "drnbench" / "evaluation" / "evaluator.py", BROKEN)
        append(site / "gated_net.py", BROKEN)
        append(tmp_path / "edited.py", "study = study.model_copy(update={'seeds': 2})\n")
        code_, out, err = end()
    assert code_ == 0, err
    assert "trained 2 stages" in out
    notes = [line for line in out.splitlines() if line.startswith("note: ") and "changed while this ran" in line]
    assert len(notes) == 2
    assert "the study edited.py changed while this ran: the report is of the plan that ran" in notes[0]
    for name in ("drnbench/schemes/supervised.py", "drnbench/evaluation/evaluator.py", "the plug-in gated_net"):
        assert name in notes[1]
    assert {record["code"] for record in records(tmp_path)} == {fingerprints["stage"]}
    assert {record["code"] for record in records(tmp_path, "trials/*/scores.json")} == {fingerprints["evaluate"]}
    page = (tmp_path / "r" / "edited" / "quick" / "report.html").read_text(encoding="utf-8")
    assert "the study edited.py changed while this ran" in page

    # The plan with the files of now says that they are stale.
    for file in ("drnbench/schemes/supervised.py", "drnbench/evaluation/evaluator.py", "gated_net.py"):
        path = site / file
        path.write_text(path.read_text(encoding="utf-8").replace(BROKEN, "OTHER = 1\n"), encoding="utf-8")
    planned = again(tmp_path, "plan")
    assert "2 stages and 3 scored trials come from other numeric code than this; --rerun stale" in planned.stdout
    assert "2 stages and 2 scored trials were made with other files of the plug-in gated_net" in planned.stdout
    assert "to train" in planned.stdout  # the second seed of the study as it is now


def test_a_new_process_that_would_load_edited_code_refuses_its_unit(tmp_path, site):
    pytest.importorskip("submitit")
    write_study(tmp_path)
    with running(tmp_path, "--executor", "slurm", "--slurm", "cluster=local", "--no-report") as end:
        append(site / "drnbench" / "schemes" / "supervised.py", "OTHER = 1\n")
        code_, out, err = end()
    assert code_ == 1
    failed = [line for line in err.splitlines() if line.startswith("failed: ")]
    assert failed
    assert all("other numeric code of drnbench than the run began with" in line for line in failed)
    first, *others = records(tmp_path)
    assert first["code"] == code.fingerprint("stage")
    assert not others
    assert "note: drnbench/schemes/supervised.py changed while this ran" in out
    done = again(tmp_path, "run", *STORE_ONLY)  # without --rerun: nothing was wrong with the units
    assert done.returncode == 0, done.stderr
    assert "1 stages come from other numeric code than this" in done.stdout


@pytest.mark.parametrize("edited", ["train", "test", "kernel"])
def test_images_and_kernels_edited_in_a_run_fail_their_units_with_a_line(sets, site, edited):
    write_study(sets, "./train", "./test", "file:path=kernel.npy")
    with running(sets, "--no-report") as end:
        if edited == "kernel":
            np.save(sets / "kernel.npy", np.diag(np.ones(4)))
        else:
            write_image(sets / edited / f"{edited}1.png", seed=99)
        code_, out, err = end()
    assert code_ == 1
    assert "Traceback" not in out + err
    failed = [line for line in err.splitlines() if line.startswith("failed: ")]
    assert failed
    assert all("changed" in line for line in failed), failed
    assert f"{edited}" in failed[0]
    (note,) = [line for line in out.splitlines() if line.startswith("note: ") and "changed while this ran" in line]
    assert "changed while this ran: the report is of the plan that ran" in note
    assert len(list((sets / "r").glob("trials/*/per_image.parquet"))) == 1  # of bicubic, scored before the edit
    done = again(sets, "run", *STORE_ONLY)
    assert done.returncode == 0, done.stderr
    assert "0 failed" in done.stdout


def test_a_plug_in_of_another_version_makes_its_results_stale_and_no_others(tmp_path, site):
    (tmp_path / "open").touch()
    write_study(tmp_path)
    done = again(tmp_path, "run", *STORE_ONLY)
    assert done.returncode == 0, done.stderr
    assert all(set(record["plug_ins"]) == {"gated_net"} for record in records(tmp_path))
    info = next(site.glob("gated_net-*.dist-info"))
    metadata = (info / "METADATA").read_text(encoding="utf-8").replace("Version: 1.0", "Version: 1.1")
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    info.rename(site / "gated_net-1.1.dist-info")
    planned = again(tmp_path, "plan")
    assert "2 stages and 2 scored trials were made with gated_net 1.0, now 1.1; --rerun stale" in planned.stdout
    done = again(tmp_path, "run", *STORE_ONLY, "--rerun", "stale")
    assert "trained 2 stages" in done.stdout
    assert "warning" not in again(tmp_path, "plan").stdout
