"""Evaluations of several kernels: keys of the single ones, and their mean as a condition of its own."""

import numpy as np
import pytest

from drnbench.config.kernel_sets import kernels_of
from drnbench.config.study import Axis, Primary, Study
from drnbench.config.trial import Evaluate
from drnbench.degradations import parse
from drnbench.errors import UsageError
from drnbench.planning.power import outlook
from drnbench.results.reading import read
from drnbench.results.summary import summarise
from tests import fake_store

KERNELS = ["bicubic", "bd", "gaussian:sigma=2.0"]


def study(*evaluations, **fields):
    axes = [Axis("adapt.rho", [0, 0.3], label="ρ")]
    return Study(base=fake_store.base(evaluate=evaluations), axes=axes, baseline={"adapt.rho": 0}, **fields)


def keys(*evaluations):
    return [[e.key for e in trial.unit.wanted] for trial in fake_store.plan_of(study(*evaluations)).trials]


def test_each_kernel_has_the_key_that_it_has_alone():
    alone = [Evaluate("photos/test", kernel=kernel) for kernel in KERNELS]
    assert keys(Evaluate("photos/test", kernel=KERNELS)) == keys(*alone)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_gaussian8_has_eight_kernels_equally_spaced_in_the_range_of_its_scale(scale):
    kernels = [parse(spec) for spec in kernels_of("gaussian8", scale)]
    sigmas = [kernel.sigma for kernel in kernels]
    first, last = {2: (0.8, 1.6), 3: (1.35, 2.4), 4: (1.8, 3.2)}[scale]
    assert sigmas == pytest.approx(np.linspace(first, last, 8), abs=1e-5)
    assert {(kernel.size, kernel.then) for kernel in kernels} == {(21, "bicubic")}


def test_gaussian8_at_another_scale_is_refused_with_its_path():
    with pytest.raises(UsageError, match=r"evaluate.0.kernel: the set 'gaussian8' .* scales 2, 3 and 4, not 8"):
        fake_store.plan_of(Study(base=fake_store.base(scale=8, evaluate=[Evaluate("photos/test", kernel="gaussian8")])))


@pytest.mark.parametrize("kernel", [KERNELS, "gaussian8"])
def test_the_mean_over_kernels_is_a_condition_of_its_own(kernel, store):
    plan = fake_store.plan_of(study(Evaluate("photos/test", kernel=kernel)))
    fake_store.fill(store, plan, lambda arm, kernel: 0.5 * (arm.name == "ρ=0.3"))
    scores = read(store, plan.study.name)
    (mean,) = scores.means
    members = scores.means[mean]
    assert scores.conditions == (*members, mean)
    assert scores.primary[0] == mean
    for arm in scores.arms:
        tables = [scores.tables[arm.name, member, "psnr_y"] for member in members]
        assert np.allclose(scores.tables[arm.name, mean, "psnr_y"], sum(tables) / len(members))
    result = summarise(scores)["ρ=0.3", mean, "psnr_y"]
    assert result.difference.mean == pytest.approx(
        np.mean([summarise(scores)["ρ=0.3", member, "psnr_y"].difference.mean for member in members])
    )
    assert result.missing == 0
    # A plan speaks of the same comparison, read without pandas.
    assert outlook(plan, store).condition == mean


def test_a_declared_comparison_may_be_of_the_mean():
    plan = fake_store.plan_of(study(Evaluate("photos/test", kernel="gaussian8"), primary={"adapt.rho": 0.3}))
    assert plan.primary.kernel == "mean of gaussian8"
    named = study(Evaluate("photos/test", kernel="gaussian8"), primary=Primary({"adapt.rho": 0.3}, kernel="gaussian8"))
    assert fake_store.plan_of(named).primary.kernel == "mean of gaussian8"
