"""Time, memory and disk of a plan: from measured siblings, and unknown without one."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from drnbench.cli import main
from drnbench.planning import speeds as planning_speeds
from drnbench.planning.costs import Costs, shape
from drnbench.planning.estimate import Task, makespan
from drnbench.planning.speeds import Speeds, dual_shape, network_shape, read_speeds, write_speeds
from drnbench.session import speeds
from drnbench.session.declared import declare
from drnbench.store import Store, write_json
from tests.fake_store import STEP_SECONDS, finish
from tests.helpers import write_study

STEPS = 40


def plan_output(capsys, study, results, *more):
    assert main(["plan", str(study), "--results", str(results), *more]) == 0
    return capsys.readouterr().out


@pytest.fixture
def store(tmp_path):
    """A store in which one of two seeds is done; a stage takes 20 s, scoring 8."""
    finish(write_study(tmp_path, steps=STEPS, seeds=1), tmp_path / "r")
    return Store(tmp_path / "r")


def test_time_of_trials_and_of_the_whole(store, tmp_path, capsys):
    out = plan_output(capsys, tmp_path / "mini.py", store.root, "--set", "seeds=2", "--device", "cpu", "--jobs", "2")
    new = [line for line in out.splitlines() if "to run" in line and "seed" not in line and "trials" not in line]
    assert len(new) == 3
    # 40 steps of half a second twice, and eight seconds of scoring.
    assert all(" 0:48 " in line for line in new)
    # One pretraining, three adaptations, three scorings; two at once, scores before stages: 20 + 20 + 8 + 20 + 8.
    assert "time: about 1:44 for one process, about 1:16 for the 2 at once" in out
    assert "memory: at most 500 MiB a process, 1.0 GiB for 2, as measured" in out
    assert "4 to train" in out
    alone = plan_output(capsys, tmp_path / "mini.py", store.root, "--set", "seeds=2", "--device", "cpu", "--jobs", "1")
    assert "time: about 1:44 for one process\n" in alone


def test_disk_is_that_of_siblings(store, tmp_path, capsys):
    out = plan_output(capsys, tmp_path / "mini.py", store.root, "--set", "seeds=2")
    stage = sum(p.stat().st_size for p in next((store.root / "stages").iterdir()).iterdir())
    line = next(line for line in out.splitlines() if line.startswith("disk: "))
    assert line.startswith("disk: about ")
    # Records of siblings differ by a few bytes: times, names.
    printed = float(re.search(r"stages ([\d.]+) KiB", line)[1])
    assert printed == pytest.approx(4 * stage / 1024, rel=0.05)
    assert "LR images" in line


def test_a_finished_plan_has_no_estimate(store, tmp_path, capsys):
    out = plan_output(capsys, tmp_path / "mini.py", store.root)
    assert "4 trials: 4 done, 0 to run; 4 stages, 0 to train" in out
    for word in ("time: ", "memory: ", "disk: "):
        assert word not in out


def test_unknown_stays_unknown(tmp_path, capsys):
    out = plan_output(capsys, write_study(tmp_path), tmp_path / "r")
    assert (
        "time: unknown (nothing like it was measured yet: 4 stages and 4 trials to score; --measure times a few steps)"
        in out
    )
    assert "memory: unknown" in out
    assert "disk: at least " in out
    assert "stages unknown, trials unknown" in out
    assert " ? " in out


def test_partly_unknown_times_are_a_lower_bound(store, tmp_path, capsys):
    out = plan_output(capsys, tmp_path / "mini.py", store.root, "--set", "adapt.batch=4")
    assert "time: at least " in out
    assert "3 stages of unknown cost" in out


def test_times_of_another_device_are_no_measure(tmp_path):
    study = write_study(tmp_path)
    store, plan = finish(study, tmp_path / "r", device="cuda")
    unit = next(iter(plan.stages.values())).unit
    assert Costs(store, "cpu").seconds(unit) is None
    assert Costs(store, "cuda").seconds(unit) == unit.stage.steps * STEP_SECONDS
    # Files are as large everywhere.
    assert Costs(store, "cpu").disk(unit) == Costs(store, "cuda").disk(unit) > 4000


def test_times_of_the_worker_take_precedence_over_those_of_the_process(store, tmp_path):
    plan = declare(tmp_path / "mini.py", "quick").plan(store)
    trial = next(t for t in plan.trials if t.arm.kind == "grid")
    assert Costs(store, "cpu").scoring(trial.trial) == pytest.approx(2.0)
    for planned in plan.trials:
        path = store.trial(planned.unit.key) / "scores.json"
        more = {"seconds": 3.0, "scored": 4, "peak_rss_mib": 700, "peak_gpu_mib": 90}
        write_json(path, {**json.loads(path.read_text()), **more})
        status = store.status(path.parent)
        status.message = "scored again"
        store.write_status(path.parent, status)
    costs = Costs(store, "cpu")
    assert costs.scoring(trial.trial) == pytest.approx(0.75)
    assert (costs.scoring_memory(trial.trial).rss, costs.scoring_memory(trial.trial).gpu) == (700, 90)


def test_a_stage_that_is_measured_later_is_seen(tmp_path):
    """Samples are cached by time and size of the file."""
    study = write_study(tmp_path)
    store, plan = finish(study, tmp_path / "r")
    unit = next(iter(plan.stages.values())).unit
    assert Costs(store, "cpu").seconds(unit) == unit.stage.steps * STEP_SECONDS
    for path in (store.root / "stages").glob("*/stage.json"):
        write_json(path, {**json.loads(path.read_text()), "seconds_per_step": 10.25})
    assert Costs(store, "cpu").seconds(unit) == unit.stage.steps * 10.25


def test_foreign_and_broken_records_are_passed_over(tmp_path):
    study = write_study(tmp_path)
    store, plan = finish(study, tmp_path / "r")
    unit = next(iter(plan.stages.values())).unit
    for name, text in (("aaaa", "{"), ("bbbb", "[]"), ("cccc", '{"seconds_per_step": 9}')):
        (store.stage(name)).mkdir()
        (store.stage(name) / "stage.json").write_text(text)
        (store.stage(name) / "unit.json").write_text(text)
        (store.trial(name)).mkdir()
        (store.trial(name) / "status.json").write_text(text)
    (store.root / "stages" / "a file").write_text("")
    costs = Costs(store, "cpu")
    assert costs.seconds(unit) == unit.stage.steps * STEP_SECONDS
    assert costs.scoring(plan.trials[0].trial) is not None


@pytest.mark.parametrize(
    ("slots", "seconds"),
    [(1, 16.0), (2, 9.0), (8, 9.0)],
)
def test_makespan_waits_for_the_unit_that_is_needed(slots, seconds):
    tasks = [
        Task("pretrain", None, (0, 0), 3.0),
        Task("a", "pretrain", (2, 1), 4.0),
        Task("b", "pretrain", (2, 2), 5.0),
        Task("score a", "a", (1, 3), 2.0),
        Task("score b", "b", (1, 4), 1.0),
        Task("other", "done before", (2, 5), 1.0),
        Task("unknown", None, (2, 6), None),
    ]
    assert makespan(tasks, slots) == pytest.approx(seconds)


def test_a_share_too_small_for_the_steps_is_a_warning(tmp_path, capsys):
    study = write_study(tmp_path, rhos=(0.0, 0.1, 0.5), steps=4)
    out = plan_output(capsys, study, tmp_path / "r")
    few = "warning: too few steps for a single unpaired image, so these train on pairs alone: adapt with rho=0.1"
    assert few in out.splitlines(), "4 steps of 2 images at 0.1 are 0.8 of an image"
    assert "train on pairs alone" not in plan_output(capsys, study, tmp_path / "r", "--set", "adapt.steps=5")


def test_what_nothing_was_run_of_is_measured_once(tmp_path, capsys, monkeypatch):
    study, results = write_study(tmp_path, steps=1000), tmp_path / "r"
    assert "time: unknown" in plan_output(capsys, study, results)
    assert "unknown" not in plan_output(capsys, study, results, "--measure").partition("memory:")[0]
    monkeypatch.setattr(speeds, "_step_seconds", lambda *_: pytest.fail("measured already"))
    out = plan_output(capsys, study, results, "--measure", "--device", "cpu", "--jobs", "1")
    assert "time: about" in out
    assert not (results / "stages").exists()
    # A step of tiny networks takes milliseconds and not minutes: 4 stages of 1000 steps.
    measured = read_speeds(results / "cache", "cpu")
    assert len(measured.steps) == 2
    assert all(0 < seconds < 10 for seconds in measured.steps.values())


def test_steps_of_another_dual_or_with_the_hr_constraint_have_times_of_their_own(tmp_path):
    stages = {
        name: declare(Path(name), "tiny").plan(Store(tmp_path)).stages.values() for name in ("hr_dual", "dual_operator")
    }
    adapted = [node.unit for node in stages["dual_operator"] if node.unit.stage.name == "adapt"]
    assert len({shape(unit) for unit in adapted if unit.stage.scheme == "unpaired"}) >= 3
    paired = [node.unit for node in stages["hr_dual"] if node.unit.stage.scheme == "paired"]
    assert len({shape(unit) for unit in paired}) == len({unit.stage.hr_lam > 0 for unit in paired}) == 2


def test_scoring_of_d_counts_and_is_unknown_where_it_was_not_measured(tmp_path):
    store = Store(tmp_path)
    plan = declare(Path("dual_kernel"), "tiny").plan(store)
    trial = next(trial for trial in plan.trials if trial.stages)
    stage = plan.stages[trial.stages[-1]].unit
    measured = Speeds(networks={network_shape(trial.unit): 0.0}, metrics=dict.fromkeys(("dual_mae", "psnr_y"), 0.0))
    assert measured.scoring(trial.unit, stage, store.cache) is None
    times = [
        replace(measured, duals={dual_shape(stage): seconds}).scoring(trial.unit, stage, store.cache)
        for seconds in (0.0, 1e-6, 2e-6)
    ]
    assert 0 < times[1] - times[0] == pytest.approx(times[2] - times[1])


def test_speeds_of_another_processor_do_not_count(tmp_path, monkeypatch):
    write_speeds(tmp_path, "cpu", Speeds(steps={("drn", (("n_feats", 8),), 4): 0.5}, metrics={"psnr_y": 1e-9}))
    assert read_speeds(tmp_path, "cpu").steps == {("drn", (("n_feats", 8),), 4): 0.5}
    assert read_speeds(tmp_path, "cuda") == Speeds()
    monkeypatch.setattr(planning_speeds, "processor", lambda: "another")
    assert read_speeds(tmp_path, "cpu") == Speeds()


def test_sets_that_are_not_here_leave_the_time_of_scoring_unknown(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("DRNBENCH_DATA", str(tmp_path))
    study = write_study(tmp_path)
    study.write_text(study.read_text().replace("photos/test", "Set14"), encoding="utf-8")
    for words in (["--measure"], []):
        out = plan_output(capsys, study, tmp_path / "r", *words)
        assert "trials to score of unknown cost" in out
        assert "stages of unknown cost" not in out


def test_speeds_of_another_version_are_measured_again(tmp_path):
    write_speeds(tmp_path, "cpu", Speeds(metrics={"psnr_y": 1e-9}))
    (path,) = tmp_path.glob("speeds-*.json")
    write_json(path, {"machine": {}, "speeds": 3})
    assert read_speeds(tmp_path, "cpu") == Speeds()


def test_a_measured_sibling_comes_before_a_measured_step(store, tmp_path, capsys):
    out = plan_output(capsys, tmp_path / "mini.py", store.root, "--set", "seeds=2", "--device", "cpu", "--measure")
    assert " 0:48 " in out


@pytest.mark.real
@pytest.mark.parametrize(
    "study", ["method_comparison", "dual_operator", "recipe", "hr_dual", "dual_synth", "real_frames"]
)
def test_every_scheme_and_metric_of_the_shipped_studies_can_be_measured(tmp_path, capsys, study):
    out = plan_output(capsys, study, tmp_path / "r", "--profile", "tiny", "--measure")
    assert "of unknown cost" not in out
    assert "time: unknown" not in out
