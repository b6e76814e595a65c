from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from drnbench.errors import UsageError
from drnbench.outputs import compose, report
from drnbench.results.plan_record import read_plan
from drnbench.store import write_json
from drnbench.tracking import Mirror, reading, up_to_date
from tests.tracking.stores import KERNELS, T0, StoredStudy, child, points, runs, status

POINTS = 4 * (2 * (4 + 2) + 4) + 4
"""Four trained trials with two histories of 4 losses and 2 validations and 4 scores each; bicubic with its scores."""


def test_a_study_becomes_a_parent_and_children(stored: StoredStudy) -> None:
    mirror = Mirror(stored.store)
    result = mirror.sync("unpaired")
    assert (result.runs, result.new_runs, result.points) == (6, 6, POINTS)
    by_name = {run.info.run_name: run for run in runs(mirror.uri)}
    assert set(by_name) == {"unpaired, tiny", "ρ=0, seed 0", "ρ=0, seed 1", "ρ=0.5, seed 0", "ρ=0.5, seed 1", "bicubic"}
    parent = by_name.pop("unpaired, tiny")
    assert {run.data.tags["mlflow.parentRunId"] for run in by_name.values()} == {parent.info.run_id}
    assert {run.info.status for run in [parent, *by_name.values()]} == {"FINISHED"}
    assert parent.data.tags["drnbench.trials"] == "5 of 5 done, 0 failed"
    assert parent.data.params == {
        "profile": "tiny",
        "overrides": "none",
        "question": "Do unpaired images help?",
    }
    run = by_name["ρ=0.5, seed 1"]
    assert run.data.params["adapt.rho"] == "0.5"
    assert run.data.tags["drnbench.key"] == stored.trials[3]["key"]
    assert run.data.tags["drnbench.study"] == "unpaired"
    assert run.data.tags["drnbench.protocol"] == stored.trials[3]["measured"]
    assert re.match("psnr_y v1: .*border=4", stored.trials[3]["measured"])
    assert run.data.metrics["psnr_y/Set5/bd:sigma_2.0"] == pytest.approx(30.8)
    assert (run.info.start_time, run.info.end_time) == (T0 * 1000, (T0 + 25) * 1000)


def test_history_keeps_its_steps_and_times(stored: StoredStudy) -> None:
    from mlflow import MlflowClient

    mirror = Mirror(stored.store)
    mirror.sync("unpaired")
    run = child(mirror.uri, "ρ=0, seed 0")
    history = MlflowClient(mirror.uri).get_metric_history(run.info.run_id, "pretrain/psnr_y")
    assert [(m.step, m.timestamp, m.value) for m in history] == [(20, T0 * 1000 + 2500, 22), (40, T0 * 1000 + 5000, 24)]


def test_a_second_sync_adds_nothing(stored: StoredStudy) -> None:
    mirror = Mirror(stored.store)
    mirror.sync("unpaired")
    before = {run.info.run_id: run.data.tags for run in runs(mirror.uri)}
    for again in (mirror, Mirror(stored.store)):
        result = again.sync("unpaired")
        assert (result.runs, result.new_runs, result.points) == (6, 0, 0)
    assert {run.info.run_id: run.data.tags for run in runs(mirror.uri)} == before
    assert points(mirror.uri) == POINTS


@pytest.mark.real
def test_a_mirror_that_was_interrupted_goes_on(stored: StoredStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    from drnbench.tracking.runs import Run

    def stop(*_: object, **__: object) -> None:
        raise OSError("disk full")

    mirror = Mirror(stored.store)
    with monkeypatch.context() as patched:
        patched.setattr(Run, "attach", stop)
        with pytest.raises(OSError, match="disk full"):
            mirror.sync("unpaired")
    assert not up_to_date(stored.store, "unpaired")
    mirror.sync("unpaired")
    assert points(mirror.uri) == POINTS
    assert len(runs(mirror.uri)) == 6
    assert up_to_date(stored.store, "unpaired")


def test_what_grows_adds_only_what_is_new(tmp_path: Path) -> None:
    stored = StoredStudy(tmp_path, seeds=1)
    mirror, pretrain = Mirror(stored.store), stored.trials[0]["stages"][0]
    stored.train(pretrain, steps=20, state="running")
    assert mirror.sync("unpaired", final=False).points == 2 * 3  # both arms share the stage
    assert child(mirror.uri, "ρ=0, seed 0").info.status == "RUNNING"
    assert len(runs(mirror.uri)) == 3  # nothing of bicubic was started
    stored.train(pretrain, steps=40)
    assert mirror.sync("unpaired", final=False).points == 2 * 3
    assert child(mirror.uri, "ρ=0, seed 0").info.status == "SCHEDULED"
    stored.finish()
    Mirror(stored.store).sync("unpaired")
    assert points(mirror.uri) == 2 * (12 + 4) + 4
    assert {run.info.status for run in runs(mirror.uri)} == {"FINISHED"}


@pytest.mark.real
def test_states_of_trials_that_did_not_end_well(tmp_path: Path) -> None:
    stored = StoredStudy(tmp_path)
    (first, last), other = stored.trials[0]["stages"], stored.trials[1]["stages"][0]
    stored.train(first)
    stored.train(last, steps=10, state="failed", kind="diverged", message="the loss is nan")
    stored.train(other, steps=10, state="interrupted")
    mirror = Mirror(stored.store)
    mirror.sync("unpaired")
    failed = child(mirror.uri, "ρ=0, seed 0")
    assert (failed.info.status, failed.info.end_time) == ("FAILED", (T0 + 10) * 1000)
    assert failed.data.tags["drnbench.message"] == "diverged: the loss is nan"
    assert child(mirror.uri, "ρ=0, seed 1").info.status == "KILLED"
    stored.finish()
    mirror.sync("unpaired")
    mended = child(mirror.uri, "ρ=0, seed 0")
    assert (mended.info.run_id, mended.info.status) == (failed.info.run_id, "FINISHED")
    assert mended.data.tags["drnbench.message"] == ""


def test_an_infinite_mean_is_a_tag(stored: StoredStudy) -> None:
    stored.score(stored.trials[0], perfect=True)
    mirror = Mirror(stored.store)
    mirror.sync("unpaired")
    run = child(mirror.uri, "ρ=0, seed 0")
    assert run.data.tags["psnr_y/Set5/bicubic"] == "inf (1 of 2 images)"
    assert "psnr_y/Set5/bicubic" not in run.data.metrics
    assert "ssim_y/Set5/bicubic" in run.data.metrics


@pytest.mark.real
def test_a_score_that_changed_replaces_the_one_before(stored: StoredStudy) -> None:
    mirror = Mirror(stored.store)
    mirror.sync("unpaired")
    stored.score(stored.trials[0], gain=2)
    folder = stored.store.trial(stored.trials[0]["key"])
    wanted = [e["key"] for e in stored.trials[0]["wanted"]]
    stored.store.write_status(folder, status(started=T0 + 90, evaluations=wanted))
    assert mirror.sync("unpaired").points == 4
    assert child(mirror.uri, "ρ=0, seed 0").data.metrics["psnr_y/Set5/bicubic"] == pytest.approx(32.5)


@pytest.mark.real
def test_another_computation_under_the_same_key_gets_a_run_of_its_own(stored: StoredStudy) -> None:
    from mlflow import MlflowClient

    mirror = Mirror(stored.store)
    mirror.sync("unpaired")
    old = child(mirror.uri, "ρ=0, seed 0")
    stored.train(stored.trials[0]["stages"][1], shift=0.01)
    assert mirror.sync("unpaired").new_runs == 1
    assert child(mirror.uri, "ρ=0, seed 0").info.run_id != old.info.run_id
    assert MlflowClient(mirror.uri).get_run(old.info.run_id).info.lifecycle_stage == "deleted"
    assert Mirror(stored.store).sync("unpaired").new_runs == 0


def test_the_same_numbers_computed_again_add_nothing(stored: StoredStudy) -> None:
    mirror = Mirror(stored.store)
    mirror.sync("unpaired")
    stored.train(stored.trials[0]["stages"][1], started=T0 + 1000)
    result = mirror.sync("unpaired")
    assert (result.new_runs, result.points) == (0, 0)


@pytest.mark.real
def test_two_profiles_are_two_parents_of_one_experiment(tmp_path: Path) -> None:
    for profile in ("tiny", "it's mine"):
        stored = StoredStudy(tmp_path, seeds=1, profile=profile)
        stored.finish()
        mirror = Mirror(stored.store)
        assert mirror.sync(stored.location).new_runs == 4
        assert mirror.sync(stored.location).new_runs == 0
    parents = [run for run in runs(mirror.uri) if run.data.tags["drnbench.kind"] == "study"]
    assert {run.info.run_name for run in parents} == {"unpaired, tiny", "unpaired, it's mine"}
    assert len(runs(mirror.uri)) == 8


def test_trials_that_are_no_longer_planned_are_deleted(stored: StoredStudy) -> None:
    mirror = Mirror(stored.store)
    mirror.sync("unpaired")
    dropped = stored.trials.pop(0)
    stored.write_plan()
    assert mirror.sync("unpaired").runs == 5
    keys = {run.data.tags.get("drnbench.key") for run in runs(mirror.uri)}
    assert dropped["key"] not in keys
    assert stored.trials[0]["key"] in keys
    stored.trials.insert(0, dropped)
    stored.write_plan()
    assert Mirror(stored.store).sync("unpaired").new_runs == 1
    assert len(runs(mirror.uri)) == 6


@pytest.mark.real
def test_a_mirror_of_an_earlier_version_is_brought_up_to_date(stored: StoredStudy) -> None:
    """Its runs name no settings, and those of an earlier plan and of an earlier computation stand among the others."""
    from mlflow import MlflowClient

    mirror = Mirror(stored.store)
    mirror.sync("unpaired")
    client = MlflowClient(mirror.uri)
    before = {run.info.run_id for run in runs(mirror.uri)}
    for run_id in before:
        client.delete_tag(run_id, "drnbench.settings")
    parent = child(mirror.uri, "unpaired, tiny")
    for state, key in (("done", "of an earlier plan"), ("superseded", stored.trials[0]["key"])):
        own = {"kind": "trial", "study": "unpaired", "profile": "tiny", "state": state, "key": key, "arm": "ρ=0"}
        tags = {f"drnbench.{name}": value for name, value in own.items()}
        client.create_run(parent.info.experiment_id, tags={**tags, "mlflow.parentRunId": parent.info.run_id})
    write_json(stored.store.study(stored.location) / "mirror.json", {})
    result = Mirror(stored.store).sync("unpaired")
    assert (result.runs, result.new_runs, result.points) == (6, 0, 0)
    assert {run.info.run_id for run in runs(mirror.uri)} == before
    assert {run.data.tags["drnbench.settings"] for run in runs(mirror.uri)} == {"tiny"}


def test_a_run_begins_with_its_own_work_and_not_with_that_of_shared_stages(tmp_path: Path) -> None:
    from mlflow import MlflowClient

    stored = StoredStudy(tmp_path, seeds=1)
    pretrain, adapt = stored.trials[0]["stages"]
    stored.train(pretrain, started=T0 - 900)
    mirror = Mirror(stored.store)
    mirror.sync("unpaired", final=False)
    shown = child(mirror.uri, "ρ=0, seed 0")
    MlflowClient(mirror.uri).set_tag(shown.info.run_id, "mine", "keep")
    stored.train(adapt, started=T0)
    stored.score(stored.trials[0])
    mirror.sync("unpaired")
    run = child(mirror.uri, "ρ=0, seed 0")
    assert (run.info.start_time, run.info.end_time) == (T0 * 1000, (T0 + 25) * 1000)
    assert run.data.tags["mine"] == "keep"
    assert run.data.metrics["pretrain/loss"] == 0.125
    assert [r.info.run_name for r in runs(mirror.uri)].count("ρ=0, seed 0") == 1
    assert Mirror(stored.store).sync("unpaired").new_runs == 0


def test_the_parent_ends_with_its_last_trial(stored: StoredStudy) -> None:
    mirror = Mirror(stored.store)
    mirror.sync("unpaired")
    wanted = [e["key"] for e in stored.trials[0]["wanted"]]
    folder = stored.store.trial(stored.trials[0]["key"])
    stored.store.write_status(folder, status(started=T0 + 90, seconds=5, evaluations=wanted))
    mirror.sync("unpaired")
    parent = child(mirror.uri, "unpaired, tiny")
    assert (parent.info.start_time, parent.info.end_time) == (T0 * 1000, (T0 + 95) * 1000)


def test_artifacts_are_logged_and_only_again_when_they_change(stored: StoredStudy) -> None:
    from mlflow import MlflowClient

    mirror = Mirror(stored.store)
    mirror.sync("unpaired")
    client = MlflowClient(mirror.uri)
    parent, run = child(mirror.uri, "unpaired, tiny"), child(mirror.uri, "ρ=0, seed 0")
    listed = {item.path for item in client.list_artifacts(parent.info.run_id)}
    assert listed == {"tables", "figures", "report.html", "plan.json", "per_image.json"}
    pictures = {item.path for item in client.list_artifacts(run.info.run_id, "samples/Set5/bicubic")}
    assert pictures == {f"samples/Set5/bicubic/baby_{what}.png" for what in ("lr", "sr", "hr")}
    logged = stored.store.root / "mlartifacts" / "unpaired" / parent.info.run_id / "artifacts"
    before = {path.name: path.stat().st_mtime_ns for path in logged.rglob("*.*")}
    assert {"table_main.tex", "figure_curve.png"} <= set(before)
    stored.report(text="\\begin{tabular}{lr}")
    mirror.sync("unpaired")
    changed = {path.name for path in logged.rglob("*.*") if path.stat().st_mtime_ns != before[path.name]}
    assert changed == {"table_main.tex"}


def test_the_parent_has_answer_table_best_arms_comparisons_and_datasets(
    stored: StoredStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    monkeypatch.setattr(compose, "figures", lambda *_: [])
    report.write(stored.store, "unpaired")
    for crops in stored.store.root.glob("trials/*/samples/Set5/bicubic"):
        crops.rename(crops.with_name("bicubic-crop64"))
    mirror = Mirror(stored.store)
    mirror.sync("unpaired")
    assert mirror.sync("unpaired").points == 0
    parent, run = child(mirror.uri, "unpaired, tiny"), child(mirror.uri, "ρ=0.5, seed 0")
    note = parent.data.tags["mlflow.note.content"]
    assert note.startswith("Do unpaired images help?")
    assert "**Answer:**" in note
    assert "| 0.5 |" in note
    assert parent.data.metrics["best/psnr_y/Set5/bicubic"] == pytest.approx(30.75)
    assert parent.data.tags["best/psnr_y/Set5/bicubic"] == "ρ=0.5"
    assert parent.data.metrics["delta/psnr_y/Set5/bd:sigma_2.0/ρ_0.5"] == pytest.approx(0.2)
    for inputs in (parent.inputs, run.inputs):
        assert ("Set5", "evaluation") in {(i.dataset.name, i.tags[0].value) for i in inputs.dataset_inputs}
        assert all(i.dataset.digest for i in inputs.dataset_inputs)
    for tags in (parent.data.tags, run.data.tags):
        assert tags["mlflow.source.name"] == "unpaired.py"
        assert tags["mlflow.user"]
    client = MlflowClient(mirror.uri)
    table = json.loads(Path(client.download_artifacts(run.info.run_id, "per_image.json")).read_text(encoding="utf-8"))
    assert table["columns"] == ["image", "dataset", "kernel", "psnr_y", "ssim_y"]
    assert len(table["data"]) == 2 * len(KERNELS)
    images = {item.path for item in client.list_artifacts(run.info.run_id, "images")}
    assert len(images) == 2, "the image and its thumbnail"
    assert any("SR crop Set5 bicubic+step+0+" in path for path in images)
    assert run.data.tags["mlflow.loggedImages"]
    assert not list(client.list_artifacts(child(mirror.uri, "ρ=0.5, seed 1").info.run_id, "images"))


def test_a_perfect_image_is_inf_in_the_table_of_scores(stored: StoredStudy) -> None:
    from mlflow import MlflowClient

    stored.score(stored.trials[0], perfect=True)
    mirror = Mirror(stored.store)
    mirror.sync("unpaired")
    run = child(mirror.uri, "ρ=0, seed 0")
    path = MlflowClient(mirror.uri).download_artifacts(run.info.run_id, "per_image.json")
    assert "inf" in [value for row in json.loads(Path(path).read_text(encoding="utf-8"))["data"] for value in row]


def test_more_points_and_tags_than_one_call_may_carry(tmp_path: Path) -> None:
    stored = StoredStudy(tmp_path, rhos=(0.0,), seeds=1)
    stored.trials[0]["config"]["model"] = {f"n{i}": i for i in range(130)}
    stored.write_plan()
    stored.train(stored.trials[0]["stages"][0], steps=9000)
    mirror = Mirror(stored.store)
    assert mirror.sync("unpaired").points == 900 + 450
    assert len(child(mirror.uri, "ρ=0, seed 0").data.params) > 130


def test_a_users_own_run_is_left_alone(stored: StoredStudy) -> None:
    from mlflow import MlflowClient

    mirror = Mirror(stored.store)
    mirror.sync("unpaired")
    client = MlflowClient(mirror.uri)
    own = client.create_run(client.get_experiment_by_name("unpaired").experiment_id, run_name="mine")
    Mirror(stored.store).sync("unpaired")
    assert client.get_run(own.info.run_id).data.tags == {"mlflow.runName": "mine"}


@pytest.mark.real
def test_nothing_is_written_into_the_current_folder(
    stored: StoredStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    Mirror(stored.store, f"sqlite:///{tmp_path}/own.db").sync("unpaired")
    assert not list(here.iterdir())
    assert capfd.readouterr() == ("", "")


def test_an_experiment_deleted_in_mlflow_is_one_line(stored: StoredStudy) -> None:
    from mlflow import MlflowClient

    mirror = Mirror(stored.store)
    mirror.sync("unpaired")
    client = MlflowClient(mirror.uri)
    client.delete_experiment(client.get_experiment_by_name("unpaired").experiment_id)
    with pytest.raises(UsageError, match="was deleted in MLflow: restore it"):
        Mirror(stored.store).sync("unpaired")


def test_a_study_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no study 'nothing'"):
        Mirror(StoredStudy(tmp_path).store).sync("nothing")


@pytest.mark.fast_variants(1)
@pytest.mark.parametrize("reused", ["bicubic", "pretrain"])
def test_a_parent_begins_with_the_work_of_its_own_plan_and_not_with_what_another_had_done(
    stored: StoredStudy, reused: str
) -> None:
    stored.plan["begun"] = T0 - 5
    stored.write_plan()
    if reused == "bicubic":
        trial = next(trial for trial in stored.trials if not trial["stages"])
        evaluations = [e["key"] for e in trial["wanted"]]
        stored.store.write_status(stored.store.trial(trial["key"]), status(started=T0 - 900, evaluations=evaluations))
    else:
        stored.train(stored.trials[0]["stages"][0], started=T0 - 900)
    mirror = Mirror(stored.store)
    mirror.sync("unpaired")
    assert child(mirror.uri, "unpaired, tiny").info.start_time == T0 * 1000


def test_a_trial_that_runs_where_it_cannot_be_seen_names_its_holder(tmp_path: Path) -> None:
    stored = StoredStudy(tmp_path, database=False)
    stored.train(next(iter(stored.stages)), steps=20, state="running", host="node-42", pid=7, process={})
    views = reading.trials(stored.store, read_plan(stored.store, stored.name))
    messages = {view.message for view in views if view.state == "running"}
    assert messages == {"held by process 7 on node-42, not seen from here"}
