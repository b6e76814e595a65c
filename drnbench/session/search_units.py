"""The units of a search: those of one seed of a candidate, and an estimate of those that are left."""

from __future__ import annotations

from typing import Any

from drnbench.config.units import Unit
from drnbench.errors import UsageError
from drnbench.planning.keys import Keys
from drnbench.search.measure import Run
from drnbench.search.resolve import ResolvedSearch


def make_run(search: ResolvedSearch, keys: Keys, values: dict[str, Any], seed: int) -> Run:
    """Return one seed of a candidate as units.

    Raises:
        UsageError: the values make no trial.

    """
    trial = search.trial(values, seed)
    where = f"{search.name}, candidate {search.label(values)}"
    stages = keys.stages(trial, where)
    return Run(trial, tuple(stages), keys.evaluation(trial, stages, where) if search.evaluations else None)


def expected(search: ResolvedSearch, keys: Keys, candidates: int) -> tuple[list[Unit], frozenset[str]]:
    """Return about the units that so many candidates take, and the keys of those that all candidates share.

    A stage is shared where the ends of the space give the same one.
    """
    low, high = ({path: values.ends[end] for path, values in search.search.space.items()} for end in (0, 1))
    seeds = range(search.search.seeds)
    try:
        first = [unit for seed in seeds for unit in make_run(search, keys, low, seed).units]
        last = [unit for seed in seeds for unit in make_run(search, keys, high, seed).units]
    except UsageError:  # such a candidate will fail by itself
        units = [unit for seed in seeds for unit in make_run(search, keys, {}, seed).units]
        return list(units) * candidates, frozenset()
    shared = frozenset(unit.key for unit in first) & {unit.key for unit in last}
    own = [unit for unit in first if unit.key not in shared]
    return [unit for unit in first if unit.key in shared] + own * candidates, shared
