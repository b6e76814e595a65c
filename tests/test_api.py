"""What `import drnbench` gives: the public names and nothing else, and the calls that the command line makes."""

import inspect
import subprocess
import sys
from types import ModuleType

import pytest
from pydantic import BaseModel

import drnbench
from tests.helpers import write_study

DECLARED = ("Axis", "Crops", "Curve", "Data", "DualKernel", "Evaluate", "Exclude", "Forest", "Gap", "Heatmap",
            "KernelFigure", "ParetoFront", "PerImage", "Primary", "Ranks", "SampleCrops", "SearchFigure", "Stage", "Study",
            "Table", "Tradeoff", "TrainingCurves", "Trial", "Until")  # fmt: skip
CALLS = ("audit", "evaluate", "load", "plan", "run", "score")
PACKAGES = ("degradations", "evaluation", "models", "schemes")


def test_the_public_names_and_nothing_else():
    assert dir(drnbench) == sorted([*DECLARED, *CALLS, *PACKAGES, "Ref", "Results", "UsageError", "__version__"])
    assert sorted(drnbench.__all__) == dir(drnbench)


def test_each_name_is_what_it_says():
    assert all(issubclass(getattr(drnbench, name), BaseModel) for name in DECLARED)
    assert all(inspect.isfunction(getattr(drnbench, name)) for name in CALLS)
    assert all(isinstance(getattr(drnbench, name), ModuleType) for name in PACKAGES)
    assert inspect.isclass(drnbench.Ref)
    assert inspect.isclass(drnbench.Results)
    assert issubclass(drnbench.UsageError, Exception)
    assert drnbench.__version__[0].isdigit()


@pytest.mark.parametrize("name", [*CALLS, "Results"])
def test_each_call_says_what_it_takes(name):
    thing = getattr(drnbench, name)
    arguments = [p for p in inspect.signature(thing).parameters if p != "self"]
    assert all(f"{argument}:" in thing.__doc__ for argument in arguments)


def test_importing_it_imports_nothing_heavy():
    code = "import sys, drnbench; print([m for m in ('torch', 'numpy', 'pandas', 'pydantic') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="Tabel"):
        drnbench.Tabel  # noqa: B018


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study that a program has run, and its folder."""
    folder = tmp_path_factory.mktemp("api")
    results = drnbench.run(write_study(folder, seeds=2), results=folder / "r", tracking_uri="off", jobs=2)
    return results, folder


@pytest.mark.real
def test_run_returns_tidy_results(finished):
    results, _ = finished
    assert results.failed == ()
    assert set(results.summary["arm"]) == {"ρ=0", "ρ=0.5", "true pairs", "bicubic"}
    means = results.per_image.groupby(["arm", "kernel", "metric"])["value"].mean()
    for row in results.summary.itertuples():
        assert row.mean == pytest.approx(means[row.arm, row.kernel, row.metric])
    assert set(results.history["stage"]) == {"pretrain", "adapt"}
    assert results.headline
    assert "ρ" in results.table().to_string()
    assert results.figure("psnr_y_rho").axes
    assert "<table" in results._repr_html_()


@pytest.mark.real
def test_load_reads_the_same_from_the_store(finished):
    results, folder = finished
    for loaded in (
        drnbench.load(folder / "r" / "mini"),
        drnbench.load(folder / "r"),
        drnbench.load(folder / "r", "mini"),
    ):
        assert loaded.summary.equals(results.summary)
    with pytest.raises(drnbench.UsageError, match=r"no study 'minni'.*did you mean 'mini'"):
        drnbench.load(folder / "r", "minni")
    with pytest.raises(drnbench.UsageError, match="no table 'tabel'"):
        results.table("tabel")


@pytest.mark.real
def test_a_second_run_trains_nothing_and_a_plan_says_so(finished, capsys):
    _, folder = finished
    plan = drnbench.plan(folder / "mini.py", results=folder / "r")
    assert {trial.state for trial in plan.trials} == {"done"}
    drnbench.run(folder / "mini.py", results=folder / "r", tracking_uri="off")
    assert "nothing to train" in capsys.readouterr().out


def test_a_study_built_by_a_program_needs_a_name(tmp_path):
    study = drnbench.Study(base=drnbench.Trial(method="bicubic", evaluate=[drnbench.Evaluate("photos/test", crop=64)]))
    with pytest.raises(drnbench.UsageError, match="give name="):
        drnbench.plan(study, results=tmp_path)
    assert drnbench.plan(study, results=tmp_path, name="mine").study.name == "mine"


def test_images_are_scored_from_python(tmp_path):
    scores = drnbench.evaluate("bicubic", 4, "photos/test", metrics=["psnr_y"], save=tmp_path / "sr", jobs=1)
    again = drnbench.score(tmp_path / "sr", "photos/test", scale=4, metrics=["psnr_y"], jobs=1)
    assert again.mean == scores.mean
    assert again.per_image.equals(scores.per_image)
    assert scores.per_image["psnr_y"].mean() == pytest.approx(scores.mean["psnr_y"])
    assert scores.failed == ()
