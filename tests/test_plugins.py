"""Models and outputs of other packages: installed with an entry point, used by a study, harmless when one is broken."""

import os
import shutil
import sys
import zipfile
from pathlib import Path
from subprocess import run

import pandas as pd
import pytest

from tests.conftest import REPOSITORY
from tests.helpers import STORE_ONLY, call, write_study

NET = """
from torch import nn
from torch.nn import functional as F

from drnbench.models import models


class Net(nn.Module):
    def __init__(self, scale, n_feats):
        super().__init__()
        self.scale = scale
        self.body = nn.Sequential(nn.Conv2d(3, n_feats, 3, padding=1), nn.ReLU(), nn.Conv2d(n_feats, 3, 3, padding=1))

    def forward(self, lr):
        up = F.interpolate(lr, scale_factor=float(self.scale), mode="nearest")
        return (up + self.body(up / 255),)


@models.register("outside-net", "a network of another package", scales=(2, 3, 4))
def outside_net(scale: int, n_feats: int = 8) -> Net:
    return Net(scale, n_feats)
"""


def example(heading: str) -> str:
    """Return the Python code under a heading of CONTRIBUTING.md."""
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return text.partition(f"## {heading}\n")[2].partition("```python\n")[2].partition("```")[0]


STUDY = '''"""Is the outside network better with a dual?"""

from drnbench import Axis, Data, Evaluate, Stage, Study, Table, Trial
from outside_output import Hardest

train = Stage("train", data=Data("photos/train", crop=64), steps=4, batch=2, patch=32, lr=1e-3, dual="single", validations=1)
study = Study(
    base=Trial(method="outside-net", model={"n_feats": 4}, scale=2, stages=[train], evaluate=[Evaluate("photos/test", crop=48)]),
    axes=[Axis("dual", {"off": {}, "on": {"train.scheme": "paired"}})], seeds=1, baseline={"dual": "off"},
    outputs=[Hardest(), Table(rows="dual")],
)
'''


def install(name: str, code: str, wheels: Path, site: Path, group: str = "drnbench.models") -> None:
    """Build a wheel of one module with an entry point and install it with pip; no network, no build back end."""
    wheel, info = wheels / f"{name}-1.0-py3-none-any.whl", f"{name}-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{name}.py", code)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/entry_points.txt", f"[{group}]\n{name} = {name}\n")
        archive.writestr(f"{info}/RECORD", "")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", site, wheel]
    run([str(part) for part in command], check=True, timeout=120)


def path(site: Path) -> str:
    """Return a PYTHONPATH with the wheels and with this drnbench."""
    return os.pathsep.join(map(str, (site, REPOSITORY)))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    wheels, site = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("site")
    install("outside_net", NET, wheels, site)
    install("broken_net", "raise RuntimeError('no such library on this machine')\n", wheels, site)
    install("outside_output", example("Adding an output"), wheels, site, "drnbench.outputs")
    install("outside_executor", example("Adding an executor"), wheels, site, "drnbench.executors")
    return site


@pytest.mark.real
def test_a_study_runs_with_a_method_of_another_package(site, tmp_path):
    (tmp_path / "outside.py").write_text(STUDY, encoding="utf-8")
    done = call("run", "outside.py", "--results", "r", "--tracking-uri", "off", cwd=tmp_path, PYTHONPATH=path(site))
    assert done.returncode == 0, done.stderr
    summary = pd.read_csv(tmp_path / "r" / "outside" / "quick" / "summary.csv")
    scored = summary[(summary["metric"] == "psnr_y") & summary["arm"].isin(["off", "on"])]
    assert len(scored) == 2
    assert scored["mean"].between(5, 60).all()
    # The broken neighbour is named once, and stops nobody.
    warned = [line for line in done.stderr.splitlines() if "broken_net" in line]
    assert len(warned) == 1
    assert "cannot be loaded and is left out: RuntimeError: no such library on this machine" in warned[0]
    check_the_output(tmp_path, done.stdout)


def check_the_output(folder: Path, printed: str) -> None:
    """The outside output is in the report; where it is not installed, the report names it and has everything else."""
    written = folder / "r" / "outside" / "quick"
    table = pd.read_csv(written / "table_hardest.csv")
    assert list(table.columns) == ["arm", "image", "psnr_y", "settings"]
    assert set(table["arm"]) == {"off", "on", "bicubic"}
    for name in ("table_hardest.md", "table_hardest.tex", "figure_hardest.png", "figure_hardest.pdf"):
        assert (written / name).is_file()
    sentence = f"Hardest: {', '.join(sorted(set(table['image'])))}."
    assert sentence in printed
    page = (written / "report.html").read_text(encoding="utf-8")
    assert sentence in page
    assert "figure_hardest" in page
    done = call("report", "outside.py", "--results", "r", cwd=folder, PYTHONPATH=str(REPOSITORY))
    assert done.returncode == 0, done.stderr
    warned = [line for line in done.stdout.splitlines() if line.startswith("warning: ")]
    assert len(warned) == 1
    assert "'hardest'" in warned[0]
    assert warned[0].removeprefix("warning: ").replace("'", "&#39;") in (written / "report.html").read_text("utf-8")
    assert "figure_training.png" in done.stdout


@pytest.mark.real
def test_an_output_is_listed(site):
    listed = call("list", "outputs", PYTHONPATH=path(site))
    assert listed.returncode == 0
    assert "hardest" in {line.split()[0] for line in listed.stdout.splitlines()}


@pytest.mark.real
def test_it_is_listed_and_the_broken_one_is_named(site):
    listed = call("list", "methods", PYTHONPATH=path(site))
    assert listed.returncode == 0
    assert any(line.startswith("outside-net ") and "scheme supervised" in line for line in listed.stdout.splitlines())
    assert "broken_net" in listed.stderr
    assert "Traceback" not in listed.stderr


@pytest.mark.real
def test_a_study_runs_on_an_executor_of_another_package(site, tmp_path):
    study = write_study(tmp_path, rhos=(0.0,))
    args = ("run", study, "--results", tmp_path / "r", *STORE_ONLY, "--executor", "subprocess")
    done = call(*args, "--jobs", 2, PYTHONPATH=path(site))
    assert done.returncode == 0, done.stderr
    assert "2 at once on cpu" in done.stdout
    assert "trained 3 stages, scored 3 trials, 0 failed" in done.stdout
    shutil.rmtree(next((tmp_path / "r" / "trials").iterdir()))
    options = f"results={str(tmp_path / 'r')!r}, executor='subprocess', tracking_uri='off', report=False"
    code = f"import drnbench; print(len(drnbench.run({str(study)!r}, {options}).summary))"
    env = {**os.environ, "PYTHONPATH": path(site)}
    done = run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=300, check=True)
    assert "trained 0 stages, scored 1 trials, 0 failed" in done.stdout
    assert int(done.stdout.split()[-1]) > 0


@pytest.mark.real
def test_an_executor_of_another_package_is_listed_and_refuses_the_options_of_others(site, tmp_path):
    listed = call("list", "executors", PYTHONPATH=path(site))
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["local", "ray", "slurm", "subprocess"]
    study = write_study(tmp_path)
    for option, owners in (("--per-gpu=2", "local and ray"), ("--partition=long", "slurm"), ("--gpus=0", "local")):
        refused = call(
            "run", study, "--results", tmp_path / "r", "--executor", "subprocess", option, PYTHONPATH=path(site)
        )
        assert refused.returncode == 2
        flag = option.partition("=")[0]
        assert f"{flag} is for --executor {owners}, and this is --executor subprocess" in refused.stderr
