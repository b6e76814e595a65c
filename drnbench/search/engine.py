"""Optuna's ask and tell over a journal, for any objective: the next candidate, scores, hopeless candidates.

Draws are a function of (the search's seed, the candidate's number) and of the scores so far, so a search that is killed
and resumed goes the way of one that was not. A candidate that was tried before is answered from its scores.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from drnbench.config.search import Median, Search, Wilcoxon
from drnbench.search.candidate import Candidate, State, best, identity
from drnbench.search.optuna_adapter import direction, distribution, pruner, quiet, sampler, storage, suggest

STUCK = 10
"""After so many repeated candidates in a row the next is drawn at random."""
LAST = 10**9
"""The step at which the value of a pruned candidate stands, after every step of training."""
ENDED = {TrialState.COMPLETE: State.COMPLETE, TrialState.PRUNED: State.PRUNED, TrialState.FAIL: State.FAILED}
"""The state of a candidate whose trial has ended in the journal."""


class Engine:
    """A search that can be left at any moment and taken up again.

    Args:
        search: the declaration.
        name: of this search in the journal; another declaration wants another name.
        journal: the file; None: in memory.
        baseline: a point that is scored first: inside the space as its first candidate, outside of it where several
            objectives make a picture that wants it.
        steps: steps of a candidate, which a pruner's warm-up is a share of.
        retry: try candidates again that failed.
    """

    def __init__(
        self, search: Search, name: str, journal: Path | None = None, baseline: Mapping[str, Any] | None = None,
        steps: int = 1, retry: bool = False,
    ) -> None:  # fmt: skip
        self.search = search
        self._space = {path: distribution(values) for path, values in search.space.items()}
        self._storage = storage(journal)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with quiet():
            self._study = optuna.create_study(
                study_name=name, storage=self._storage, load_if_exists=True, sampler=sampler(self.search, 0),
                pruner=pruner(search, steps), directions=[direction(objective) for objective in search.objectives],
            )  # fmt: skip
        self.candidates: list[Candidate] = []
        self._trials: dict[int, optuna.Trial] = {}
        self._reported: dict[int, set[int]] = {}
        taken_up = [self._take_up(trial) for trial in self._study.trials if trial.state != TrialState.WAITING]
        self._resume = [candidate for candidate in taken_up if candidate and candidate.state is State.RUNNING]
        if retry:
            self._retry()
        self.baseline = self._first(baseline)

    # --- asking

    def ask(self) -> Candidate | None:
        """Return the next candidate to score; None where there is none now (see `finished`)."""
        if self._resume:
            return self._resume.pop(0)
        while not self._full:
            candidate = self._draw()
            if candidate is None:
                return None
            if candidate.state is State.RUNNING and not candidate.again:
                self.candidates.append(candidate)
                return candidate
        return None

    @property
    def finished(self) -> bool:
        """True when every candidate is scored, and the baseline too."""
        states = [candidate.state for candidate in (*self.candidates, self.baseline) if candidate is not None]
        return self._full and not self._resume and State.RUNNING not in states

    @property
    def _full(self) -> bool:
        return len(self.candidates) >= self.search.candidates

    def _draw(self) -> Candidate | None:
        """Draw once: a new candidate, or one drawn before; None while the sampler only names running ones."""
        trials = self._study.get_trials(deepcopy=False)
        repeats = next((n for n, t in enumerate(reversed(trials)) if "same" not in t.user_attrs), len(trials))
        if repeats >= 2 * STUCK and any(candidate.state is State.RUNNING for candidate in self.candidates):
            return None
        self._study.sampler = sampler(self.search, len(trials), at_random=repeats >= STUCK)
        with quiet():
            trial = self._study.ask(self._space)
        values = self._values(trial.params)
        drawn_before = self._find(values)
        if drawn_before is None:
            self._trials[trial.number] = trial
            return Candidate(trial.number, values)
        trial.set_user_attr("same", drawn_before.number)
        drawn_before.again.append(trial.number)
        self._settle(drawn_before, trial.number)
        return drawn_before

    def _values(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {path: values.snapped(params[path]) for path, values in self.search.space.items()}

    def _find(self, values: Mapping[str, Any]) -> Candidate | None:
        wanted = identity(values)
        return next((candidate for candidate in self.candidates if identity(candidate.values) == wanted), None)

    # --- scoring

    def report(self, candidate: Candidate, step: int, value: float) -> bool:
        """Record a validation of a candidate in training, where higher is better; return True if it is hopeless.

        `step` counts the steps of the candidate so far, over its stages and seeds.
        """
        trial = self._trials.get(candidate.number)
        if trial is None or candidate.state is not State.RUNNING or not self.search.find(Median):
            return False
        reported = self._reported.setdefault(candidate.number, set())
        if step not in reported:
            reported.add(step)
            # Validation PSNR is better when it is higher; an objective may be better when it is lower.
            trial.report(value if self.search.objectives[0].direction == "maximise" else -value, step)
        return trial.should_prune()

    def scored(self, candidate: Candidate, scores: Sequence[float], images: Sequence[float] = ()) -> bool:
        """Record the scores of the next seed of a candidate, one for each objective; return True if it has ended.

        `images`: per-image values of the first objective, in an order that all candidates share.
        """
        if not all(math.isfinite(score) for score in scores):
            self.fail(candidate, f"a score is not finite: {', '.join(f'{score:g}' for score in scores)}")
            return True
        candidate.scores.append([float(score) for score in scores])
        if self.search.find(Wilcoxon):
            candidate.images.append([float(value) for value in images])
        self._remember(candidate)
        if len(candidate.scores) >= self.search.seeds:
            candidate.state = State.COMPLETE
        elif candidate is not self.baseline and self._hopeless(candidate):
            candidate.state = State.PRUNED
        else:
            return False
        self._settle(candidate)
        return True

    def prune(self, candidate: Candidate) -> None:
        """Give a candidate up that `report` called hopeless."""
        candidate.state = State.PRUNED
        self._settle(candidate)

    def fail(self, candidate: Candidate, note: str) -> None:
        """Record that a candidate has no score, and why."""
        candidate.state, candidate.note = State.FAILED, note
        self._remember(candidate)
        self._settle(candidate)

    def best(self) -> list[Candidate]:
        """Return the best complete candidate; with several objectives the front, the best in the first one first."""
        signs = [1 if objective.direction == "maximise" else -1 for objective in self.search.objectives]
        return best(self.candidates, signs)

    def _hopeless(self, candidate: Candidate) -> bool:
        """Ask Optuna's Wilcoxon pruner, in a study of its own: the journal's steps are those of training."""
        wilcoxon, leaders = self.search.find(Wilcoxon), self.best()
        if wilcoxon is None or not leaders or not leaders[0].images:
            return False
        with quiet():
            shadow = optuna.create_study(direction=direction(self.search.objectives[0]))
            shadow.add_trial(_instances(leaders[0], TrialState.COMPLETE))
            judge = optuna.pruners.WilcoxonPruner(p_threshold=wilcoxon.p)
            return bool(judge.prune(shadow, _instances(candidate, TrialState.RUNNING)))

    # --- the journal

    def _take_up(self, trial: FrozenTrial) -> Candidate | None:
        """Take up a trial of the journal; None for one that stands for another."""
        live = self._live(trial.number) if trial.state == TrialState.RUNNING else None
        values = self._values(live.params if live is not None else trial.params)
        same = self._find(values)
        if same is not None and same.state is State.FAILED and "same" not in trial.user_attrs:
            self.candidates.remove(same)  # it was tried again
        elif same is not None:
            same.again.append(trial.number)
            if live is not None:
                self._settle(same, trial.number)
            return None
        attributes, state = trial.user_attrs, ENDED.get(trial.state, State.RUNNING)
        scores, images = list(attributes.get("scores", [])), list(attributes.get("images", []))
        candidate = Candidate(trial.number, values, scores, images, state, attributes.get("note"))
        if live is not None:
            self._trials[candidate.number] = live
            self._reported[candidate.number] = set(trial.intermediate_values)
            if len(candidate.scores) >= self.search.seeds:  # killed before it was recorded as complete
                candidate.state = State.COMPLETE
                self._settle(candidate)
        self.candidates.append(candidate)
        return candidate

    def _live(self, number: int) -> optuna.Trial:
        """Return a running trial of the journal as one that can be reported to, with all its parameters.

        It may have been killed between two of them. Draws are a function of the number, so the others come out as they
        would have.
        """
        self._study.sampler = sampler(self.search, number)
        study = self._storage.get_study_id_from_name(self._study.study_name)
        with quiet():
            trial = optuna.Trial(self._study, self._storage.get_trial_id_from_study_id_trial_number(study, number))
            for path, values in self.search.space.items():
                suggest(trial, path, values)
        return trial

    def _first(self, values: Mapping[str, Any] | None) -> Candidate | None:
        """Put the baseline first: as a candidate where the space has it, else beside them."""
        if values is None:
            return None
        space = self.search.space
        if values.keys() == space.keys() and all(space[path].contains(value) for path, value in values.items()):
            inside = {path: space[path].snapped(values[path]) for path in space}
            if (candidate := self._find(inside)) is not None:
                return candidate
            if not self._study.get_trials(deepcopy=False):
                self._study.enqueue_trial(inside)
            if self._study.get_trials(deepcopy=False)[0].state == TrialState.WAITING:
                candidate = self._draw()
                assert candidate is not None
                self.candidates.append(candidate)
                self._resume.insert(0, candidate)
                return candidate
        if len(self.search.objectives) < 2:
            return None  # nothing is drawn to compare with it: the report does that, with fresh seeds
        kept = self._study.user_attrs.get("baseline", {})
        state = State(kept.get("state", State.RUNNING))
        candidate = Candidate(-1, dict(values), kept.get("scores", []), kept.get("images", []), state, kept.get("note"))
        if state is State.RUNNING:
            self._resume.insert(0, candidate)
        return candidate

    def _retry(self) -> None:
        trials = self._study.get_trials(deepcopy=False)
        for candidate in [candidate for candidate in self.candidates if candidate.state is State.FAILED]:
            self.candidates.remove(candidate)
            self._study.enqueue_trial(trials[candidate.number].params)

    def _remember(self, candidate: Candidate) -> None:
        kept = {"scores": candidate.scores, "images": candidate.images, "note": candidate.note}
        if candidate.number < 0:
            self._study.set_user_attr("baseline", {**kept, "state": candidate.state})
            return
        for name, value in kept.items():
            if value:
                self._trials[candidate.number].set_user_attr(name, value)

    def _settle(self, candidate: Candidate, *numbers: int) -> None:
        """Tell Optuna how a candidate ended, and every later draw of the same point."""
        if candidate.state is State.RUNNING:
            return
        if candidate.number < 0:
            self._remember(candidate)
            return
        for number in numbers or (candidate.number, *candidate.again):
            if candidate.state is State.COMPLETE:
                self._study.tell(number, candidate.means, skip_if_finished=True)
                continue
            if candidate.state is State.PRUNED and candidate.means and number == candidate.number:
                self._trials[number].report(candidate.means[0], LAST)
            state = TrialState.PRUNED if candidate.state is State.PRUNED else TrialState.FAIL
            self._study.tell(number, state=state, skip_if_finished=True)


def _instances(candidate: Candidate, state: TrialState) -> FrozenTrial:
    """Return a candidate as the pruner sees it: a step for each (seed, image)."""
    steps = {
        seed * 10**6 + image: value for seed, row in enumerate(candidate.images) for image, value in enumerate(row)
    }
    value = sum(steps.values()) / len(steps) if state == TrialState.COMPLETE and steps else None
    return optuna.trial.create_trial(state=state, value=value, intermediate_values=steps)
