"""Files of weights: the authors' own, the store's, and everything that is neither."""

from collections import OrderedDict

import pytest
import torch

from drnbench import Data, Stage, models
from drnbench.data.images import mod_crop, read_rgb, to_tensor
from drnbench.degradations import parse
from drnbench.errors import UsageError
from drnbench.models.dual import DualSingle, dual_per_level
from drnbench.models.weights import dual_from_file, load_dual, load_weights, read_dual, state_digest
from drnbench.schemes import schemes

SMALL = {"n_blocks": 1, "n_feats": 2}


def checkpoint(path, scheme="paired", dual="chain", scale=4):
    """Write a checkpoint.pt as training does, and return its scheme."""
    stage = Stage("s", scheme=scheme, data=Data("photos/train"), steps=1, dual=dual, dual_feats=4)
    trained = schemes.get(scheme)(models.create("drn", scale, **SMALL), scale, stage)
    trained.prepare(torch.device("cpu"))
    torch.save({**trained.state_dict(), "step": 1}, path)
    return trained


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.fixture(scope="module")
def set5(shared_data):
    """HR and the 2x and 1x images of Set5, MATLAB's bicubic from HR each (not 1x from 2x)."""
    bicubic, pairs = parse("bicubic"), []
    for path in sorted((shared_data / "Set5" / "HR").glob("*.png")):
        hr = to_tensor(mod_crop(read_rgb(path), 4))
        pairs.append((hr, bicubic.degrade(hr, 2), bicubic.degrade(hr, 4)))
    assert len(pairs) == 5
    return pairs


@pytest.mark.parametrize(("preset", "n_feats", "first", "second"), [("S", 16, 0.50, 0.78), ("L", 20, 0.52, 0.91)])
def test_the_authors_duals_reproduce_matlabs_bicubic(golden, set5, preset, n_feats, first, second):
    """The smaller number is D0 (2x -> 1x, fed with bicubic 2x), the larger D1 (4x -> 2x, fed with HR).

    Outputs as they are, neither rounded nor clamped; four pixels of the output left out on each side; mean over RGB
    and pixels of each image, then over the five images. Over all pixels pooled it would be 0.46 and 0.68 (S), rounded
    0.43 and 0.73: of these readings only this one hits all four numbers.
    """
    path = golden / f"pre_DRN{preset}4x_dual_model.pt"
    duals = dual_from_file(path, 4)
    same = dual_per_level(4, n_feats)
    load_dual(same, path)
    assert equal(duals.state_dict(), same.state_dict())

    def error(dual, x, target):
        return (dual(x) - target).abs()[..., 4:-4, 4:-4].mean().item()

    with torch.no_grad():
        d0 = [error(duals[0], x2, x1) for _, x2, x1 in set5]
        d1 = [error(duals[1], hr, x2) for hr, x2, _ in set5]
    assert sum(d0) / 5 == pytest.approx(first, abs=0.01)
    assert sum(d1) / 5 == pytest.approx(second, abs=0.01)


def test_an_authors_file_of_the_other_size_is_refused(golden):
    with pytest.raises(UsageError, match=r"DRNL4x.*of 20 channels, and 16 are wanted; set dual_feats = 20"):
        load_dual(dual_per_level(4, 16), golden / "pre_DRNL4x_dual_model.pt")
    with pytest.raises(UsageError, match=r"over 2 2x level\(s\), scale 4, and 3, scale 8, are wanted"):
        dual_from_file(golden / "pre_DRNL4x_dual_model.pt", 8)
    with pytest.raises(UsageError, match="which scale 3 does not have"):
        dual_from_file(golden / "pre_DRNL4x_dual_model.pt", 3)
    with pytest.raises(UsageError, match=r"each 2x level, and one dual network straight.*'level' or 'chain'"):
        load_dual(DualSingle(4), golden / "pre_DRNS4x_dual_model.pt")


@pytest.mark.parametrize(("dual", "count"), [("chain", 2), ("single", 1)])
def test_a_checkpoint_gives_both_networks(tmp_path, dual, count):
    trained = checkpoint(tmp_path / "checkpoint.pt", dual=dual)
    (network,) = trained.extra.values()
    assert len(read_dual(tmp_path / "checkpoint.pt")) == count
    assert equal(dual_from_file(tmp_path / "checkpoint.pt", 4).state_dict(), network.state_dict())
    model = models.create("drn", 4, **SMALL)
    load_weights(model, tmp_path / "checkpoint.pt")
    assert equal(model.state_dict(), trained.model.state_dict())
    # The state dict of the networks alone is as good.
    torch.save(network.state_dict(), tmp_path / "d.pt")
    assert equal(dual_from_file(tmp_path / "d.pt", 4).state_dict(), network.state_dict())


def test_a_single_dual_is_not_one_for_each_level(tmp_path):
    checkpoint(tmp_path / "c.pt", dual="single")
    with pytest.raises(UsageError, match=r"one dual network straight from SR to LR, and .* 'single'"):
        load_dual(dual_per_level(4, 4), tmp_path / "c.pt")
    with pytest.raises(UsageError, match="scale 4, and 1, scale 2, are wanted"):
        dual_from_file(tmp_path / "c.pt", 2)


def test_p_given_as_d_and_the_reverse_are_named(tmp_path):
    model = models.create("drn", 4, **SMALL)
    torch.save(model.state_dict(), tmp_path / "p.pt")
    torch.save([d.state_dict() for d in dual_per_level(4, 4)], tmp_path / "d.pt")
    with pytest.raises(
        UsageError, match=r"d\.pt holds dual networks \(D\), not the network P: give it as dual weights"
    ):
        load_weights(model, tmp_path / "d.pt")
    with pytest.raises(
        UsageError, match=r"p\.pt holds the weights of another network \(P\?\): dual weights are a list"
    ):
        read_dual(tmp_path / "p.pt")
    torch.save(models.create("edsr", 4, **SMALL).state_dict(), tmp_path / "e.pt")
    with pytest.raises(UsageError, match="another network"):
        read_dual(tmp_path / "e.pt")


def test_a_stage_without_duals_is_named(tmp_path):
    checkpoint(tmp_path / "c.pt", scheme="supervised")
    with pytest.raises(UsageError, match="holds no dual networks: its stage was trained without"):
        read_dual(tmp_path / "c.pt")


@pytest.mark.parametrize("content", [[], [{}], {}, [{"dual_module.0.0.weight": torch.zeros(1)}], 7, "text", None])
def test_anything_else_is_one_line(tmp_path, content):
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(UsageError, match=r"^[^\n]*x\.pt[^\n]*$"):
        read_dual(tmp_path / "x.pt")
    with pytest.raises(UsageError, match=r"^[^\n]*x\.pt[^\n]*$"):
        load_weights(models.create("drn", 2, **SMALL), tmp_path / "x.pt")


def test_code_is_never_run(tmp_path):
    (tmp_path / "x.pt").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    for read in (read_dual, state_digest):
        with pytest.raises(UsageError, match="no weights that can be read safely"):
            read(tmp_path / "x.pt")


class TestDigest:
    def of(self, path, content):
        torch.save(content, path)
        return state_digest(path)

    def test_it_is_of_the_content_alone(self, tmp_path):
        a, b = torch.arange(6.0).reshape(2, 3), torch.ones(3)
        first = self.of(tmp_path / "1.pt", {"a": a, "b": b})
        assert first == self.of(tmp_path / "2.pt", OrderedDict(b=b, a=a))
        assert first == self.of(tmp_path / "3.pt", {"a": a.t().contiguous().t(), "b": torch.nn.Parameter(b)})
        torch.save({"a": a, "b": b}, tmp_path / "4.pt", _use_new_zipfile_serialization=False)
        assert first == state_digest(tmp_path / "4.pt")

    def test_name_shape_dtype_and_bytes_move_it(self, tmp_path):
        a = torch.arange(6.0)
        changed = a.clone()
        changed[5] = torch.nextafter(changed[5], torch.tensor(9.0))
        contents = [{"a": a}, {"b": a}, {"a": a.reshape(2, 3)}, {"a": a.double()}, {"a": changed}, [{"a": a}]]
        assert len({self.of(tmp_path / "x.pt", content) for content in contents}) == len(contents)

    def test_of_a_checkpoint_only_networks_count(self, tmp_path):
        trained = checkpoint(tmp_path / "c.pt")
        first = state_digest(tmp_path / "c.pt")
        state = torch.load(tmp_path / "c.pt", weights_only=True)
        assert first == self.of(tmp_path / "d.pt", {**state, "optimisers": {"m": torch.ones(1)}, "step": 9})
        with torch.no_grad():
            next(trained.extra.parameters()).add_(1)
        assert first != self.of(tmp_path / "e.pt", trained.state_dict())
