"""Networks of other authors: what spandrel makes of a file is scored unchanged, and a file that does not fit is refused.

No published weights: tiny networks of spandrel's own classes, as they are initialised.
"""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from drnbench import Evaluate, Trial, models
from drnbench.cli import main
from drnbench.errors import DrnbenchError, UnitError, UsageError
from drnbench.evaluation.evaluator import load_model
from drnbench.models import Model
from drnbench.models.costs import Costs, costs
from drnbench.models.spandrel import Published
from drnbench.planning.keys import Keys
from drnbench.store import Store
from tests.helpers import call


def compact(scale=2, seed=0, channels=3):
    from spandrel.architectures.Compact import Compact

    torch.manual_seed(seed)
    return Compact(num_in_ch=channels, num_out_ch=channels, num_feat=4, num_conv=1, upscale=scale)


def esrgan(scale=4):
    from spandrel.architectures.ESRGAN import ESRGAN

    torch.manual_seed(0)
    return ESRGAN(num_filters=4, num_blocks=1, scale=scale)


def rcan(scale=3):
    from spandrel.architectures.RCAN import RCAN

    torch.manual_seed(0)
    return RCAN(scale=scale, n_resgroups=1, n_resblocks=1, n_feats=8, reduction=4)


def swinir(scale=2):
    from spandrel.architectures.SwinIR import SwinIR

    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about the authors' meshgrid
        return SwinIR(
            img_size=16, window_size=8, depths=[2], embed_dim=8, num_heads=[2], mlp_ratio=2, upscale=scale,
            upsampler="pixelshuffle", resi_connection="1conv",
        )  # fmt: skip


def save(state, path):
    torch.save(state, path)
    return str(path)


@pytest.fixture
def weights(tmp_path):
    return save(compact().state_dict(), tmp_path / "compact.pth")


NETWORKS = [
    (compact, 2, "RealESRGAN Compact"),
    (esrgan, 4, "ESRGAN"),
    (rcan, 3, "RCAN"),
    (swinir, 2, "SwinIR"),
]


@pytest.mark.parametrize(("make", "scale", "architecture"), NETWORKS)
def test_the_wrapper_equals_the_network(tmp_path, make, scale, architecture):
    reference = make().eval()
    wrapped = models.create("spandrel", scale, weights=save(reference.state_dict(), tmp_path / "n.pth")).eval()
    assert wrapped.architecture == architecture
    lr = torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(1)) * 255
    with torch.no_grad():
        expected = reference(lr / 255).clamp(0, 1) * 255
    (sr,) = wrapped(lr)
    assert sr.dtype == torch.float32
    assert sr.std() > 1
    torch.testing.assert_close(sr, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize(("make", "scale", "architecture"), NETWORKS)
def test_any_size_is_taken_and_outputs_are_ordinary_tensors(tmp_path, make, scale, architecture):
    wrapped = models.create("spandrel", scale, weights=save(make().state_dict(), tmp_path / "n.pth"))
    (sr,) = wrapped(torch.rand(2, 3, 5, 7) * 255)
    assert sr.shape == (2, 3, 5 * scale, 7 * scale)
    assert 0 <= sr.min() < sr.max() <= 255
    sr.add_(1)  # spandrel's own outputs are inference tensors, which nobody may change


def test_a_networks_noise_is_the_same_in_every_run():
    class Noisy:
        model, architecture = nn.Conv2d(3, 3, 1), SimpleNamespace(name="noisy")

        def __call__(self, image):
            return image + torch.rand_like(image)

    lr = torch.rand(2, 3, 4, 4) * 255
    before = torch.get_rng_state()
    first, again = Published(Noisy())(lr)[0], Published(Noisy())(lr)[0]
    assert torch.equal(first, again)
    assert torch.equal(first[1:], Published(Noisy())(lr[1:])[0])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("wrap", ["params", "params_ema", "state_dict"])
def test_wrapped_and_half_precision_files_give_the_same_float32_network(tmp_path, wrap):
    half = {name: value.half() for name, value in compact().state_dict().items()}
    ours = models.create("spandrel", 2, weights=save({wrap: half}, tmp_path / "half.ckpt"))
    assert {p.dtype for p in ours.parameters()} == {torch.float32}
    assert not any(p.requires_grad for p in ours.parameters())
    for name, value in ours.network.state_dict().items():
        assert torch.equal(value, half[name].float())


def test_safetensors_and_torch_files_are_one_network(tmp_path, weights):
    from safetensors.torch import save_file

    save_file(compact().state_dict(), tmp_path / "n.safetensors")
    lr = torch.rand(1, 3, 6, 5) * 255
    (by_torch,), (by_safetensors,) = (
        models.create("spandrel", 2, weights=w)(lr) for w in (weights, str(tmp_path / "n.safetensors"))
    )
    assert torch.equal(by_torch, by_safetensors)


def test_another_scale_is_refused_with_both(weights):
    with pytest.raises(UsageError, match=r"RealESRGAN Compact, a network of scale 2, and scale 4 is asked for"):
        models.create("spandrel", 4, weights=weights)


def test_restoration_is_scored_at_scale_1_alone(tmp_path):
    path = save(compact(scale=1).state_dict(), tmp_path / "denoise.pth")
    assert models.create("spandrel", 1, weights=path)(torch.rand(1, 3, 5, 7))[0].shape == (1, 3, 5, 7)
    with pytest.raises(UsageError, match=r"scale 1 \(restoration\), and scale 4 is asked for"):
        models.create("spandrel", 4, weights=path)


def test_gray_networks_are_refused(tmp_path):
    path = save(compact(channels=1).state_dict(), tmp_path / "gray.pth")
    with pytest.raises(UsageError, match=r"from 1 channel\(s\) to 1; images are RGB here"):
        models.create("spandrel", 2, weights=path)


@pytest.mark.parametrize("purpose", ["FaceSR", "Inpainting"])
def test_networks_for_something_else_are_refused(monkeypatch, weights, purpose):
    import spandrel

    kind = spandrel.MaskedImageModelDescriptor if purpose == "Inpainting" else spandrel.ImageModelDescriptor
    net = nn.Conv2d(3, 3, 1)
    more = {} if purpose == "Inpainting" else {"scale": 2}
    descriptor = kind(
        net, net.state_dict(), SimpleNamespace(name="LaMa"), purpose=purpose, tags=[], supports_half=False,
        supports_bfloat16=False, input_channels=3, output_channels=3, **more,
    )  # fmt: skip
    monkeypatch.setattr(spandrel.ModelLoader, "load_from_state_dict", lambda self, state: descriptor)
    with pytest.raises(UsageError, match=rf"holds LaMa, a network for {purpose}; super-resolution"):
        models.create("spandrel", 2, weights=weights)


def test_a_missing_extra_is_named_with_its_installation(monkeypatch, weights, capsys):
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(UsageError, match=r"^spandrel is not installed: pip install 'drnbench\[spandrel\]'$"):
        models.create("spandrel", 2, weights=weights)
    assert main(["list", "models"]) == 0
    assert "spandrel" in capsys.readouterr().out


BROKEN = """
import sys
from drnbench import models
from drnbench.cli import main
from drnbench.errors import UsageError

for what in ("models", "methods"):
    assert main(["list", what]) == 0
models.create("bicubic", 2)
assert not {"spandrel", "torchvision", "safetensors"} & set(sys.modules), "imported before anybody asked"
try:
    models.create("spandrel", 2, weights=sys.argv[1])
except UsageError as error:
    print("refused:", error)
"""


@pytest.mark.real
def test_a_broken_torchvision_is_one_line_and_affects_no_other_model(tmp_path, weights):
    broken = tmp_path / "broken" / "torchvision"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')\n")
    done = subprocess.run(
        [sys.executable, "-c", BROKEN, weights], env={**os.environ, "PYTHONPATH": str(broken.parent)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("weights=FILE") == 2
    last = done.stdout.splitlines()[-1]
    assert last.startswith("refused: spandrel cannot be imported (RuntimeError: operator torchvision::nms does not")
    assert "a torchvision that fits torch" in last


@pytest.fixture
def keys(tmp_path):
    return Keys(tmp_path / "cache")


def unit(keys, weights, scale=2):
    trial = Trial(method="spandrel", model={"weights": weights}, scale=scale, evaluate=[Evaluate("photos/test")])
    assert keys.stages(trial, "here") == []
    return keys.evaluation(trial, [], "here")


def test_keys_are_of_content_and_not_of_paths(tmp_path, keys, weights):
    first = unit(keys, weights)
    (tmp_path / "elsewhere").mkdir()
    moved = save(compact().state_dict(), tmp_path / "elsewhere" / "compact.pth")
    assert unit(keys, moved).key == first.key
    assert {e.key for e in unit(keys, moved).wanted} == {e.key for e in first.wanted}
    other = unit(keys, save(compact(seed=1).state_dict(), tmp_path / "other.pth"))
    assert other.key != first.key
    assert not {e.key for e in other.wanted} & {e.key for e in first.wanted}
    assert unit(keys, weights).model_dump()["files_digest"] == unit(keys, moved).model_dump()["files_digest"]


def test_a_file_that_changed_since_the_plan_is_noticed(tmp_path, keys, weights):
    planned, store = unit(keys, weights), Store(tmp_path / "results")
    assert isinstance(load_model(planned, store, torch.device("cpu")), Published)
    save(compact(seed=1).state_dict(), weights)
    with pytest.raises(UnitError, match="a file that spandrel reads changed since the plan was made; run the study"):
        load_model(planned, store, torch.device("cpu"))
    assert unit(Keys(keys.cache), weights).key != planned.key
    Path(weights).unlink()
    with pytest.raises(UnitError, match=r"weights: cannot read .*compact\.pth"):
        load_model(planned, store, torch.device("cpu"))


@pytest.mark.parametrize(
    ("model", "scale", "message"),
    [
        ({}, 2, "^here: spandrel takes the network from its file"),
        ({"weights": "nowhere.pth"}, 2, "^here: weights: cannot read nowhere.pth"),
        ({"weight": "n.pth"}, 2, "no size 'weight': did you mean 'weights'"),
        ({"weights": "compact.pth"}, 4, "^here: compact.pth holds .* scale 2, and scale 4"),
    ],
)
def test_a_plan_refuses_before_any_work(tmp_path, monkeypatch, keys, weights, model, scale, message):
    monkeypatch.chdir(tmp_path)
    trial = Trial(method="spandrel", model=model, scale=scale, evaluate=[Evaluate("photos/test")])
    with pytest.raises(UsageError, match=message):
        keys.evaluation(trial, keys.stages(trial, "here"), "here")


def test_costs_are_those_of_the_network_in_the_file(weights):
    # 3 -> 4, 4 -> 4, 4 -> 3 x 2 x 2 channels, each with a bias; two PReLU of 4.
    parameters = (27 * 4 + 4) + (36 * 4 + 4) + (36 * 12 + 12) + 2 * 4
    macs, activations = (27 * 4 + 36 * 4 + 36 * 12) * 10 * 12, (4 + 4 + 12) * 10 * 12
    assert costs("spandrel", 2, {"weights": weights}, (10, 12)) == Costs(parameters, macs, activations)


def test_a_model_that_reads_files_cannot_be_registered_for_training():
    with pytest.raises(DrnbenchError, match="register it with scheme=None"):
        Model("mine", lambda scale, weights=None: nn.Identity(), "a model", files=("weights",))


STUDY = '''"""Where does a published network stand?"""

from drnbench import Axis, Data, Evaluate, Stage, Study, Table, Trial

train = Stage("train", data=Data("photos/train"), steps=4, lr=1e-3)
study = Study(
    base=Trial(method="edsr", model={{"n_blocks": 1, "n_feats": 4}}, scale=2, stages=[train],
               evaluate=[Evaluate("photos/test", count=2)]),
    axes=[Axis("method", {{
        "ours": {{}},
        "theirs": {{"method": "spandrel", "model": {{"weights": "{weights}"}}, "stages": []}},
    }})],
    seeds=2, baseline={{"method": "ours"}}, outputs=[Table(rows="method", costs=("parameters", "macs"))],
)
'''


@pytest.mark.real
def test_a_study_has_a_published_network_as_an_arm(tmp_path, weights):
    (tmp_path / "where.py").write_text(STUDY.format(weights=weights), encoding="utf-8")
    run = ("run", "where.py", "--profile", "tiny", "--tracking-uri", "off", "--device", "cpu")
    done = call(*run, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    results = tmp_path / "results"
    table = (results / "where" / "tiny" / "table_method.csv").read_text(encoding="utf-8")
    assert {"ours", "theirs", "bicubic"} <= {line.split(",")[0] for line in table.splitlines()}, table
    plan = json.loads((results / "where" / "tiny" / "plan.json").read_text(encoding="utf-8"))
    theirs = {trial["key"] for trial in plan["trials"] if trial["arm"] == "theirs"}
    assert len(theirs) == 1  # a seed means nothing to a network that nobody trains
    recorded = json.loads((results / "trials" / theirs.pop() / "scores.json").read_text(encoding="utf-8"))
    assert recorded["costs"]["parameters"] == sum(p.numel() for p in compact().parameters())
    again = call(*run, cwd=tmp_path)
    assert "nothing to train" in again.stdout, again.stdout + again.stderr


def test_evaluate_scores_a_published_network_like_any_method(weights, tmp_path, capsys):
    out = tmp_path / "scores.json"
    args = [
        "evaluate",
        "spandrel",
        "--scale",
        "2",
        "--data",
        "photos/test",
        "--weights",
        str(weights),
        "--device",
        "cpu",
    ]
    assert main([*args, "--json", str(out), "--tile", "64", "--metrics", "psnr_y,lr_psnr"]) == 0
    record = json.loads(out.read_text())
    assert (record["model"], record["weights"], len(record["images"])) == ("spandrel", str(weights), 5)
    assert record["mean"]["psnr_y"] > 0
    assert "PSNR-Y" in capsys.readouterr().out
    assert main([*args[:6], "--device", "cpu"]) == 2
    assert "give --weights FILE" in capsys.readouterr().err
