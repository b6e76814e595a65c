"""What trains nothing and scores nothing does without PyTorch, which takes longer to import than all the rest to do."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from drnbench.cli import main
from tests.conftest import REPOSITORY
from tests.fake_store import finish
from tests.helpers import write_study

HEAVY = ("torch", "pandas", "scipy", "skimage", "sklearn", "matplotlib", "seaborn", "statsmodels", "mlflow", "optuna")
KINDS = ("methods", "models", "schemes", "losses", "kernels", "datasets", "metrics", "outputs", "studies")
STUDIES = ("mini", "method_comparison", "kernel_scale_grid")
VERBS = ("plan", "report", "run", "clean", "show")


def imports(code: dict[str, str], cwd: Path, modules: tuple[str, ...] = ("torch",)) -> dict[str, list[str]]:
    """Run pieces of code in one fresh interpreter; return which of the modules are imported after each."""
    lines = ["import json, sys", "imported = {}"]
    for name, piece in code.items():
        lines += [piece, f"imported[{name!r}] = [name for name in {modules!r} if name in sys.modules]"]
    lines += ["print(json.dumps(imported))"]
    process = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


def call(*args: object) -> str:
    return f"from drnbench.cli import main\nassert main({[str(arg) for arg in args]!r}) == 0"


def plan(study: Path) -> str:
    return (
        "from pathlib import Path\nfrom drnbench.session.declared import declare\nfrom drnbench.store import Store\n"
        f"plan = declare(Path({str(study)!r}), 'quick').plan(Store(Path('r')))\n"
        "assert plan.trials and all(trial.unit.key for trial in plan.trials)"
    )


@pytest.fixture(scope="module")
def listing(tmp_path_factory):
    return imports({kind: call("list", kind) for kind in KINDS}, tmp_path_factory.mktemp("lists"), HEAVY)


@pytest.fixture(scope="module")
def planning(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plans")
    write_study(folder)
    paths = [folder / "mini.py", *(REPOSITORY / "studies" / f"{name}.py" for name in STUDIES[1:])]
    return imports({path.stem: plan(path) for path in paths}, folder, HEAVY)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Modules that verbs have imported of a finished study that has its report."""
    folder = tmp_path_factory.mktemp("finished")
    study = write_study(folder)
    store, made = finish(study, folder / "r")
    # The figure of the kernels works their weights out, and is drawn again only where something about it has changed.
    assert main(["report", str(study), "--results", str(store.root)]) == 0
    args = {verb: [verb, "mini.py"] for verb in ("plan", "report", "run")}
    args["run"] += ["--tracking-uri", "off"]
    args |= {"clean": ["clean"], "show": ["show", made.trials[0].unit.key]}
    return imports({verb: call(*args[verb], "--results", "r") for verb in VERBS}, folder)


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_is_planned_without_anything_heavy(planning, study):
    assert planning[study] == []


@pytest.mark.parametrize("kind", KINDS)
def test_lists_do_without(listing, kind):
    assert listing[kind] == []


@pytest.mark.real
@pytest.mark.parametrize("verb", VERBS)
def test_a_finished_study_takes_no_pytorch(finished, verb):
    assert finished[verb] == []


@pytest.mark.real
def test_the_verb_plan_takes_none_either_where_everything_is_to_be_done(tmp_path):
    write_study(tmp_path)
    assert imports({"plan": call("plan", "mini.py", "--results", "r")}, tmp_path) == {"plan": []}


WORK = """
import torch
from drnbench import Data, Evaluate, Stage, Study, Trial
from drnbench.execution.compute import compute
from drnbench.planning.build import make
from drnbench.store import Status, Store
from tests.helpers import expand_study

model = {"n_blocks": 1, "n_feats": 2}
stage = Stage("train", data=Data("photos/train"), steps=2, batch=1, patch=16, validations=1, clip_norm=1.0)
trial = Trial(model=model, scale=2, stages=[stage], evaluate=[Evaluate("photos/test", crop=32, count=1)])
store = Store(Path("r"))
plan = make(expand_study(Study(base=trial, seeds=1), "s", "?"), store)
for unit in (*(node.unit for node in plan.stages.values()), *(trial.unit for trial in plan.trials)):
    folder = store.stage(unit.key) if unit.kind == "stage" else store.trial(unit.key)
    folder.mkdir(parents=True)
    assert compute(unit, store, "cpu", lambda message: None, lambda: False, Status("running")) == "done"
"""


@pytest.mark.real
def test_a_worker_trains_and_scores_without_the_compiler(tmp_path):
    """It takes most of a second, in every process."""
    code = {"path": f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); from pathlib import Path", "work": WORK}
    compiler = ("torch._dynamo", "torch.fx.experimental.symbolic_shapes")
    assert imports(code, tmp_path, (*compiler, "torch"))["work"] == ["torch"]


@pytest.mark.real
def test_what_every_worker_needs_is_imported_before_the_fork():
    code = {"server": "import drnbench.execution.preload"}
    needed = ("torch", "pandas", "drnbench.training.loop", "torch._dynamo")
    assert imports(code, REPOSITORY, needed)["server"] == list(needed[:-1])


@pytest.mark.real
def test_a_run_leaves_pytorch_to_its_workers(tmp_path):
    """Also for the kernels in its report, which are made in a process of the same server."""
    write_study(tmp_path)
    run = call("run", "mini.py", "--results", "r", "--tracking-uri", "off")
    assert imports({"run": run}, tmp_path) == {"run": []}
    assert list((tmp_path / "r" / "cache" / "impulses").glob("*.npz"))
