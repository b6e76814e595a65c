from __future__ import annotations

import re

import pytest

from drnbench.config.study import Axis
from drnbench.store import Store
from tests.outputs.conftest import gain, headline, rho_study

NUMBER = r"[+-]\d+\.\d{3} dB \[[+-]?\d+\.\d{3}, [+-]?\d+\.\d{3}\]"
SSIM = r"[+-]\d+\.\d{4} \[[+-]?\d+\.\d{4}, [+-]?\d+\.\d{4}\]"


def matches(text: str, pattern: str) -> bool:
    """Whether the sentences on the primary metric and test set, which come first, have a form; # is a difference in dB, ~ one in SSIM."""
    return re.fullmatch(pattern.replace("#", NUMBER).replace("~", SSIM), text.partition(" In SSIM-Y: ")[0]) is not None


def test_a_control_that_gains_and_a_collapse(store: Store) -> None:
    text = headline(store, rho_study(), gain)
    assert matches(
        text,
        r"The positive control is detected: 'true pairs' gains # over ρ=0 on photos-test, bd ×4 in PSNR-Y "
        r"\(3 seeds, 5 images\); in SSIM-Y it is detected \(~\)\. Of the 3 other values of ρ, against ρ=0: 1 worse \(ρ=1 with #\); "
        r"2 without a significant difference \(best ρ=0\.[13] with #\)\.",
    ), text


def test_a_control_that_shows_nothing_takes_the_conclusion_along(store: Store) -> None:
    text = headline(store, rho_study(), lambda arm, kernel: 0.0)
    assert text.startswith("The positive control is not detected: 'true pairs' differs by ")
    assert "None of the 3 other values of ρ differs significantly from ρ=0 after Holm's correction: best" in text
    assert " the absence of a significant difference is no evidence of equality. On " in text


def test_a_control_that_loses(store: Store) -> None:
    assert headline(store, rho_study(), lambda arm, kernel: -1.0 * (arm.name == "true pairs")).startswith(
        "The positive control fails: 'true pairs' loses "
    )


def test_gains_without_a_control(store: Store) -> None:
    text = headline(
        store, rho_study(control=None, arms={}), lambda arm, kernel: 10 * float(arm.values.get("adapt.rho", 0))
    )
    pattern = (
        r"Of the 3 other values of ρ, against ρ=0 on photos-test, bd ×4 in PSNR-Y \(3 seeds, 5 images\): "
        r"all better \(best ρ=1 with #\)\."
    )
    assert matches(text, pattern), text


@pytest.mark.parametrize(
    ("worth", "verb"), [(1.0, "gains"), (-1.0, "loses"), (0.0, "shows no significant difference from")]
)
def test_one_other_arm(store: Store, worth: float, verb: str) -> None:
    axes = [Axis("adapt.lam", [0.1, 0.5], label="λ")]
    fields = {"axes": axes, "baseline": {"adapt.lam": 0.1}, "control": None, "arms": {}, "outputs": []}
    text = headline(store, rho_study(**fields), lambda arm, kernel: worth * (arm.name == "λ=0.5"))
    assert text.startswith(f"λ=0.5 {verb} ")
    assert "λ=0.1 on photos-test, bd ×4 in PSNR-Y (3 seeds, 5 images)" in text


def test_a_baseline_that_is_not_there_yet(store: Store) -> None:
    text = headline(store, rho_study(), gain, done=lambda t: t.arm.name != "ρ=0")
    assert text.startswith("13 of 16 trials so far. The baseline ρ=0 has no scores, so nothing is compared.")


def test_a_control_that_is_not_there_yet(store: Store) -> None:
    assert "The positive control 'true pairs' has no scores yet" in headline(
        store, rho_study(), gain, done=lambda t: t.arm.name != "true pairs"
    )


def test_one_seed_among_arms_with_more_is_not_judged(store: Store) -> None:
    text = headline(store, rho_study(), gain, done=lambda t: t.arm.name != "ρ=1" or t.trial.seed == 0)
    assert "worse" not in text
    assert " ρ=1 is not tested (one common seed). On " in text


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        (1, "One seed: these are differences between checkpoints, not between methods."),
        (2, "Two seeds: nothing is starred, and only what is clear after Holm's correction is named."),
    ],
)
def test_few_seeds_are_said(store: Store, seeds: int, words: str) -> None:
    assert f" {words} " in headline(store, rho_study(seeds=seeds), gain)
