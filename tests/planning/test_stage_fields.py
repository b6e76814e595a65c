"""Content of a stage's key, and refusals: counts, real images, weights from files, options of a scheme."""

import pytest
import torch

from drnbench import Data, Evaluate, Stage, Trial, models
from drnbench.errors import DataError, UsageError
from drnbench.models.dual import dual_per_level
from drnbench.planning.keys import Keys

SMALL = {"n_blocks": 1, "n_feats": 2}


@pytest.fixture
def keys(tmp_path):
    return Keys(tmp_path / "cache")


def stage(**fields):
    return Stage(**{"name": "s", "scheme": "paired", "data": Data("photos/train"), "steps": 5, "patch": 32, **fields})


def trial(*stages, **fields):
    return Trial(**{"model": SMALL, "scale": 2, "stages": stages, "evaluate": [Evaluate("photos/test")], **fields})


def key(keys, *stages, **fields):
    return keys.stages(trial(*stages, **fields), "here")[-1].key


def test_fields_count_where_the_scheme_uses_them(keys):
    base = key(keys, stage())
    for change in ({"hr_lam": 0.1}, {"aux": 0.5}, {"data": Data("photos/train", count=2)}, {"dual": "single"}):
        assert key(keys, stage(**change)) != base
    for change in ({"dual_of": "own"}, {"data": Data("photos/train", count=7)}):  # seven are left after the hold-out
        assert key(keys, stage(**change)) == base
    assert key(keys, stage(scheme="supervised", hr_lam=0.1)) == key(keys, stage(scheme="supervised"))
    unpaired = {"scheme": "unpaired", "rho": 0.5, "unpaired": Data("photos/unpaired", kernel="bd")}
    assert key(keys, stage(**unpaired, dual_of="own")) != key(keys, stage(**unpaired))


def test_weights_count_by_content_and_not_by_path(keys, tmp_path):
    torch.manual_seed(0)
    model = models.create("drn", 2, **SMALL)
    for name in ("a.pt", "b.pt"):
        torch.save(model.state_dict(), tmp_path / name)
    a, b = (key(keys, stage(weights=str(tmp_path / name))) for name in ("a.pt", "b.pt"))
    assert a == b != key(keys, stage())
    with torch.no_grad():
        model.head.bias += 1
    torch.save(model.state_dict(), tmp_path / "c.pt")
    assert key(keys, stage(weights=str(tmp_path / "c.pt"))) != a


def test_dual_weights_count_by_content_and_are_held_against_the_stage(keys, tmp_path):
    torch.save([d.state_dict() for d in dual_per_level(2, 16)], tmp_path / "d.pt")
    given = {"dual_weights": str(tmp_path / "d.pt"), "dual_feats": 16}
    assert key(keys, stage(**given)) != key(keys, stage(dual_feats=16))
    assert key(keys, stage(**given, dual_frozen=True)) != key(keys, stage(**given))
    assert key(keys, stage(scheme="supervised", **given)) == key(keys, stage(scheme="supervised"))
    with pytest.raises(UsageError, match=r"here, s.dual_weights: .*16 channels, and 8 are wanted; set dual_feats = 16"):
        key(keys, stage(**{**given, "dual_feats": 8}))
    with pytest.raises(UsageError, match="over 1 2x level"):
        key(keys, stage(**given), scale=4)


def test_channels_of_d_follow_the_network_unless_they_are_given(keys):
    def feats(method, scale, sizes, **fields):
        declared = trial(stage(**fields, patch=64), method=method, model=sizes, scale=scale)
        return keys.stages(declared, "here")[-1].stage.dual_feats

    expected = {
        ("drn-s", 4): 16,
        ("drn-s", 8): 8,
        ("drn-l", 4): 20,
        ("drn-l", 8): 10,
        ("drn-s50", 8): 8,
        ("drn-s50", 4): 16,
    }
    for (method, scale), channels in expected.items():
        assert feats(method, scale, {}) == channels
        assert feats(method, scale, {}, dual="single") == 16
    assert feats("drn", 4, {"n_blocks": 1, "n_feats": 6}) == 6
    assert feats("edsr", 2, {"n_feats": 32}, dual="single", scheme="paired") == 16
    unpaired = {"scheme": "unpaired", "rho": 0.5, "unpaired": Data("photos/unpaired", kernel="bd")}
    assert feats("drn", 4, {"n_feats": 6}, dual="known", unpaired_dual="level", **unpaired) == 6
    for sizes in ({"n_blocks": 1, "n_feats": 16}, {"n_blocks": 1, "n_feats": 6}):
        written_out = stage(dual_feats=sizes["n_feats"])
        assert key(keys, stage(), model=sizes) == key(keys, written_out, model=sizes)


def test_impossible_stages_are_refused_with_their_path(keys, tmp_path):
    wrong = tmp_path / "w.pt"
    torch.save(models.create("drn", 2, n_blocks=1, n_feats=4).state_dict(), wrong)
    cases = [
        ({"data": Data("photos/train", kernel="real")}, "here, s.data.kernel: 'real' images have no HR"),
        (
            {"data": Data("photos/train", count=8)},
            "here, s.data.count: photos/train has 7 images after the hold-out, not 8",
        ),
        ({"weights": "none.pt"}, "here, s.weights: no such file: none.pt"),
        ({"weights": str(wrong)}, "here, s.weights: .* is of another network"),
        ({"dual_frozen": True}, "here, s.dual_frozen: D would stay"),
        ({"options": {"tv": 1}}, "here, s.options: tv: there is no such field"),
        ({"scheme": "dual-fit"}, "here, s.unpaired: scheme 'dual-fit' needs"),
        ({"scheme": "dual-synth"}, "here, s: scheme 'dual-synth' needs a fitted D"),
    ]
    for fields, message in cases:
        with pytest.raises((UsageError, DataError), match=message):
            key(keys, stage(**fields))
    with pytest.raises(UsageError, match="starts from the one before it"):
        key(keys, stage(), stage(name="t", weights=str(wrong)))


def test_real_images_are_measured_at_lr_size(keys):
    real = Data("photos/unpaired", kernel="real", crop=20)
    unpaired = {"scheme": "unpaired", "rho": 0.5, "unpaired": real}
    assert key(keys, stage(**unpaired, patch=40))
    with pytest.raises(DataError, match="too small for a patch of 42 at scale 2, 21 LR pixels"):
        key(keys, stage(**unpaired, patch=42))


def test_metrics_that_an_arm_cannot_have_are_left_out_or_refused(keys):
    evaluations = [Evaluate("photos/test", metrics=["psnr_y", "dual_mae"])]
    for scheme, names in (("paired", ["psnr_y", "dual_mae"]), ("supervised", ["psnr_y"])):
        declared = trial(stage(scheme=scheme), evaluate=evaluations)
        unit = keys.evaluation(declared, keys.stages(declared, "here"), "here")
        assert [e.metric for e in unit.wanted] == names
    real = trial(stage(), evaluate=[Evaluate("photos/test", kernel="real")])
    with pytest.raises(UsageError, match=r"evaluate.0: psnr_y compares with HR images"):
        keys.evaluation(real, keys.stages(real, "here"), "here")
    none = trial(stage(scheme="supervised"), evaluate=[Evaluate("photos/test", metrics=["dual_mae"])])
    with pytest.raises(UsageError, match="nothing is measured"):
        keys.evaluation(none, keys.stages(none, "here"), "here")
