"""Studies that add seeds until each comparison is clear: how many each arm gets, and why no more."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from drnbench import Axis, Study, Until
from drnbench.cli import main
from drnbench.errors import UsageError
from drnbench.outputs.report import write
from drnbench.results.plan_record import read_plan
from drnbench.session.declared import declare
from drnbench.session.recording import record
from drnbench.store import Status, Store
from tests.fake_store import base, finish, plan_of
from tests.helpers import write_study

RULE = "Until(half_width=0.05, at_least=3, at_most=10)"
CLEAR, OPEN, UNCLEAR = "true pairs", "ρ=0.5", "ρ=1"
SPREADS = {CLEAR: 0.002, OPEN: 0.022, UNCLEAR: 0.5}


def scattered(trial, evaluation, image):
    """Scores whose paired differences vary over seeds, in each arm by another amount."""
    seed, spread = trial.trial.seed, SPREADS.get(trial.arm.name, 0.0)
    own = np.random.default_rng([seed, *trial.arm.name.encode()]).standard_normal()
    pixels = np.random.default_rng([seed, image, *trial.arm.name.encode()]).standard_normal()
    return 30.0 + 2 * image + seed + spread * own + 0.2 * spread * pixels


def differing_images(trial, evaluation, image):
    """Scores of an arm that gains on some images and loses on others, by nearly the same amount with every seed."""
    sign = (-1) ** image if trial.arm.name == OPEN else 0
    return scattered(trial, evaluation, image) + 0.3 * sign


def until_nothing_is_left(study, results, **options):
    """Score what the plan asks for, again and again; return the last plan and the number of rounds."""
    store, plan = finish(study, results, **options)
    rounds = 1
    while any(arm.open for arm in plan.until.arms):
        store, plan = finish(study, results, **options)
        rounds += 1
    return store, plan, rounds


def counts(plan):
    return {arm.name: len(arm.trials) for arm in plan.study.arms if arm.kind != "reference"}


def reasons(plan):
    return {arm.arm: arm.reason for arm in plan.until.arms}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("study"), rhos=(0.0, 0.5, 1.0), seeds=RULE)


@pytest.fixture(scope="module")
def finished(study, tmp_path_factory):
    results = tmp_path_factory.mktemp("finished") / "r"
    store, plan, _ = until_nothing_is_left(study, results, score=scattered)
    record(plan, store)
    return store, plan


def test_a_first_plan_has_the_fewest_seeds_and_says_that_more_may_follow(study, tmp_path, capsys):
    plan = plan_of(study)
    assert set(counts(plan).values()) == {3}
    assert all(arm.open for arm in plan.until.arms)
    assert main(["plan", str(study), "--results", str(tmp_path / "r")]) == 0
    out = capsys.readouterr().out
    assert "3 to 10 seeds" in out
    assert "up to 28 more trials may follow" in out  # seven seeds of four arms


def test_seeds_are_added_where_the_answer_is_open_and_nowhere_else(finished):
    _, plan = finished
    number, why = counts(plan), reasons(plan)
    assert number[CLEAR] == 3
    assert 3 < number[OPEN] < 10
    assert number[UNCLEAR] == number["ρ=0"] == 10
    assert f"reached with {number[OPEN]} seeds" in why[OPEN]
    assert "at most 10 seeds: half-width" in why[UNCLEAR]
    sizes = {arm.arm: arm.half_width for arm in plan.until.arms}
    assert sizes[CLEAR] <= 0.05
    assert sizes[OPEN] <= 0.05 < sizes[UNCLEAR]


def test_a_finished_study_has_nothing_to_do(study, finished, capsys):
    store, plan = finished
    assert plan_of(study, store=store).keys == plan.keys
    assert plan.counts()["to run"] == 0
    assert main(["plan", str(study), "--results", str(store.root)]) == 0
    out = capsys.readouterr().out
    assert "0 to run" in out
    assert "may follow" not in out


@pytest.mark.real
@pytest.mark.parametrize("order", [0, pytest.param(1, marks=pytest.mark.real)])
def test_what_is_scored_first_does_not_change_what_is_scored(study, finished, tmp_path, order):
    _, reference = finished
    picked, plan = np.random.default_rng(order), plan_of(study)
    while plan.counts()["to run"]:
        assert plan.keys <= reference.keys
        part = {trial.unit.key for trial in plan.trials if picked.random() < 0.7}
        _, plan = finish(study, tmp_path / "r", score=scattered, done=lambda trial, part=part: trial.unit.key in part)
    assert plan.keys == reference.keys
    assert plan.until == reference.until


def test_seeds_that_the_store_has_besides_change_nothing(study, finished, tmp_path):
    _, reference = finished
    fixed = write_study(tmp_path, name="fixed", rhos=(0.0, 0.5, 1.0), seeds=12)
    store, _ = finish(fixed, tmp_path / "r", score=scattered)
    plan = plan_of(study, store=store)
    assert plan.keys == reference.keys
    assert plan.until == reference.until


@pytest.mark.real
def test_seeds_end_where_more_test_images_are_missing(study, tmp_path):
    _, plan, rounds = until_nothing_is_left(study, tmp_path / "r", score=differing_images)
    assert counts(plan)[OPEN] == 3
    assert "more seeds do not help: the spread is between images" in reasons(plan)[OPEN]
    needed = int(reasons(plan)[OPEN].partition("at least ")[2].split()[0])
    assert needed > 100  # a standard deviation of 0.33 dB: (2.2 x 0.33 / 0.05)^2 images at the least
    assert rounds > 1


def test_an_arm_whose_seeds_fail_gets_no_more(study, tmp_path):
    failing = {OPEN: 2, UNCLEAR: 1}
    store, plan = finish(study, tmp_path / "r", score=scattered)
    for trial in plan.trials:
        if trial.trial.seed < failing.get(trial.arm.name, 0):
            status = Status("failed", kind="diverged", message="the loss is not a number")
            store.write_status(store.trial(trial.unit.key), status)
            store.write_status(store.stage(trial.stages[-1]), status)
    plan = plan_of(study, store=store)
    assert counts(plan)[OPEN] == 3
    assert "2 of its 3 seeds failed" in reasons(plan)[OPEN]
    assert counts(plan)[UNCLEAR] == counts(plan)["ρ=0"] == 4  # two of three are paired: it goes on


def test_a_killed_trial_is_waited_for(study, tmp_path):
    store, plan = finish(study, tmp_path / "r", score=scattered)
    killed = next(trial for trial in plan.trials if trial.arm.name == OPEN)
    store.write_status(store.trial(killed.unit.key), Status("failed", kind="killed", message="by signal 9"))
    plan = plan_of(study, store=store)
    assert counts(plan)[OPEN] == 3
    assert "1 of them to come" in reasons(plan)[OPEN]


@pytest.mark.real
def test_a_report_pairs_arms_by_common_seeds_and_says_why_each_has_its_number(finished):
    store, plan = finished
    report = write(store, plan.study.settings.location)
    summary = pd.read_csv(next(path for path in report.files if path.name == "summary.csv"))
    rows = summary[(summary["metric"] == "psnr_y") & (summary["kernel"] == "bd")].set_index("arm")
    assert {arm: rows.loc[arm, "n_seeds"] for arm in counts(plan)} == counts(plan)
    halves = (rows["delta_high"] - rows["delta_low"]) / 2
    for arm in plan.until.arms:
        assert halves[arm.arm] == pytest.approx(arm.half_width)
    caption = " ".join(next(path for path in report.files if path.suffix == ".md").read_text(encoding="utf-8").split())
    for text in ("at most 0.05 dB", "paired by common seeds", *reasons(plan).values()):
        assert text in caption
    assert "2 of 3 arms reached a half-width of 0.05 dB" in report.headline
    assert f"{UNCLEAR} not (at most 10 seeds" in report.headline
    assert read_plan(store, plan.study.settings.location).until == plan.until


def test_a_profile_or_the_command_line_may_fix_the_number(study):
    assert set(counts(plan_of(study, profile="tiny")).values()) == {2}
    declared = Study(
        base=base(), axes=[Axis("adapt.rho", [0.0, 0.5])], seeds=5, baseline={"adapt.rho": 0.0},
        profiles={"fine": {"seeds": Until(half_width=0.02)}, "finer": {"seeds.half_width": 0.01}},
    )  # fmt: skip
    assert plan_of(declared).until is None
    assert [plan_of(declared, profile=name).until.half_width for name in ("fine", "finer")] == [0.02, 0.01]
    arms = declare(study, overrides={"seeds": 4}).expanded(Store(Path("none"))).arms
    assert {len(arm.trials) for arm in arms if arm.kind != "reference"} == {4}


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        (["--half-width", "0.1"], Until(half_width=0.1)),
        (["--seeds", "4-6"], Until(half_width=0.05, at_least=4, at_most=6)),
        (["--seeds", "until", "--profile", "tiny"], Until(half_width=0.05)),
        (["--set", "seeds.at_most=12"], Until(half_width=0.05, at_most=12)),
    ],
)
def test_the_command_line_changes_the_rule(study, tmp_path, capsys, options, rule):
    assert main(["plan", str(study), "--results", str(tmp_path / "r"), *options]) == 0
    out = capsys.readouterr().out
    assert f"at most {rule.half_width:g} dB" in out
    assert f"({rule.at_least} to {rule.at_most} seeds)" in out


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--seeds", "until"], ["--half-width"]),
        (["--seeds", "5", "--half-width", "0.1"], ["--half-width", "5-10"]),
        (["--seeds", "few"], ["--seeds few", "3-10", "until"]),
        (["--half-width", "0"], ["half_width", "greater than 0"]),
        (["--half-width", "-1"], ["half_width", "greater than 0"]),
        (["--seeds", "2-4", "--half-width", "0.1"], ["at_least", "3"]),
        (["--seeds", "6-4", "--half-width", "0.1"], ["at_most=4 is less than at_least=6"]),
        (["--set", "seeds.halfwidth=1", "--half-width", "0.1"], ["halfwidth", "half_width"]),
    ],
)
def test_a_wrong_rule_is_refused_in_one_line(tmp_path, capsys, options, parts):
    study = write_study(tmp_path)
    assert main(["plan", str(study), "--results", str(tmp_path / "r"), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert all(part in line for part in parts)


def test_a_study_without_a_baseline_is_refused(tmp_path):
    with pytest.raises(UsageError, match="baseline"):
        Study(base=base(), seeds=Until(half_width=0.05))
    with pytest.raises(UsageError, match="baseline"):
        declare(Study(base=base()), overrides={"seeds": Until(half_width=0.05)}, name="s").plan(Store(tmp_path / "r"))


def test_a_search_has_seeds_of_its_own(tmp_path):
    from tests.search.studyfile import write as write_search

    study = write_search(tmp_path)
    with pytest.raises(UsageError, match=r"search\.fresh_seeds"):
        declare(study, overrides={"seeds": Until(half_width=0.05)}).plan(Store(tmp_path / "r"))
