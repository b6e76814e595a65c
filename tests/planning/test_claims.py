"""The primary comparison and the margins of a study, as its plan takes them."""

from __future__ import annotations

from typing import Any

import pytest

from drnbench import Exclude, Primary, Study
from drnbench.config.study import Axis
from drnbench.config.trial import Evaluate
from drnbench.errors import UsageError
from drnbench.planning import Plan
from tests.fake_store import base, plan_of
from tests.search.studyfile import study as search_study


def study(**fields: Any) -> Study:
    wanted: dict[str, Any] = {
        "base": base(evaluate=[Evaluate("photos/test", kernel=k, metrics=("psnr_y", "ssim_y")) for k in ("bd", "bicubic")]),
        "axes": [Axis("adapt.rho", [0.0, 0.3], label="ρ"), Axis("adapt.lam", [0.1, 0.5], label="λ")],
        "arms": {"true pairs": {"adapt.scheme": "paired"}},
        "seeds": 3,
        "baseline": {"adapt.rho": 0.0},
    }  # fmt: skip
    return Study(**{**wanted, **fields})


def planned(**fields: Any) -> Plan:
    return plan_of(study(**fields))


CELL = {"adapt.rho": 0.3, "adapt.lam": 0.5}


@pytest.mark.parametrize(
    ("primary", "cell"),
    [
        (CELL, ("ρ=0.3, λ=0.5", "bd", "psnr_y")),
        ("ρ=0.3, λ=0.1", ("ρ=0.3, λ=0.1", "bd", "psnr_y")),
        ("true pairs", ("true pairs", "bd", "psnr_y")),
        (Primary(CELL, kernel="bicubic", metric="ssim_y"), ("ρ=0.3, λ=0.5", "bicubic", "ssim_y")),
        (Primary("true pairs", dataset="photos-test"), ("true pairs", "bd", "psnr_y")),
    ],
)
def test_plan_json_records_the_primary_comparison(primary: Any, cell: tuple[str, str, str]) -> None:
    record = planned(primary=primary, margin={"ssim_y": 0.01}).record()
    assert record.primary is not None
    assert (record.primary.arm, record.primary.kernel, record.primary.metric) == cell
    assert (record.primary.dataset, record.primary.scale) == ("photos-test", 4)
    assert record.margin == {"ssim_y": 0.01}
    assert planned().record().primary is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"primary": "true pair"}, "no arm is called 'true pair'.*'true pairs'"),
        ({"primary": {"adapt.rho": 0.3}}, "is 2 arms of the grid: ρ=0.3, λ=0.1, ρ=0.3, λ=0.5"),
        (
            {"primary": "ρ=0, λ=0.1"},
            "compared with no trained baseline; name another arm: 'ρ=0.3, λ=0.1', 'ρ=0.3, λ=0.5' and 'true",
        ),
        ({"primary": "bicubic"}, "compared with no trained baseline"),
        ({"primary": Primary(CELL, kernel="nearest")}, "not scored on nearest"),
        ({"primary": Primary(CELL, metric="lpips")}, "not measured in 'lpips'"),
        ({"primary": CELL, "exclude": [Exclude(CELL, "too slow")]}, "every seed of ρ=0.3, λ=0.5 is excluded"),
        ({"margin": {"psnr": 0.1}}, "margin: no arm is measured in 'psnr'.*'psnr_y'"),
    ],
)
def test_claims_about_nothing_are_refused_before_any_work(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        planned(**fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"primary": {"adapt.lr": 0.3}}, "'adapt.lr' is not an axis"),
        ({"primary": {"adapt.rho": 0.4}}, "the primary's adapt.rho = 0.4 is not on the axis"),
        ({"primary": {"adapt.rho": 0.0}}, "the primary is the baseline itself"),
        ({"primary": CELL, "baseline": {}}, "primary speaks of a difference to the baseline"),
        ({"margin": {"psnr_y": 0.1}, "baseline": {}}, "margin speaks of a difference to the baseline"),
        ({"margin": {"psnr_y": 0.0}}, "above 0"),
        ({"margin": {"psnr_y": float("inf")}}, "above 0"),
    ],
)
def test_a_declaration_that_cannot_be_meant_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        study(**fields)


@pytest.mark.parametrize("arm", ["winner", "front 2"])
def test_the_primary_arm_of_a_search_may_be_one_that_it_has_still_to_select(arm: str) -> None:
    assert plan_of(search_study(primary=arm)).record().primary is None


def test_the_primary_arm_of_a_search_is_a_name_that_it_can_have() -> None:
    with pytest.raises(UsageError, match="no arm is called 'winer'"):
        plan_of(search_study(primary="winer"))
    with pytest.raises(UsageError, match="the primary of a search is an arm's name"):
        search_study(primary={"adapt.rho": 0.3})


def test_a_profile_may_have_a_margin_of_its_own() -> None:
    declared = study(
        margin={"ssim_y": 0.01}, profiles={"real": {"margin": {"psnr_y": 0.05}}, "wrong": {"margin": {"psnr_y": 0}}}
    )
    assert plan_of(declared).record().margin == {"ssim_y": 0.01}
    assert plan_of(declared, profile="real").record().margin == {"psnr_y": 0.05}
    with pytest.raises(UsageError, match=r"profile 'wrong'.*margin of 'psnr_y' must be finite and above 0"):
        plan_of(declared, profile="wrong")
