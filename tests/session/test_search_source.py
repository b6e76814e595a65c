"""Candidates under the coordinator: as many at once as there are slots, left where hopeless, never trained twice."""

import json

import pytest

from drnbench.config.units import StageUnit
from drnbench.outputs.report import write
from drnbench.planning import make
from drnbench.search import Maximise, Median, Minimise, Steps, Wilcoxon
from drnbench.search.resolve import expanded, resolve_search, signature
from drnbench.session.coordinator import Coordinator
from drnbench.session.recording import record
from drnbench.session.search_source import Searcher
from drnbench.store import Status, Store
from tests.search.fake_executor import FakeExecutor
from tests.search.studyfile import study

TWO = {"space": {"adapt.lam": Steps(0.1, 0.3, 0.1), "adapt.rho": Steps(0.1, 0.9, 0.1)}}
IMAGES = [Maximise("psnr_y", "photos/unpaired", kernel="bd", crop=64)]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "r")


def run(store, search=None, *, slots=1, fate=None, rerun=None, **fields):
    """Run a search with a pretended executor, without the arms of the report."""
    resolved = resolve_search(study(search, **fields), "s", "?")
    executor, lines = FakeExecutor(store, slots, fate), []
    searcher = Searcher(resolved, signature(resolved, store.cache), store, slots, executor.stop, lines.append, rerun)
    plan = make(expanded(resolved), store)
    plan.trials, plan.stages = [], {}
    outcome = Coordinator(plan, store, executor, [searcher], source=searcher).run()
    return searcher, executor, lines, outcome


def states(searcher):
    return [candidate.state for candidate in searcher.engine.candidates]


def test_each_candidate_is_scored_over_its_seeds_from_what_the_store_has(store):
    searcher, executor, lines, outcome = run(store)
    assert states(searcher) == ["complete"] * 6
    for candidate in searcher.engine.candidates:
        worth = 30 - 4 * abs(candidate.values["adapt.rho"] - 0.5) - abs(candidate.values["adapt.lam"] - 0.1)
        assert candidate.means == [pytest.approx(worth + 0.005)]
    # Two seeds of the shared pretraining, and of each candidate's adaptation.
    assert len(executor.trained) == len(set(executor.trained)) == 2 + 12
    assert executor.scored == [], "validation needs no scoring"
    assert lines[0].startswith("complete candidate 0, λ=0.1, ρ=0.5: val_psnr_y 30.005 (best so far)")
    assert outcome.failed == searcher.failed == []
    history = json.loads((store.study("s/quick") / "search.json").read_text())
    # What cleans the store must know what candidates use: no plan names it.
    assert set(history["searches"][history["current"]]["uses"]["stages"]) == set(executor.trained)


def test_with_several_slots_as_many_candidates_go_on(store):
    searcher, executor, _, _ = run(store, {"trials": 8}, slots=4)
    assert executor.most == 4
    assert states(searcher) == ["complete"] * 8
    assert len(executor.trained) == len(set(executor.trained)) == 2 + 16


def test_who_waits_for_a_shared_stage_trains_that_of_a_later_seed(store):
    _, executor, _, _ = run(store, slots=2)
    # Both pretrainings first, side by side.
    assert [unit.stage.name for unit in executor.begun[:2]] == ["pretrain", "pretrain"]
    assert {unit.seed for unit in executor.begun[:2]} == {0, 1}
    assert executor.most == 2


def test_a_second_run_trains_nothing_and_more_trials_go_on(store):
    first, _, _, _ = run(store)
    uses = json.loads((store.study("s/quick") / "search.json").read_text())["searches"][first._name]["uses"]
    again, executor, _, _ = run(store)
    assert executor.trained == []
    assert json.loads((store.study("s/quick") / "search.json").read_text())["searches"][first._name]["uses"] == uses
    assert [candidate.values for candidate in again.engine.candidates] == [
        candidate.values for candidate in first.engine.candidates
    ]
    more, executor, _, _ = run(store, {"trials": 8})
    assert len(more.engine.candidates) == 8
    assert len(executor.trained) == 4


@pytest.mark.real
def test_a_search_that_was_left_takes_up_what_is_in_the_store(store, tmp_path):
    undisturbed, _, _, _ = run(Store(tmp_path / "other"))
    trained = []

    class LeftError(Exception):
        pass

    def leave(unit):
        if len(trained) in (1, 4, 9):
            trained.append(None)
            raise LeftError
        trained.append(unit.key) if not trained or trained[-1] != unit.key else None

    for _ in range(3):
        with pytest.raises(LeftError):
            run(store, fate=leave)
    searcher, _, _, _ = run(store)
    assert [(candidate.values, candidate.means) for candidate in searcher.engine.candidates] == [
        (candidate.values, candidate.means) for candidate in undisturbed.engine.candidates
    ]


@pytest.mark.real
def test_a_hopeless_candidate_is_left_while_it_trains_and_its_unit_can_go_on(store):
    search = {**TWO, "trials": 12, "pruner": Median(startup=3), "objectives": [Maximise("val_psnr_y", kernel="bd")]}
    searcher, executor, lines, outcome = run(store, search)
    pruned = [candidate for candidate in searcher.engine.candidates if candidate.state == "pruned"]
    assert pruned
    assert len(executor.stopped) >= 1
    assert outcome.failed == searcher.failed == []
    left = [Store.status(store, store.stage(key)) for key in executor.stopped]
    assert {(status.state, status.kind) for status in left} == {("interrupted", "pruned")}
    assert len(executor.trained) == len(set(executor.trained)) < 2 + 24
    best = searcher.engine.best()[0]
    assert best.values["adapt.rho"] == pytest.approx(0.5, abs=0.11)
    assert any(line.startswith("pruned candidate") for line in lines)
    # Nothing of it changes when the same is asked again.
    again, executor, _, _ = run(store, search)
    assert states(again) == states(searcher)
    assert executor.trained == []


def test_seeds_are_left_out_where_every_image_is_worse(store):
    searcher, executor, _, _ = run(
        store, {**TWO, "trials": 8, "seeds": 3, "objectives": IMAGES, "pruner": Wilcoxon(p=0.1)}
    )
    counts = {len(candidate.scores) for candidate in searcher.engine.candidates if candidate.state == "pruned"}
    assert counts == {1}
    assert "complete" in states(searcher)
    assert len(executor.scored) == sum(len(candidate.scores) for candidate in searcher.engine.candidates)


def test_what_diverges_is_an_answer_and_what_breaks_is_a_failure(store):
    def fate(unit):
        if isinstance(unit, StageUnit) and unit.stage.name == "adapt" and unit.stage.rho > 0.55:
            return Status("failed", kind="diverged" if unit.stage.rho < 0.75 else "error", message="no")
        return None

    search = {"space": {"adapt.rho": Steps(0.3, 0.9, 0.2)}, "trials": 4}
    fields = {"baseline": {"adapt.rho": 0.5}}
    searcher, _, _, _ = run(store, search, fate=fate, **fields)
    notes = {
        candidate.values["adapt.rho"]: candidate.note
        for candidate in searcher.engine.candidates
        if candidate.state == "failed"
    }
    assert notes == {0.7: "diverged: no", 0.9: "error: no"}
    assert searcher.failed == [f"candidate {n}, ρ=0.9: error: no" for n, candidate in enumerate(searcher.engine.candidates)
                               if candidate.values["adapt.rho"] == 0.9]  # fmt: skip


def test_costs_are_objectives_and_the_report_shows_the_front(store):
    search = {"objectives": [Maximise("val_psnr_y", kernel="bd"), Minimise("seconds")], "trials": 8}
    searcher, _, _, _ = run(store, search, baseline={"adapt.rho": 0.95})
    front = [candidate.values["adapt.rho"] for candidate in searcher.engine.best()]
    assert front == sorted(front, reverse=True), "better PSNR takes longer here"
    assert all(rho <= 0.5 for rho in front)
    history = json.loads((store.study("s/quick") / "search.json").read_text())
    assert history["searches"][history["current"]]["baseline"]["state"] == "complete"


@pytest.mark.real
def test_a_report_can_be_written_while_the_search_runs(store):
    resolved = resolve_search(study(), "s", "?")
    record(make(expanded(resolved), store), store)
    Searcher(resolved, signature(resolved, store.cache), store, 1, str, str)
    report = write(store, "s")
    assert report.headline.startswith("No scores yet")
    assert "goes on: 0 of 6 candidates" in report.headline
    run(store)
    report = write(store, "s")
    assert "best λ=0.1, ρ=0.5 with 30.005 dB" in report.headline
    assert "figure_search.png" in {file.name for file in report.files}


def test_what_failed_is_told_again_and_tried_again_when_asked(store):
    broken = [True]

    def fate(unit):
        if broken[0] and isinstance(unit, StageUnit) and unit.stage.rho == 0.9:
            return Status("failed", kind="error", message="no")
        return None

    search, fields = {"space": {"adapt.rho": Steps(0.3, 0.9, 0.2)}, "trials": 4}, {"baseline": {"adapt.rho": 0.5}}
    first, _, _, _ = run(store, search, fate=fate, **fields)
    broken[0] = False
    again, executor, _, _ = run(store, search, **fields)
    assert again.failed == first.failed != []
    assert executor.trained == []
    mended, executor, _, _ = run(store, search, rerun="failed", **fields)
    assert states(mended) == ["complete"] * 4
    assert len(executor.trained) == 2
    assert mended.failed == []
    last, executor, _, _ = run(store, search, **fields)
    assert states(last) == ["complete"] * 4
    assert executor.trained == []
