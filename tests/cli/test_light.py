"""What trains nothing and scores nothing does without PyTorch, which takes longer to import than all the rest to do."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.fake_store import finish
from tests.helpers import write_study

HEAVY = ("torch", "pandas", "scipy", "skimage", "sklearn", "matplotlib", "seaborn", "statsmodels", "mlflow", "optuna")


def imported(code: str, cwd: Path, modules: tuple[str, ...] = ("torch",)) -> str:
    """Run code in a fresh interpreter and return which of the modules it has then imported, as a line."""
    code = f"import sys\n{code}\nprint([name for name in {modules!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def main(*args: object) -> str:
    return f"from drnbench.cli import main\nassert main({[str(arg) for arg in args]!r}) == 0"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with a study, its finished store and its report."""
    folder = tmp_path_factory.mktemp("finished")
    finish(write_study(folder), folder / "r")
    # The figure of the kernels works their weights out, and is drawn again only where something about it has changed.
    imported(main("report", "mini.py", "--results", "r"), folder)
    return folder


def plan(study: Path) -> str:
    return (
        "from pathlib import Path\nfrom drnbench.session.declared import declare\nfrom drnbench.store import Store\n"
        f"plan = declare(Path({str(study)!r}), 'quick').plan(Store(Path('r')))\n"
        "assert plan.trials and all(trial.unit.key for trial in plan.trials)"
    )


@pytest.mark.parametrize("study", ["mini", "method_comparison", "kernel_scale_grid"])
def test_a_study_is_planned_without_anything_heavy(tmp_path, study):
    path = write_study(tmp_path) if study == "mini" else REPOSITORY / "studies" / f"{study}.py"
    assert imported(plan(path), tmp_path, HEAVY) == "[]"


@pytest.mark.parametrize("kind", ["methods", "models", "schemes", "kernels", "datasets", "metrics", "studies"])
def test_lists_do_without(tmp_path, kind):
    assert imported(main("list", kind), tmp_path, HEAVY) == "[]"


@pytest.mark.parametrize("verb", ["plan", "report", "run"])
def test_a_finished_study_takes_no_pytorch(finished, verb):
    args = [verb, "mini.py", "--results", "r", *(["--tracking-uri", "off"] if verb == "run" else [])]
    assert imported(main(*args), finished) == "[]"


def test_the_verb_plan_takes_none_either_where_everything_is_to_be_done(tmp_path):
    write_study(tmp_path)
    assert imported(main("plan", "mini.py", "--results", "r"), tmp_path) == "[]"


@pytest.mark.parametrize("args", [("clean",), ("show", "{key}")])
def test_looking_at_the_store_takes_no_pytorch(finished, args):
    key = next((finished / "r" / "trials").iterdir()).name
    assert imported(main(*(arg.format(key=key) for arg in args), "--results", "r"), finished) == "[]"
