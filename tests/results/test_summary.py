"""Judgements on stores that are filled by hand: families, the primary comparison, few seeds, one image, equivalence."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

from drnbench import Primary, Table
from drnbench.config.study import Axis, Study
from drnbench.config.trial import Evaluate
from drnbench.planning import PlannedTrial
from drnbench.results import reading
from drnbench.results.scores import Condition
from drnbench.results.statistics import holm
from drnbench.results.summary import COLUMNS, Result, Results, row, summarise
from drnbench.store import Store
from tests.fake_store import base, fill, plan_of

BD, BICUBIC = (Condition("photos-test", kernel, 4) for kernel in ("bd", "bicubic"))


def study(**fields: Any) -> Study:
    """Five values of ρ against ρ = 0, on two kernels in PSNR and SSIM."""
    evaluate = [Evaluate("photos/test", kernel=kernel, metrics=("psnr_y", "ssim_y")) for kernel in ("bd", "bicubic")]
    wanted: dict[str, Any] = {
        "base": base(evaluate=evaluate),
        "axes": [Axis("adapt.rho", [0.0, 0.1, 0.3, 0.5, 0.7, 1.0], label="ρ")],
        "seeds": 3,
        "baseline": {"adapt.rho": 0.0},
    }
    return Study(**{**wanted, **fields})


def judged(store: Store, declared: Study, **options: Any) -> Results:
    fill(store, plan_of(declared), **options)
    return summarise(reading.read(store, "unpaired"))


def with_p(results: Results) -> list[Result]:
    return [result for result in results.values() if result.p_holm is not None]


TABLES: dict[str, tuple[list[Table], dict[str, int]]] = {
    "one table": ([Table()], {"psnr_y": 20, "ssim_y": 20}),
    "none": ([], {"psnr_y": 20, "ssim_y": 20}),
    "a table a metric": ([Table(metrics=("psnr_y",)), Table(metrics=("ssim_y",))], {"psnr_y": 10, "ssim_y": 10}),
    "the larger of two": ([Table(metrics=("psnr_y",)), Table()], {"psnr_y": 20, "ssim_y": 20}),
    "cells that no table shows": ([Table(metrics=("psnr_y",))], {"psnr_y": 20, "ssim_y": 20}),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_family_is_all_cells_of_a_table(store: Store, name: str) -> None:
    outputs, sizes = TABLES[name]
    results = judged(store, study(outputs=outputs), effect=lambda arm, kernel: 0.3 * arm.values.get("adapt.rho", 0.0))
    families: dict[int, list[Result]] = {}
    for result in with_p(results):
        # Of two families, the one in which p is larger counts, and that need not be the larger one.
        assert result.family <= sizes[result.metric]
        families.setdefault(result.family, []).append(result)
    for size, family in families.items():
        if len(family) == size:
            adjusted = holm([result.difference.p for result in family if result.difference])
            assert [result.p_holm for result in family] == adjusted
    assert all(result.p_holm >= result.difference.p for result in with_p(results) if result.difference)


@pytest.mark.parametrize("outputs", [[], [Table()]])
def test_the_primary_comparison_is_tested_alone_and_leaves_the_others_their_family(
    store: Store, outputs: list[Table]
) -> None:
    primary = Primary({"adapt.rho": 0.3}, kernel="bicubic", metric="ssim_y")
    results = judged(store, study(primary=primary, outputs=outputs))
    cell = ("ρ=0.3", BICUBIC, "ssim_y")
    assert [key for key, result in results.items() if result.primary] == [cell]
    assert results[cell].difference is not None
    assert (results[cell].p_holm, results[cell].family) == (results[cell].difference.p, 1)
    assert {result.family for result in with_p(results) if not result.primary} == {19}


def seeds_of_one_arm(count: int) -> Any:
    return lambda trial: trial.arm.name != "ρ=0.5" or trial.trial.seed < count


def test_an_arm_with_two_seeds_among_three_earns_no_star(store: Store) -> None:
    results = judged(
        store, study(), effect=lambda arm, kernel: 50.0 * (arm.name in {"ρ=0.5", "ρ=0.7"}), done=seeds_of_one_arm(2)
    )
    two, three = (results[arm, BD, "psnr_y"] for arm in ("ρ=0.5", "ρ=0.7"))
    assert two.difference is not None
    assert (two.difference.seeds, two.verdict, two.claim) == (2, "", "better")
    assert (three.verdict, three.claim) == ("better", "better")


def images_of(count: int) -> Any:
    def first(trial: PlannedTrial, rows: pd.DataFrame) -> pd.DataFrame:
        del trial
        return rows[rows["image"].isin([f"img{n:02d}" for n in range(count)])]

    return first


def test_one_test_image_earns_no_star_and_no_p(store: Store) -> None:
    results = judged(store, study(), effect=lambda arm, kernel: 5.0 * (arm.name == "ρ=1"), change=images_of(1))
    worst = results["ρ=1", BD, "psnr_y"]
    assert worst.difference is not None
    assert worst.difference.low is not None
    assert (worst.difference.level, worst.difference.p, worst.p_holm, worst.verdict) == ("image", None, None, "")
    assert not with_p(results)


def test_ssim_may_be_worse_where_psnr_is_equal(store: Store) -> None:
    def lower_ssim(trial: PlannedTrial, rows: pd.DataFrame) -> pd.DataFrame:
        lost = 0.2 * (trial.arm.name == "ρ=0.7") * (rows["metric"] == "ssim_y")
        return rows.assign(value=rows["value"] - lost)

    results = judged(store, study(margin={"psnr_y": 0.4}), change=lower_ssim)
    psnr, ssim = (results["ρ=0.7", BD, metric] for metric in ("psnr_y", "ssim_y"))
    assert (psnr.verdict, ssim.verdict) == ("", "worse")
    assert (psnr.equivalence, ssim.equivalence) == ("equivalent", "")


@pytest.mark.parametrize(
    ("worth", "margin", "seeds", "expected"),
    [
        (0.0, 0.5, 3, "equivalent"),
        (0.0, 0.001, 3, "undecided"),
        (3.0, 0.5, 3, "not worse"),
        (-3.0, 0.5, 3, "undecided"),
        (0.0, 0.5, 2, "not judged"),
        (0.0, 0.5, 1, "not judged"),
    ],
)
def test_equivalence_within_a_margin(store: Store, worth: float, margin: float, seeds: int, expected: str) -> None:
    declared = study(margin={"psnr_y": margin}, seeds=seeds)
    results = judged(store, declared, effect=lambda arm, kernel: worth * (arm.name == "ρ=0.3"))
    assert results["ρ=0.3", BD, "psnr_y"].equivalence == expected
    assert results["ρ=0.3", BD, "psnr_y"].margin == margin
    assert results["ρ=0.3", BD, "ssim_y"].margin is None
    assert not any(result.equivalence for result in results.values() if result.arm in {"ρ=0", "bicubic"})


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_noise_names_no_arm_and_a_clear_gain_does(store: Store, tmp_path: Any, seeds: int) -> None:
    for n, worth in itertools.product(range(3), (0.0, 60.0)):
        own = Store(tmp_path / f"{n}{worth}")
        noise = np.random.default_rng([seeds, n])

        def noisy(trial: PlannedTrial, rows: pd.DataFrame, noise: np.random.Generator = noise) -> pd.DataFrame:
            del trial
            return rows.assign(value=rows["value"] + 0.05 * noise.standard_normal(len(rows)))

        one_metric = study(seeds=seeds, base=base(evaluate=[Evaluate("photos/test", kernel="bd")]))
        results = judged(own, one_metric, effect=lambda arm, kernel, w=worth: w * (arm.name == "ρ=0.5"), change=noisy)
        named = {result.arm for result in results.values() if result.claim}
        assert named == ({"ρ=0.5"} if worth and seeds > 1 else set())
        assert any(result.verdict for result in results.values()) == (worth > 0 and seeds == 3)


def constant(**gains: float) -> Any:
    """Scores without any variance beside that of the images: each arm exceeds ρ = 0 by a constant."""

    def flat(trial: PlannedTrial, rows: pd.DataFrame) -> pd.DataFrame:
        images = rows["image"].str[3:].astype(float)
        return rows.assign(
            value=25 + 0.1 * images + gains.get(trial.arm.name.replace("ρ=", "rho").replace(".", "_"), 0.0)
        )

    return flat


def test_constant_differences_count_in_the_family_and_earn_no_star(store: Store) -> None:
    results = judged(store, study(margin={"psnr_y": 0.3}), change=constant(rho0_1=0.2, rho0_3=0.7))
    trained = [result for result in results.values() if result.difference and result.arm != "bicubic"]
    assert {result.family for result in trained} == {20}
    assert not any(result.verdict for result in trained)
    decided = {result.arm: result.equivalence for result in trained if result.metric == "psnr_y"}
    assert (decided["ρ=0.1"], decided["ρ=0.3"], decided["ρ=1"]) == ("equivalent", "not worse", "equivalent")


def test_the_difference_says_its_own_seeds_and_images(store: Store) -> None:
    def lost(trial: PlannedTrial) -> bool:
        return trial.arm.name != "ρ=0" or trial.trial.seed < 2

    results = judged(store, study(), done=lost)
    cells = [dict(zip(COLUMNS, row(result), strict=True)) for result in results.values()]
    arm, base = (next(cell for cell in cells if cell["arm"] == name) for name in ("ρ=0.3", "ρ=0"))
    assert (arm["n_seeds"], arm["delta_seeds"], arm["delta_images"]) == (3, 2, 5)
    assert (base["delta_seeds"], base["delta_images"]) == (None, None)
