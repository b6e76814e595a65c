"""Seeds that are added while a study runs: killed runs, and two at once, end with the same seeds as one."""

import json
import os
import signal
import subprocess

import pytest

from tests.helpers import STORE_ONLY, call, command, until, write_study

pytestmark = pytest.mark.real
RULE = "Until(half_width=0.1, at_least=3, at_most=4)"


def decided(results):
    """The number of seeds of each arm, why it has no more, and the keys of all trials, as plan.json records them."""
    plan = json.loads((results / "mini" / "quick" / "plan.json").read_text(encoding="utf-8"))
    return plan["until"], sorted(trial["key"] for trial in plan["trials"])


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    study = write_study(folder, seeds=RULE)
    done = call("run", study, "--results", folder / "r", *STORE_ONLY, "--jobs", 2)
    assert done.returncode == 0, done.stderr
    return study, folder / "r", done.stdout


def test_a_run_adds_seeds_and_says_why_it_stops(undisturbed):
    study, results, out = undisturbed
    rule, _ = decided(results)
    seeds = {arm["arm"]: arm["seeds"] for arm in rule["arms"]}
    assert seeds["true pairs"] == 3 < seeds["ρ=0.5"]
    assert "adding seeds: ρ=0.5: 4 seeds after half-width" in out
    for arm in rule["arms"]:
        assert f"{arm['arm']}: {arm['reason']}" in out
        assert not arm["open"]
    again = call("run", study, "--results", results, *STORE_ONLY)
    assert again.returncode == 0, again.stderr
    assert "nothing to train" in again.stdout
    assert decided(results) == decided(undisturbed[1])


def test_killed_runs_and_two_at_once_decide_the_same(undisturbed, tmp_path):
    study, reference, _ = undisturbed
    results = tmp_path / "r"
    for scored in (4, 11):  # in the first round, of ten trials, and in a later one
        run = subprocess.Popen(
            command("run", study, "--results", results, *STORE_ONLY, "--jobs", 2), stdout=subprocess.DEVNULL,
            env={**os.environ, "DRNBENCH_CHECKPOINT_S": "0.05"},
        )  # fmt: skip
        until(
            lambda run=run, scored=scored: (
                len(list(results.glob("trials/*/per_image.parquet"))) >= scored or run.poll() is not None
            )
        )
        assert run.poll() is None
        run.send_signal(signal.SIGKILL)
        run.wait()
    both = [
        subprocess.Popen(
            command("run", study, "--results", results, *STORE_ONLY, "--jobs", 1), stdout=subprocess.DEVNULL
        )
        for _ in range(2)
    ]
    assert [run.wait(timeout=300) for run in both] == [0, 0]
    assert decided(results) == decided(reference)
