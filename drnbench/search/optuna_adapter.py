"""What a search declares, in Optuna's terms; all by name, as the defaults of two versions differ."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterator
from typing import Any, Literal

import optuna

from drnbench.config.search import Choice, Float, Int, Median, Objective, Search
from drnbench.data.sampling import derived_seed


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
    """Return what watches training; `steps`: of a candidate."""
    median = search.find(Median)
    if median is None:
        return optuna.pruners.NopPruner()
    return optuna.pruners.MedianPruner(
        n_startup_trials=median.startup,
        n_warmup_steps=math.ceil(median.warmup * steps),
        interval_steps=1,
        n_min_trials=1,
    )


def direction(one: Objective) -> Literal["maximize", "minimize"]:
    """Return which way is better."""
    return "maximize" if one.direction == "maximise" else "minimize"


def distribution(one: Any) -> Any:
    """Return the values of one path."""
    if isinstance(one, Choice):
        return optuna.distributions.CategoricalDistribution(one.values)
    if isinstance(one, Int):
        return optuna.distributions.IntDistribution(one.low, one.high, log=one.log)
    if isinstance(one, Float):
        return optuna.distributions.FloatDistribution(one.low, one.high, log=one.log)
    return optuna.distributions.FloatDistribution(one.low, one.high, step=one.step)


def contains(one: Any, value: Any) -> bool:
    """Whether a value is one that a path may take."""
    if isinstance(one, Choice):
        return value in one.values
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not one.low <= value <= one.high:
        return False
    return bool(distribution(one)._contains(value) and one.snapped(value) == value)  # noqa: SLF001


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Optuna warns that what is named here explicitly may change in a later version."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
