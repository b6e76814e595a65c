"""`run --no-report`: the same results, and a report that is written later equals that of a run."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from mlflow import MlflowClient

import drnbench
from drnbench.cli import main
from drnbench.errors import UsageError
from drnbench.outputs import compose, report
from drnbench.session.declared import Declared
from tests.helpers import scores
from tests.session import inline
from tests.session.damages import run, summary
from tests.session.test_damage import STUDY


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(compose, "figures", lambda study, shown: [])  # drawing takes longer than all of the rest
    Path("mini.py").write_text(STUDY, encoding="utf-8")
    with inline.available():
        yield Path("mini.py")


def test_a_run_without_a_report_says_what_writes_it(study, capsys):
    assert run(study, Path("with")) == 0
    assert run(study, Path("without"), "--no-report") == 0
    assert scores(Path("without")).equals(scores(Path("with")))
    assert [path.name for path in Path("without/mini/quick").iterdir()] == ["plan.json"]
    command = capsys.readouterr().out.partition("no report was asked for; `python -m drnbench ")[2].partition("`")[0]
    assert main(shlex.split(command)) == 0
    assert summary(Path("without")) == summary(Path("with"))


def test_a_run_with_nothing_to_do_leaves_it_out_too_and_the_next_one_writes_it(study, capsys):
    assert run(study, Path("r"), "--no-report") == run(study, Path("r"), "--no-report") == 0
    assert "nothing to train" in capsys.readouterr().out
    assert not list(Path("r").glob("mini/quick/summary.csv"))
    assert run(study, Path("r")) == 0
    assert list(Path("r").glob("mini/quick/summary.csv"))


def test_failed_trials_are_its_exit_code_and_the_mirror_has_the_scores(study, capsys):
    text = study.read_text(encoding="utf-8")
    study.write_text(text.replace("lr=2e-3", "lr=1e30"), encoding="utf-8")
    assert run(study, Path("r"), "--no-report") == 1
    assert "diverged" in capsys.readouterr().err
    study.write_text(text, encoding="utf-8")
    results = drnbench.run(study, results="r", executor="inline", report=False)
    assert results.failed == ()
    assert len(results.summary) > 0
    client = MlflowClient("sqlite:///r/mlflow.db")
    mirrored = client.search_runs([client.get_experiment_by_name("mini").experiment_id])
    trials = [trial.data.metrics for trial in mirrored if trial.data.tags["drnbench.kind"] == "trial"]
    assert len(trials) > 1
    assert all(any("psnr_y" in name for name in metrics) for metrics in trials)


@pytest.mark.parametrize("fails", ["the plan after it", "the report"])
def test_the_mirror_shows_a_run_whose_end_fails_as_ended(study, monkeypatch, fails):
    def fail(*_):
        raise UsageError("the images changed")

    if fails == "the report":
        monkeypatch.setattr(report, "write", fail)
    else:
        plans = iter([Declared.plan])

        def plan(*arguments):
            return next(plans, fail)(*arguments)

        monkeypatch.setattr(Declared, "plan", plan)
    with pytest.raises(UsageError, match="the images changed"):
        drnbench.run(study, results="r", executor="inline")
    client = MlflowClient("sqlite:///r/mlflow.db")
    mirrored = client.search_runs([client.get_experiment_by_name("mini").experiment_id])
    assert {run.info.status for run in mirrored} == {"FINISHED"}
    assert len(mirrored) > 2
