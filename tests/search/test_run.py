"""A study with a search, as a user runs it: trained, killed, run again, reported with fresh seeds."""

import json
import os
import signal
import subprocess

import pandas as pd
import pytest

from tests.helpers import call, command, until, weights
from tests.search.studyfile import write

pytestmark = pytest.mark.real
OFF = ("--tracking-uri", "off", "--jobs", 1)


def searched(results):
    record = json.loads((results / "mini" / "quick" / "search.json").read_text(encoding="utf-8"))
    return record["searches"][record["current"]]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    study = write(folder)
    done = call("run", study, "--results", folder / "r", *OFF)
    assert done.returncode == 0, done.stderr
    return study, folder / "r", done.stdout


def test_the_winner_stands_in_the_table_with_fresh_seeds(undisturbed):
    study, results, out = undisturbed
    search, plan = searched(results), json.loads((results / "mini" / "quick" / "plan.json").read_text(encoding="utf-8"))
    assert search["state"] == "done"
    assert [candidate["state"] for candidate in search["candidates"]] == ["complete"] * 3
    seeds = {(t["arm"], t["seed"]) for t in plan["trials"] if t["stages"]}
    assert seeds <= {(arm, seed) for arm in ("default", "winner") for seed in (1, 2)}
    summary = pd.read_csv(results / "mini" / "quick" / "summary.csv")
    assert set(summary["arm"]) >= {"default", "bicubic"}
    assert summary.loc[summary["arm"] == "default", "n_seeds"].tolist() == [2, 2]
    assert "fresh seeds (1–2)" in " ".join(out.split())
    output = call("plan", study, "--results", results).stdout
    assert "search: 3 of 3 candidates asked (3 complete); best so far" in " ".join(output.split())


def test_a_second_run_trains_nothing(undisturbed):
    study, results, _ = undisturbed
    before = {path: path.stat().st_mtime_ns for path in results.glob("stages/*/checkpoint.pt")}
    again = call("run", study, "--results", results, *OFF)
    assert again.returncode == 0, again.stderr
    assert "nothing to train" in again.stdout
    assert before == {path: path.stat().st_mtime_ns for path in results.glob("stages/*/checkpoint.pt")}


def test_a_run_that_is_killed_ends_like_one_that_was_not(undisturbed, tmp_path):
    study, reference, _ = undisturbed
    results = tmp_path / "r"
    for done in (1, 3):
        run = subprocess.Popen(
            command("run", study, "--results", results, *OFF, "--no-report"), stdout=subprocess.DEVNULL,
            env={**os.environ, "DRNBENCH_CHECKPOINT_S": "0.05"},
        )  # fmt: skip
        until(
            lambda run=run, done=done: (
                len(list(results.glob("stages/*/checkpoint.pt"))) >= done or run.poll() is not None
            )
        )
        assert run.poll() is None
        run.send_signal(signal.SIGKILL)
        run.wait()
    last = call("run", study, "--results", results, *OFF, "--no-report")
    assert last.returncode == 0, last.stderr
    assert searched(results) == searched(reference)
    assert set(weights(results)) == set(weights(reference))


def test_a_search_over_what_it_reports_is_refused_before_anything_runs(tmp_path):
    search = 'space={"adapt.rho": Steps(0.1, 0.9, 0.1)}, objectives=[Maximise("psnr_y", "photos/test", kernel="bd")]'
    study = write(tmp_path, search=search, baseline="{}")
    done = call("run", study, "--results", tmp_path / "r", *OFF)
    assert done.returncode == 2
    assert "the study reports 'photos/test', so the search must not look at it" in done.stderr
    assert not (tmp_path / "r" / "stages").exists()


def test_a_front_of_sizes_is_run_again_and_drawn(tmp_path):
    search = (
        'space={"model.n_feats": Int(2, 5)}, objectives=[Maximise("psnr_y", "photos/unpaired", kernel="bd", crop=64, count=2), '
        'Minimise("parameters")], trials=3, seeds=1, fresh_seeds=1, sampler="nsga2", startup=2, front=2'
    )
    study = write(tmp_path, search=search, baseline="{}")
    done = call("run", study, "--results", tmp_path / "r", *OFF)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "r" / "mini" / "quick" / "figure_pareto.png").exists()
    assert "front 1" in (tmp_path / "r" / "mini" / "quick" / "table_search.md").read_text(encoding="utf-8")
