"""A search over a plain function: the engine without training, one candidate after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from drnbench.config.search import Search
from drnbench.search.candidate import Candidate
from drnbench.search.engine import Engine

Report = Callable[[int, float], None]
Score = float | Sequence[float] | tuple[Sequence[float], Sequence[float]]
Function = Callable[[dict[str, Any], int, Report], Score]


class HopelessError(Exception):
    """Raised into a function by its report: the candidate is given up."""


def drive(
    search: Search,
    score: Function,
    journal: Path | None = None,
    *,
    name: str = "search",
    baseline: Mapping[str, Any] | None = None,
    steps: int = 1,
) -> Engine:
    """Search until every candidate is scored.

    Args:
        search: space, objectives, sampler, seeds, pruner.
        score: (values, seed, report) -> the objective, or the objectives, or (objectives, per-image values). It may call
            report(step, value) while it goes on, which ends it by an exception where the candidate is hopeless.
        journal: the file that a killed search goes on from; None: none.
        name: of the search in the journal.
        baseline: a point that is scored first.
        steps: number of steps that a seed reports, for the warm-up of a pruner.

    Returns:
        The engine, with its `candidates` and `best`.

    """
    engine = Engine(search, name, journal, baseline, steps * search.seeds)
    while (candidate := engine.ask()) is not None:
        ended = False
        while not ended:
            ended = _score_seed(engine, candidate, score, steps)
    return engine


def _score_seed(engine: Engine, candidate: Candidate, score: Function, steps: int) -> bool:
    """Score the next seed of a candidate; return True if it has ended."""
    seed = len(candidate.scores)

    def report(step: int, value: float) -> None:
        if engine.report(candidate, seed * steps + step, value):
            raise HopelessError

    try:
        result = score(dict(candidate.values), seed, report)
    except HopelessError:
        engine.prune(candidate)
        return True
    return engine.scored(candidate, *_split(result))


def _split(result: Score) -> tuple[Sequence[float], Sequence[float]]:
    """Return the objectives and the per-image values of a result."""
    if isinstance(result, (int, float)):
        return [float(result)], ()
    if isinstance(result, tuple) and len(result) == 2 and not isinstance(result[0], (int, float)):
        return result
    return list(result), ()
