"""An installation without extras: it lists, plans and evaluates, and says in one line which extra a request needs."""

import contextlib
import inspect
import io
import json
import subprocess
import sys
import tomllib
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

from tests.conftest import REPOSITORY
from tests.fake_store import finish
from tests.helpers import write_study

EXTRAS = {"av", "onnx", "ray", "spandrel", "submitit"}
"""Packages of the extras `video`, `onnx`, `ray`, `spandrel` and `slurm`."""
CALLS = {
    "help": ["--help"],
    "models": ["list", "models"],
    "methods": ["list", "methods"],
    "metrics": ["list", "metrics"],
    "kernels": ["list", "kernels"],
    "datasets": ["list", "datasets"],
    "plan": ["plan", "mini.py", "--results", "r"],
    "report": ["report", "mini.py", "--results", "r"],
    "evaluate": ["evaluate", "bicubic", "--scale", "4", "--data", "images", "--jobs", "1"],
    "video": ["evaluate", "bicubic", "--scale", "4", "--data", "clip.mp4"],
    "spandrel": ["evaluate", "spandrel", "--scale", "4", "--data", "images", "--weights", "clip.mp4"],
    "ray": ["run", "mini.py", "--results", "new", "--executor", "ray", "--tracking-uri", "off"],
    "slurm": ["run", "mini.py", "--results", "new", "--executor", "slurm", "--tracking-uri", "off"],
}


pytestmark = pytest.mark.real


def plain_distributions():
    """Return the names of the distributions that `pip install drnbench` installs, by the metadata of each."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pending, names = [Requirement(text) for text in project["dependencies"]], {"drnbench"}
    seen = set()
    while pending:
        requirement = pending.pop()
        extras = frozenset({"", *requirement.extras})
        name = canonicalize_name(requirement.name)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        with contextlib.suppress(metadata.PackageNotFoundError):
            further = [Requirement(text) for text in metadata.requires(name) or []]
            pending += [r for r in further if r.marker is None or any(r.marker.evaluate({"extra": e}) for e in extras)]
            names.add(name)
    return names


def other_modules():
    """Return the importable modules of this environment that a plain installation lacks."""
    plain = plain_distributions()
    return sorted(
        module
        for module, distributions in metadata.packages_distributions().items()
        if not plain & {canonicalize_name(name) for name in distributions}
    )


def call_all(modules, calls):
    """Return exit status, output and errors of calls of the command line where some modules cannot be imported."""
    sys.modules.update(dict.fromkeys(modules))
    from drnbench.cli import main

    results = {}
    for name, args in calls.items():
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(args)
        results[name] = (status, out.getvalue(), err.getvalue())
    return results


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Answers to each call of an interpreter of its own, in which other modules are blocked from the start."""
    folder = tmp_path_factory.mktemp("plain")
    finish(write_study(folder), folder / "r")
    (folder / "clip.mp4").write_bytes(b"no video")
    (folder / "images").mkdir()
    Image.linear_gradient("L").resize((64, 64)).convert("RGB").save(folder / "images" / "ramp.png")
    code = (
        f"import contextlib, io, json, sys\n{inspect.getsource(call_all)}\n"
        f"print(json.dumps(call_all({other_modules()!r}, {CALLS!r})))"
    )
    process = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


def test_every_extra_is_blocked():
    assert set(other_modules()) >= EXTRAS
    assert not {"torch", "mlflow", "pandas", "PIL"} & set(other_modules())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("help", "reproduce"), ("models", "spandrel"), ("methods", "drn-s"), ("metrics", "psnr_y"), ("kernels", "bicubic"),
        ("datasets", "photos/train"), ("plan", "4 trials: 4 done"), ("report", "figure_psnr_y_rho.pdf"), ("evaluate", "ramp"),
    ],
)  # fmt: skip
def test_what_needs_no_extra_works(results, name, expected):
    status, out, err = results[name]
    assert status == 0, err
    assert expected in out


@pytest.mark.parametrize("extra", ["video", "spandrel", "ray", "slurm"])
def test_what_needs_an_extra_names_it_in_one_line(results, extra):
    status, _, err = results[extra]
    assert status == 2
    assert err.startswith("drnbench: ")
    assert err.count("\n") == 1
    assert f"pip install 'drnbench[{extra}]'" in err
