"""Optuna's ask and tell over a journal, for any objective: which candidate next, what it scored, which is hopeless.

Draws are a function of (the search's seed, the candidate's number) and of the scores so far, so a search that is killed
and resumed goes the way of one that was not. A candidate that was tried before is answered from what it scored.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from drnbench.config.search import Median, Search, Wilcoxon
from drnbench.search.journal import storage
from drnbench.search.optuna_adapter import contains, direction, distribution, pruner, quiet, sampler

STUCK = 10
"""After so many known candidates in a row the next is drawn at random."""
LAST = 10**9
"""The step at which the value of a pruned candidate stands, after every step of training."""


@dataclass
class Candidate:
    """One point of the space.

    Attributes:
        number: in the journal; -1 is the baseline, where it lies outside of the space.
        values: path -> value, as a trial is given it.
        scores: seeds x objectives, as far as they are known.
        images: seeds x images, where per-image scores count.
        state: running, complete, pruned, failed.
        note: why it failed.
        again: numbers of later draws of the same point.

    """

    number: int
    values: dict[str, Any]
    scores: list[list[float]] = field(default_factory=list)
    images: list[list[float]] = field(default_factory=list)
    state: str = "running"
    note: str | None = None
    again: list[int] = field(default_factory=list)

    @property
    def means(self) -> list[float] | None:
        """The mean of each objective over the seeds so far; None before the first."""
        return [sum(column) / len(column) for column in zip(*self.scores, strict=True)] if self.scores else None


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
        self._space = {path: distribution(one) for path, one in search.space.items()}
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with quiet():
            self._study = optuna.create_study(
                study_name=name, storage=storage(journal), load_if_exists=True, sampler=sampler(self.search, 0),
                pruner=pruner(search, steps), directions=[direction(one) for one in search.objectives],
            )  # fmt: skip
        self.candidates: list[Candidate] = []
        self._trials: dict[int, optuna.Trial] = {}
        self._reported: dict[int, set[int]] = {}
        self._resume = [self._known(trial) for trial in self._study.trials if trial.state != TrialState.WAITING]
        self._resume = [one for one in self._resume if one is not None and one.state == "running"]
        if retry:
            self._retry()
        self.baseline = self._first(baseline)

    # --- asking

    def ask(self) -> Candidate | None:
        """Return the next candidate to score; None where there is none now (see `finished`)."""
        if self._resume:
            return self._resume.pop(0)
        while len(self.candidates) < self.search.trials and not self._exhausted:
            found = self._draw()
            if found is None:
                return None
            if found.state == "running" and not found.again:
                self.candidates.append(found)
                return found
        return None

    @property
    def finished(self) -> bool:
        """Whether every candidate is scored, and the baseline too."""
        full = len(self.candidates) >= self.search.trials or self._exhausted
        states = [one.state for one in (*self.candidates, self.baseline) if one is not None]
        return full and not self._resume and "running" not in states

    @property
    def _exhausted(self) -> bool:
        return self.search.size is not None and len(self.candidates) >= self.search.size

    def _draw(self) -> Candidate | None:
        """Draw once: a new candidate, or one that is known; None while the sampler only names running ones."""
        trials = self._study.get_trials(deepcopy=False)
        repeats = next((n for n, t in enumerate(reversed(trials)) if "same" not in t.user_attrs), len(trials))
        running = [one for one in self.candidates if one.state == "running"]
        if running and repeats >= 2 * STUCK:
            return None
        self._study.sampler = sampler(self.search, len(trials), at_random=repeats >= STUCK)
        with quiet():
            trial = self._study.ask(self._space)
        values = self._values(trial.params)
        known = self._find(values)
        if known is None:
            self._trials[trial.number] = trial
            return Candidate(trial.number, values)
        trial.set_user_attr("same", known.number)
        known.again.append(trial.number)
        self._settle(known, trial.number)
        return known

    def _values(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {path: one.snapped(params[path]) for path, one in self.search.space.items()}

    def _find(self, values: Mapping[str, Any]) -> Candidate | None:
        wanted = identity(values)
        return next((one for one in self.candidates if identity(one.values) == wanted), None)

    # --- scoring

    def report(self, one: Candidate, step: int, value: float) -> bool:
        """Note the validation PSNR of a candidate in training; return whether it is hopeless.

        Args:
            step: steps of the candidate so far, over its stages and seeds.
            value: higher is better.

        """
        trial = self._trials.get(one.number)
        if trial is None or one.state != "running" or not self.search.find(Median):
            return False
        seen = self._reported.setdefault(one.number, set())
        if step not in seen:
            seen.add(step)
            # Validation PSNR is better when it is higher; an objective may be better when it is lower.
            trial.report(value if self.search.objectives[0].direction == "maximise" else -value, step)
        return trial.should_prune()

    def scored(self, one: Candidate, scores: Sequence[float], images: Sequence[float] = ()) -> bool:
        """Note what the next seed of a candidate scored; return whether it is settled.

        Args:
            scores: a value for each objective.
            images: per-image values of the first objective, in an order that all candidates share.

        """
        if not all(math.isfinite(score) for score in scores):
            self.fail(one, f"a score is not finite: {', '.join(f'{score:g}' for score in scores)}")
            return True
        one.scores.append([float(score) for score in scores])
        if self.search.find(Wilcoxon):
            one.images.append([float(value) for value in images])
        self._remember(one)
        if len(one.scores) >= self.search.seeds:
            one.state = "complete"
        elif one is not self.baseline and self._hopeless(one):
            one.state = "pruned"
        else:
            return False
        self._settle(one)
        return True

    def prune(self, one: Candidate) -> None:
        """Give a candidate up that `report` called hopeless."""
        one.state = "pruned"
        self._settle(one)

    def fail(self, one: Candidate, note: str) -> None:
        """Note that a candidate has no score."""
        one.state, one.note = "failed", note
        self._remember(one)
        self._settle(one)

    def best(self) -> list[Candidate]:
        """Return the best complete candidate; with several objectives the front, the best in the first one first."""
        done = [one for one in self.candidates if one.state == "complete"]
        signs = [1 if objective.direction == "maximise" else -1 for objective in self.search.objectives]
        worth = {one.number: [s * v for s, v in zip(signs, one.means or [], strict=True)] for one in done}
        if len(signs) == 1:
            return sorted(done, key=lambda one: (-worth[one.number][0], one.number))[:1]
        front = [one for one in done if not any(_dominates(worth[two.number], worth[one.number]) for two in done)]
        return sorted(front, key=lambda one: ([-v for v in worth[one.number]], one.number))

    def _hopeless(self, one: Candidate) -> bool:
        """Ask Optuna's Wilcoxon pruner, in a study of its own: the journal's steps are those of training."""
        wilcoxon, best = self.search.find(Wilcoxon), self.best()
        if wilcoxon is None or not best or not best[0].images:
            return False
        with quiet():
            shadow = optuna.create_study(direction=direction(self.search.objectives[0]))
            shadow.add_trial(_instances(best[0], TrialState.COMPLETE))
            return bool(
                optuna.pruners.WilcoxonPruner(p_threshold=wilcoxon.p).prune(shadow, _instances(one, TrialState.RUNNING))
            )

    # --- the journal

    def _known(self, trial: FrozenTrial) -> Candidate | None:
        """Take up a trial of the journal; None for one that stands for another."""
        live = None
        if trial.state == TrialState.RUNNING:
            # Killed between two parameters? The draws are a function of the number, so the rest comes out as it would have.
            self._study.sampler = sampler(self.search, trial.number)
            with quiet():
                live = optuna.Trial(self._study, trial._trial_id)  # noqa: SLF001 - Optuna has no other way back to one
                params = {path: live._suggest(path, one) for path, one in self._space.items()}  # noqa: SLF001
        else:
            params = trial.params
        values = self._values(params)
        same = self._find(values)
        if same is not None and same.state == "failed" and "same" not in trial.user_attrs:
            self.candidates.remove(same)  # it was tried again
        elif same is not None:
            same.again.append(trial.number)
            if live is not None:
                self._settle(same, trial.number)
            return None
        attributes = trial.user_attrs
        names = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
        one = Candidate(
            trial.number, values, list(attributes.get("scores", [])), list(attributes.get("images", [])),
            names.get(trial.state, "running"), attributes.get("note"),
        )  # fmt: skip
        if live is not None:
            self._trials[one.number] = live
            self._reported[one.number] = set(trial.intermediate_values)
            if len(one.scores) >= self.search.seeds:  # killed between the last score and the word that it is complete
                one.state = "complete"
                self._settle(one)
        self.candidates.append(one)
        return one

    def _first(self, values: Mapping[str, Any] | None) -> Candidate | None:
        """Put the baseline first: as a candidate where the space has it, else beside them."""
        if values is None:
            return None
        inside = {path: values[path] for path in self.search.space if path in values}
        if len(inside) == len(values) == len(self._space) and all(
            contains(self.search.space[path], value) for path, value in inside.items()
        ):
            inside = {path: self.search.space[path].snapped(value) for path, value in inside.items()}
            if (known := self._find(inside)) is not None:
                return known
            if not self._study.get_trials(deepcopy=False):
                self._study.enqueue_trial(inside)
            if self._study.get_trials(deepcopy=False)[0].state == TrialState.WAITING:
                found = self._draw()
                assert found is not None
                self.candidates.append(found)
                self._resume.insert(0, found)
                return found
        if len(self.search.objectives) < 2:
            return None  # nothing is drawn to compare with it: the report does that, with fresh seeds
        kept = self._study.user_attrs.get("baseline", {})
        one = Candidate(
            -1,
            dict(values),
            kept.get("scores", []),
            kept.get("images", []),
            kept.get("state", "running"),
            kept.get("note"),
        )
        if one.state == "running":
            self._resume.insert(0, one)
        return one

    def _retry(self) -> None:
        trials = self._study.get_trials(deepcopy=False)
        for one in [one for one in self.candidates if one.state == "failed"]:
            self.candidates.remove(one)
            self._study.enqueue_trial(trials[one.number].params)

    def _remember(self, one: Candidate) -> None:
        kept = {"scores": one.scores, "images": one.images, "note": one.note}
        if one.number < 0:
            self._study.set_user_attr("baseline", {**kept, "state": one.state})
            return
        for name, value in kept.items():
            if value:
                self._trials[one.number].set_user_attr(name, value)

    def _settle(self, one: Candidate, *numbers: int) -> None:
        """Tell Optuna how a candidate ended, and every later draw of the same point."""
        if one.state == "running":
            return
        if one.number < 0:
            self._remember(one)
            return
        for number in numbers or (one.number, *one.again):
            if one.state == "complete":
                self._study.tell(number, one.means, skip_if_finished=True)
                continue
            if one.state == "pruned" and one.means and number == one.number:
                self._trials[number].report(one.means[0], LAST)
            state = TrialState.PRUNED if one.state == "pruned" else TrialState.FAIL
            self._study.tell(number, state=state, skip_if_finished=True)


def identity(values: Mapping[str, Any]) -> str:
    """Return what two equal points share."""
    return json.dumps(dict(values), sort_keys=True)


def _instances(one: Candidate, state: TrialState) -> FrozenTrial:
    """A candidate as the pruner sees it: a step for each (seed, image)."""
    found = {(seed, n): value for seed, row in enumerate(one.images) for n, value in enumerate(row)}
    steps = {seed * 10**6 + n: value for (seed, n), value in found.items()}
    value = sum(steps.values()) / len(steps) if state == TrialState.COMPLETE and steps else None
    return optuna.trial.create_trial(state=state, value=value, intermediate_values=steps)


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(a >= b for a, b in zip(one, other, strict=True)) and list(one) != list(other)
