"""A declared search in Optuna's terms, and its journal; every setting by name, as the defaults of two versions differ."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.storages import InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from drnbench.config.search import Choice, Float, Int, Median, Objective, Search
from drnbench.data.sampling import derived_seed
from drnbench.search.journal import repair
from drnbench.store.integrity import CRC, signed


def sampler(search: Search, number: int, *, at_random: bool = False) -> Any:
    """Return the sampler that draws the candidate of a number: a function of the search's seed and that number."""
    seed, startup = derived_seed(search.seed, f"search {number}") % 2**32, search.startup
    with quiet():
        if at_random or search.sampler == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        if search.sampler == "nsga2":
            return optuna.samplers.NSGAIISampler(population_size=max(2, startup), seed=seed)
        return optuna.samplers.TPESampler(
            n_startup_trials=startup, n_ei_candidates=24, multivariate=True, group=False, constant_liar=True, seed=seed
        )  # fmt: skip


def pruner(search: Search, steps: int) -> Any:
    """Return the pruner of training; `steps`: of a candidate."""
    median = search.find(Median)
    if median is None:
        return optuna.pruners.NopPruner()
    return optuna.pruners.MedianPruner(
        n_startup_trials=median.startup,
        n_warmup_steps=math.ceil(median.warmup * steps),
        interval_steps=1,
        n_min_trials=1,
    )


def direction(objective: Objective) -> Literal["maximize", "minimize"]:
    """Return the better direction."""
    return "maximize" if objective.direction == "maximise" else "minimize"


def distribution(values: Any) -> Any:
    """Return the values of one path as a distribution."""
    if isinstance(values, Choice):
        return optuna.distributions.CategoricalDistribution(values.values)
    if isinstance(values, Int):
        return optuna.distributions.IntDistribution(values.low, values.high, log=values.log)
    if isinstance(values, Float):
        return optuna.distributions.FloatDistribution(values.low, values.high, log=values.log)
    return optuna.distributions.FloatDistribution(values.low, values.high, step=values.step)


def suggest(trial: optuna.Trial, path: str, values: Any) -> Any:
    """Return the value that a running trial has on a path, drawn now where it has none yet."""
    if isinstance(values, Choice):
        return trial.suggest_categorical(path, values.values)
    if isinstance(values, Int):
        return trial.suggest_int(path, values.low, values.high, log=values.log)
    if isinstance(values, Float):
        return trial.suggest_float(path, values.low, values.high, log=values.log)
    return trial.suggest_float(path, values.low, values.high, step=values.step)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence Optuna's warnings that settings which are given by name may change in a later version."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def storage(path: Path | None) -> Any:
    """Return Optuna's storage over a journal, one append-only file; in memory for None.

    It is locked by a file beside it, so that it also works on a network file system, and repaired where a process was
    killed while it wrote.
    """
    if path is None:
        return InMemoryStorage()
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = JournalFileOpenLock(str(path))
    lock.acquire()
    try:
        repair(path)
    finally:
        lock.release()
    return JournalStorage(_Journal(str(path), lock_obj=JournalFileOpenLock(str(path))))


class _Journal(JournalFileBackend):
    """Optuna's journal with a CRC-32 in each line."""

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append lines, and wait until they are on the disk."""
        super().append_logs([signed(log) for log in logs])

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Yield the lines from a number on, as they were appended."""
        for log in super().read_logs(log_number_from):
            yield {name: value for name, value in log.items() if name != CRC}
