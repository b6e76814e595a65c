"""The engine on plain functions: it finds a known optimum, gives up what is hopeless, and goes on after a kill."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from drnbench.errors import UsageError
from drnbench.search import Choice, Float, Int, Maximise, Median, Minimise, Search, Steps, Wilcoxon
from drnbench.search.engine import Engine
from tests.helpers import until
from tests.search.drive import drive

GRID = {"x": Steps(0, 1, 0.1), "y": Steps(0, 1, 0.1)}
OPTIMUM = {"x": 0.7, "y": 0.3}


def hill(values, seed=0, report=None):
    """One optimum on an 11 x 11 grid, at x = 0.7, y = 0.3."""
    return -((values["x"] - 0.7) ** 2) - 2 * (values["y"] - 0.3) ** 2


def searched(**fields):
    wanted = {"space": GRID, "objectives": [Maximise("score")], "trials": 40, "seeds": 1}
    return Search(**{**wanted, **fields})


def recorded(score=hill):
    calls = []

    def function(values, seed, report):
        calls.append((*values.values(), seed))
        return score(values, seed, report)

    return function, calls


@pytest.mark.parametrize("seed", range(6))
def test_it_lands_within_a_step_of_the_optimum_with_less_than_half_of_the_grid(seed):
    function, calls = recorded()
    best = drive(searched(seed=seed, trials=50), function).best()[0]
    assert len(calls) == len(set(calls)) == 50 < 11 * 11 / 2
    for path, value in OPTIMUM.items():
        assert abs(best.values[path] - value) < 0.1 + 1e-9


def test_a_valley_is_found_as_well():
    best = drive(searched(objectives=[Minimise("loss")]), lambda v, s, r: -hill(v)).best()[0]
    assert abs(best.values["x"] - 0.7) < 0.11


def test_the_seed_decides_which_candidates_are_tried():
    runs = []
    for seed in (0, 0, 1):
        function, calls = recorded()
        drive(searched(seed=seed, trials=15), function)
        runs.append(calls)
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize("sampler", ["tpe", "random", "nsga2"])
def test_a_search_that_was_left_goes_the_way_of_one_that_was_not(tmp_path, sampler):
    search = searched(sampler=sampler, trials=16, seeds=2, startup=5)
    function, undisturbed = recorded()
    drive(search, function, tmp_path / "a")
    calls = []

    def failing(values, seed, report):
        if len(calls) in stops:
            stops.remove(len(calls))
            raise KeyboardInterrupt
        calls.append((*values.values(), seed))
        return hill(values)

    stops = {0, 5, 6, 13, 25}
    while stops:
        with pytest.raises(KeyboardInterrupt):
            drive(search, failing, tmp_path / "b")
    engine = drive(search, failing, tmp_path / "b")
    assert calls == undisturbed
    assert engine.finished
    drive(search, failing, tmp_path / "b")
    assert calls == undisturbed, "seeds in the journal are not scored again"


KILLED = """
import sys, threading
from pathlib import Path
from tests.search.test_engine import hill, searched
from tests.search.drive import drive

def score(values, seed, report):
    lines = log.read_text().splitlines() if log.exists() else []
    if len(lines) == int(sys.argv[2]):
        Path(sys.argv[1], "here").touch()
        threading.Event().wait()
    with log.open("a") as file:
        file.write(f"{values['x']} {values['y']} {seed}\\n")
    return hill(values)

log = Path(sys.argv[1], "log")
drive(searched(trials=14, seeds=2), score, Path(sys.argv[1], "journal"))
"""


@pytest.mark.real
def test_a_killed_process_is_resumed_and_nothing_is_scored_twice(tmp_path):
    root = Path(__file__).resolve().parents[2]
    env = {**os.environ, "PYTHONPATH": str(root)}
    for moment in (3, 10, 21):
        run = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), str(moment)], env=env)
        until(lambda run=run: (tmp_path / "here").exists() or run.poll() is not None)
        assert run.poll() is None
        run.send_signal(signal.SIGKILL)
        run.wait()
        (tmp_path / "here").unlink()
        with (tmp_path / "journal").open("ab") as file:  # as a process leaves it that dies while it writes
            file.write(b'{"op_code": 6, "worker')
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), "-1"], env=env, check=True)
    lines = (tmp_path / "log").read_text().splitlines()
    assert len(lines) == len(set(lines)) == 28
    function, calls = recorded()
    drive(searched(trials=14, seeds=2), function)
    assert lines == [" ".join(map(str, call)) for call in calls]


def test_a_space_that_is_tried_whole_ends_the_search():
    function, calls = recorded(lambda values, seed, report: values["n"])
    engine = drive(searched(space={"n": Int(1, 3), "c": Choice(["a", "b"])}, trials=50), function)
    assert len(calls) == len(set(calls)) == 6
    assert engine.finished
    assert engine.best()[0].values["n"] == 3


def test_several_at_once_are_all_different_and_wait_for_nobody():
    engine = Engine(searched(trials=30, startup=3), "parallel")
    running, seen = [engine.ask() for _ in range(4)], []
    while running:
        candidate = running.pop(0)
        engine.scored(candidate, [hill(candidate.values)])
        seen.append(tuple(candidate.values.values()))
        if (new := engine.ask()) is not None:
            running.append(new)
    assert len(set(seen)) == len(seen) == 30
    assert engine.finished


def test_scores_are_means_over_seeds():
    engine = drive(searched(trials=3, seeds=4), lambda values, seed, report: float(seed))
    assert all(candidate.means == [1.5] for candidate in engine.candidates)


def test_the_baseline_is_the_first_candidate_where_the_space_has_it():
    function, calls = recorded()
    engine = drive(searched(trials=5), function, baseline={"x": 0.2, "y": 0.9})
    assert calls[0] == (0.2, 0.9, 0)
    assert engine.baseline is engine.candidates[0]
    assert len(calls) == 5
    outside = drive(searched(trials=5), function, baseline={"x": 0.25, "y": 0.9})
    assert outside.baseline is None


def test_what_diverges_has_failed_and_the_search_goes_on():
    engine = drive(searched(trials=20), lambda v, s, r: float("nan") if v["x"] > 0.8 else hill(v))
    states = {candidate.state for candidate in engine.candidates}
    assert states == {"complete", "failed"}
    assert all(
        candidate.values["x"] > 0.8 and "not finite" in candidate.note
        for candidate in engine.candidates
        if candidate.state == "failed"
    )


def test_a_learning_curve_below_the_median_is_left():
    steps, done = 10, {}

    def learn(values, seed, report):
        for step in range(1, steps + 1):
            done[tuple(values.values())] = step
            report(step, step * (1 + hill(values)))
        return steps * (1 + hill(values))

    engine = drive(searched(trials=30, pruner=Median(startup=4, warmup=0.2), startup=4), learn, steps=steps)
    pruned = [candidate for candidate in engine.candidates if candidate.state == "pruned"]
    complete = [candidate for candidate in engine.candidates if candidate.state == "complete"]
    assert len(pruned) >= 5
    # Nobody is left before the warm-up, and none of those left would have been the best.
    assert {done[tuple(candidate.values.values())] for candidate in pruned} == {2}
    assert all(done[tuple(candidate.values.values())] == steps for candidate in complete)
    best = engine.best()[0]
    assert all(hill(candidate.values) < hill(best.values) for candidate in pruned)
    assert max(abs(best.values[path] - OPTIMUM[path]) for path in OPTIMUM) < 0.11


def test_seeds_of_a_candidate_that_loses_on_every_image_are_left_out():
    images = [0.3 * n for n in range(8)]
    seeds = {}

    def score(values, seed, report):
        seeds.setdefault(tuple(values.values()), []).append(seed)
        scores = [hill(values) + offset for offset in images]
        return [sum(scores) / len(scores)], scores

    search = searched(objectives=[Maximise("psnr_y", "photos/train")], trials=20, seeds=3, pruner=Wilcoxon(p=0.05))
    engine = drive(search, score)
    for candidate in engine.candidates:
        assert (
            len(seeds[tuple(candidate.values.values())])
            == len(candidate.scores)
            == (3 if candidate.state == "complete" else 1)
        )
    assert sum(candidate.state == "pruned" for candidate in engine.candidates) >= 10
    top = max(hill(candidate.values) for candidate in engine.candidates)
    assert hill(engine.best()[0].values) == top


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_several_objectives_give_the_front(sampler, tmp_path):
    # More feats, better PSNR, more parameters; `waste` costs and brings nothing.
    search = searched(
        space={"feats": Int(1, 16), "waste": Int(0, 3)}, objectives=[Maximise("psnr"), Minimise("size")], sampler=sampler,
        trials=40, seeds=2, startup=8,
    )  # fmt: skip
    engine = drive(
        search,
        lambda v, s, r: [20 + v["feats"] ** 0.5 + 0.01 * s, v["feats"] * (1.0 + v["waste"])],
        tmp_path / "j",
        baseline={"feats": 20, "waste": 0},
    )
    front = engine.best()
    assert engine.baseline.means == pytest.approx([20 + 20**0.5 + 0.005, 20])
    assert engine.baseline not in front, "it lies outside of the space"
    assert len(front) >= 3
    assert front == sorted(front, key=lambda candidate: -candidate.means[0])
    for candidate in front:
        worse = [o for o in engine.candidates if o.means[0] >= candidate.means[0] and o.means[1] < candidate.means[1]]
        assert not worse
    best = {candidate.values["feats"]: candidate for candidate in engine.candidates if candidate.values["waste"] == 0}
    assert all(best.get(candidate.values["feats"], candidate) is candidate for candidate in front)


def test_values_are_what_a_paper_can_print():
    engine = drive(
        searched(space={"lam": Float(1e-3, 1, log=True), "rho": Steps(0, 1, 0.1)}, trials=12),
        lambda v, s, r: v["lam"] + v["rho"],
    )
    for candidate in engine.candidates:
        assert float(f"{candidate.values['lam']:.3g}") == candidate.values["lam"]
        assert candidate.values["rho"] in {0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Steps(0, 1, 0.3), "no whole number of steps"),
        (lambda: Float(0, 1, log=True), "starts above 0"),
        (lambda: Int(3, 3), "low must be below high"),
        (lambda: searched(objectives=[Maximise("a"), Minimise("b")], pruner=Median()), "no candidate is hopeless"),
        (lambda: searched(pruner=Wilcoxon()), "give the objective a source"),
        (lambda: Maximise("val_psnr_y", "Set5"), "leave the source out"),
        (lambda: searched(space={}), "at least 1 item"),
    ],
)
def test_what_makes_no_search_is_refused(make, message):
    with pytest.raises(UsageError, match=message):
        make()
