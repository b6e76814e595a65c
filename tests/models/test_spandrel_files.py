"""Files that hold no network that spandrel can make: one line, and no code of them runs."""

import io
import os
import pickle
import warnings

import pytest
import torch

from drnbench import models
from drnbench.errors import UsageError
from tests.models.test_spandrel import compact


def unreadable(kind, path):
    if kind == "text":
        path.write_text("not weights at all")
    elif kind == "torchscript":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.jit.save(torch.jit.trace(compact(), torch.rand(1, 3, 4, 4)), path)
    elif kind == "list":
        torch.save([torch.zeros(1)], path)
    elif kind == "stranger":
        torch.save({"somebody.weight": torch.zeros(1)}, path)
    elif kind == "torn":
        torch.save({k: v for k, v in compact().state_dict().items() if k != "body.2.weight"}, path)
    elif kind == "folder":
        path.mkdir()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("text", "no weights that can be read safely"),
        ("torchscript", "no weights that can be read safely"),
        ("list", "no state dict"),
        ("stranger", "no network that spandrel .* knows"),
        ("torn", "cannot be made into a network"),
        ("folder", "no such file"),
        ("missing", "no such file"),
    ],
)
@pytest.mark.parametrize("suffix", ["pth", "pt"])
def test_a_file_that_is_no_network_is_one_line(tmp_path, kind, message, suffix):
    path = tmp_path / f"n.{suffix}"
    unreadable(kind, path)
    with pytest.raises(UsageError, match=message) as caught:
        models.create("spandrel", 2, weights=str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_broken_safetensors_and_no_file_at_all_are_one_line(tmp_path):
    (tmp_path / "n.safetensors").write_bytes(b"\0" * 32)
    with pytest.raises(UsageError, match="no weights that can be read safely"):
        models.create("spandrel", 2, weights=str(tmp_path / "n.safetensors"))
    with pytest.raises(UsageError, match="give --weights FILE"):
        models.create("spandrel", 2)


class Trap:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("suffix", ["pth", "pt", "ckpt", "safetensors"])
@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_code_in_a_file_does_not_run(tmp_path, suffix, writer):
    sprung, path = tmp_path / "sprung", tmp_path / f"trap.{suffix}"
    state = {**compact().state_dict(), "trap": Trap(sprung)}
    if writer == "torch":
        torch.save(state, path)
    else:
        path.write_bytes(pickle.dumps(state))
    with pytest.raises(UsageError, match="no weights that can be read safely"):
        models.create("spandrel", 2, weights=str(path))
    assert not sprung.exists()
    # The trap works where nobody takes care.
    if writer == "torch":
        torch.load(io.BytesIO(path.read_bytes()), weights_only=False)
    else:
        pickle.loads(path.read_bytes())
    assert sprung.is_dir()
