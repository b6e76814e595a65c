from __future__ import annotations

import pytest

from drnbench.config.study import Axis
from drnbench.store import Store
from tests.outputs.conftest import headline
from tests.outputs.shapes import LOSS, NETWORKS, adapt_study, dual_study
from tests.outputs.test_arm_sentences import matches

pytestmark = pytest.mark.usefixtures("unrendered")


def small(**fields):
    return dual_study(**{"axes": [Axis("network", NETWORKS), Axis("loss", LOSS)], "outputs": [], **fields})


def helps_small(arm, kernel: str) -> float:
    return 0.5 if arm.values.get("loss") == "on" and arm.values["network"] == "S" else 0.0


def test_up_to_four_cells_are_named(store: Store) -> None:
    text = headline(store, small(), helps_small)
    assert matches(
        text,
        r"loss on against off, on photos-test, bicubic ×4 in PSNR-Y \(3 seeds, 5 images\): "
        r"1 of 2 better \(network=S with #\); 1 of 2 without a significant difference \(network=L with #\)\.",
    ), text


def test_many_cells_are_counted_with_their_ends(store: Store) -> None:
    text = headline(store, dual_study(outputs=[]), lambda arm, kernel: 0.5 if arm.values.get("loss") == "on" else 0.0)
    assert text.startswith(
        "loss on against off, on photos-test in PSNR-Y (3 seeds, 5 images): all 12 better (best network="
    )
    assert "; worst network=" in text


def test_one_cell_is_a_plain_sentence(store: Store) -> None:
    text = headline(store, small(subject={"loss": "on", "network": "S"}), helps_small)
    assert matches(text, r"loss on against off gains # on photos-test, bicubic ×4 in PSNR-Y \(3 seeds, 5 images\)\."), (
        text
    )


def test_several_values_of_the_compared_axis_are_named(store: Store) -> None:
    loss = {**LOSS, "more": {"pretrain.lam": 1.0}}
    study = small(axes=[Axis("network", NETWORKS), Axis("loss", loss)], subject={})
    text = headline(store, study, helps_small)
    assert text.startswith(
        "Against loss=off at the same network on photos-test, bicubic ×4 in PSNR-Y (3 seeds, 5 images): 1 of 4"
    )
    assert "network=S, loss=on with +0." in text


def worth(arm, kernel: str) -> float:
    """Pairs help on bd alone, adapting on both a little or not."""
    gains = {"pairs": 0.4 if kernel == "bd" else 0.0, "adapted": 0.2 if kernel == "bd" else 0.01}
    return gains.get(arm.values.get("training"), 0.0)


def test_a_control_in_each_cell_says_where_it_is_detected(store: Store) -> None:
    # Three seeds show this much of 12 cells: 2 trainings, 2 kernels, 3 metrics.
    text = headline(store, adapt_study(outputs=[]), lambda arm, kernel: 5 * worth(arm, kernel))
    assert matches(
        text,
        r"The positive control is detected in 1 of 2 cells in PSNR-Y: 'pairs' gains # for kernel=bd; "
        r"not detected: # for kernel=skewed; in SSIM-Y it is detected in 1 of 2 cells, "
        r"it is not detected in 1 of 2 cells; in D MAE [^.]*\. "
        r"training adapted against source, on photos-test ×4 in PSNR-Y \(3 seeds, 5 images\): "
        r"1 of 2 better \(kernel=bd with #\); "
        r"1 of 2 without a significant difference( after Holm's correction)? \(kernel=skewed with #\)\.",
    ), text
    assert " the absence of a significant difference is no evidence of equality. " in text


def test_a_control_that_is_detected_everywhere_and_one_that_is_nowhere(store: Store) -> None:
    always = headline(store, adapt_study(outputs=[]), lambda arm, kernel: 0.4 * (arm.values.get("training") == "pairs"))
    assert always.startswith("The positive control is detected in 2 of 2 cells in PSNR-Y: 'pairs' gains ")
    assert "no evidence of equality" not in always
    never = headline(store, adapt_study(outputs=[]), lambda arm, kernel: 0.0)
    assert never.startswith("The positive control is not detected in PSNR-Y: 'pairs' differs by ")


def test_what_d_learned_comes_first(store: Store) -> None:
    text = headline(store, adapt_study(), worth)
    assert text.startswith("D is within 1.32 to 1.51 gray levels of the true degradation (3 seeds, 5 images): 1.32")
    assert "for kernel=bd" in text


def test_one_seed_in_every_cell_is_said(store: Store) -> None:
    text = headline(store, small(seeds=1), helps_small)
    assert "one seed, so these checkpoints only" in text
    assert " One seed: these are differences between checkpoints, not between methods. " in text


def test_cells_that_are_not_there_yet(store: Store) -> None:
    study = small()
    text = headline(store, study, helps_small, done=lambda t: t.arm.values.get("loss") == "off")
    assert " No arm has scores to compare with loss=off at the same network yet." in text
    text = headline(store, study, helps_small, done=lambda t: t.arm.name != "S, off")
    assert "without a significant difference" in text
