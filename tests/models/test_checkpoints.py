"""A checkpoint is loaded as it was written, or not at all."""

import io
import random

import pytest
import torch

from drnbench.errors import DamagedError, UsageError
from drnbench.models.weights import load_checkpoint, read_safely, save_checkpoint
from tests.helpers import same


@pytest.fixture
def state():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.Conv2d(8, 3, 3))
    optimiser = torch.optim.Adam(network.parameters())
    network(torch.rand(1, 3, 8, 8)).sum().backward()
    optimiser.step()
    return {
        "model": network.state_dict(), "extra": {"dual": [torch.rand(2, 2), torch.rand(3).bfloat16()]},
        "optimisers": [optimiser.state_dict()], "step": 7, "sums": {"total": [0.5, 3.0]}, "note": None,
    }  # fmt: skip


def test_it_is_read_as_it_was_written(state, tmp_path):
    save_checkpoint(tmp_path / "c.pt", state)
    assert same(load_checkpoint(tmp_path / "c.pt"), state)
    assert same(read_safely(tmp_path / "c.pt"), state)


def test_one_of_an_earlier_version_is_read(state, tmp_path):
    torch.save(state, tmp_path / "c.pt")
    assert same(load_checkpoint(tmp_path / "c.pt"), state)


@pytest.mark.real
def test_a_bit_that_flips_is_told_or_moves_nothing(state, tmp_path):
    save_checkpoint(tmp_path / "c.pt", state)
    whole, draws, refused = (tmp_path / "c.pt").read_bytes(), random.Random(13), 0
    for _ in range(300):
        content, position = bytearray(whole), draws.randrange(8 * len(whole))
        content[position // 8] ^= 1 << position % 8
        (tmp_path / "c.pt").write_bytes(content)
        try:
            loaded = load_checkpoint(tmp_path / "c.pt")
        except DamagedError:
            refused += 1
            with pytest.raises(UsageError, match=r"c\.pt"):
                read_safely(tmp_path / "c.pt")
        else:
            assert same(loaded, state)
    assert refused > 30  # most other bits are padding between tensors


@pytest.mark.parametrize(
    "damage", [lambda b: b"", lambda b: b[: len(b) // 2], lambda b: bytes(len(b)), lambda b: b"null"]
)
def test_one_that_is_not_whole_is_named(state, tmp_path, damage):
    out = io.BytesIO()
    torch.save(state, out)
    (tmp_path / "c.pt").write_bytes(damage(out.getvalue()))
    with pytest.raises(DamagedError, match=r"c\.pt is not"):
        load_checkpoint(tmp_path / "c.pt")
    with pytest.raises(DamagedError, match=r"none\.pt is missing"):
        load_checkpoint(tmp_path / "none.pt")
