"""Published numbers: each has a source, none stands beside a network that is not the published one."""

from decimal import Decimal

import pytest

from drnbench import published
from drnbench.degradations import canonical
from drnbench.models import methods

EVERY = [row for scale in (2, 3, 4, 8) for row in published.table(scale)]


def test_every_row_has_a_source_and_a_sane_value():
    assert len(EVERY) == 15 * 5 * 2 + 3 * 2 + 2 * 3 * 2 + 7 * 2 + 4
    for row in EVERY:
        assert " at " in row.source, row  # a repository at a commit
        assert row.table, row
        assert row.protocol.startswith("Y channel"), row
        low, high = {"psnr_y": (20, 40), "ssim_y": (0.59, 0.95)}[row.metric]
        assert low < row.value < high, row
    keys = [(row.method, row.dataset, row.scale, row.metric, row.kernel) for row in EVERY]
    assert len(set(keys)) == len(keys)


def test_values_keep_their_digits():
    number = published.lookup("DRN-S", "Set5", 4, "psnr_y")
    assert number is not None
    assert (number.text, number.value) == ("32.68", Decimal("32.68"))
    assert published.lookup("RCAN", "Set5", 4, "ssim_y").text == "0.900"
    assert "DRC at d374450" in number.source


def test_published_bicubic_agrees_with_ours():
    # Set5 at x4 with Y rounded gives 28.42; see shared/reference/protocol.md.
    assert published.lookup("bicubic", "Set5", 4, "psnr_y").text == "28.42"


@pytest.mark.parametrize(
    "query",
    [
        ("drn-s", "Set5", 2, "psnr_y"),
        ("drn-s", "Set14", 8, "psnr_y"),
        ("nobody", "Set5", 4, "psnr_y"),
        ("drn-s", "Set5", 4, "lpips"),
        ("drn-s", "photos/test", 4, "psnr_y"),
    ],
)
def test_unpublished_numbers_are_none(query):
    assert published.lookup(*query) is None


def test_only_the_same_network_has_a_published_namesake():
    named = {name for name in methods.names() if published.lookup(name, "Set5", 4, "psnr_y")}
    assert named == set(published.PRINTED) - {"zssr"} == {"drn-s", "drn-l", "drn-s30", "drn-s50", "drn-s70", "bicubic"}


def test_numbers_on_other_kernels_stand_under_the_kernel_that_makes_them():
    kernel = "gaussian:sigma=1.4142135623730951,size=15,phase=zero"
    assert published.lookup("zssr", "Set5", 2, "psnr_y", canonical(kernel)).text == "34.90"
    assert published.lookup("bicubic", "Set5", 2, "ssim_y", canonical(kernel)).text == "0.8449"
    assert published.lookup("zssr", "Set5", 2, "psnr_y") is None
    assert {row.kernel for row in EVERY} == {canonical(row.kernel) for row in EVERY}
    assert published.lookup("drn-s70", "Set5", 4, "psnr_y").text == "32.40"


def test_second_hand_numbers_are_left_out():
    # DRN-S without its dual loss, 32.53 on Set5: quoted by others, found in no source.
    assert "32.53" not in {row.text for row in EVERY}


def test_sizes_are_those_of_the_source_and_none_is_made_up():
    assert published.parameters("drn-s", 8).text == "5.4"
    assert published.parameters("DRN-L", 8).text == "10.0"
    assert published.parameters("RCAN", 8) is None
    assert published.parameters("drn", 4) is None
    assert {row.metric for row in EVERY} == {"psnr_y", "ssim_y"}
