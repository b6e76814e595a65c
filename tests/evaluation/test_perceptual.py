"""LPIPS: the published example's numbers, and what is said where it cannot be computed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from drnbench.config.protocol import Protocol
from drnbench.data.images import read_rgb
from drnbench.errors import DataError, UsageError
from drnbench.evaluation import metrics
from drnbench.evaluation.metric import Item
from drnbench.models import perceptual

REPOSITORY = Path(__file__).resolve().parents[2]
ALEX = "alexnet-owt-7be5be79.pth"
NOISE = np.random.default_rng(0).integers(0, 256, (2, 48, 64, 3), dtype=np.uint8)


@pytest.fixture
def home(monkeypatch):
    """Set TORCH_HOME to a folder that has AlexNet's weights."""
    pytest.importorskip("lpips")
    folder = Path(os.environ.get("TORCH_HOME") or REPOSITORY.parent / "shared" / "torch_home").resolve()
    if not (folder / "hub" / "checkpoints" / ALEX).is_file():
        pytest.skip(f"no AlexNet weights in {folder}: set TORCH_HOME to a folder that has hub/checkpoints/{ALEX}")
    monkeypatch.setenv("TORCH_HOME", str(folder))
    return folder


@pytest.fixture
def empty(monkeypatch, tmp_path):
    """Set TORCH_HOME to an empty folder and return where its weights would be."""
    pytest.importorskip("lpips")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    checkpoints = tmp_path / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    return checkpoints


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | environment, check=False
    )


# The example of the lpips package: its README prints (0.722, 0.138).
@pytest.mark.parametrize(("file", "value"), [("ex_p0.png", 0.7219), ("ex_p1.png", 0.1376)])
def test_published_example(home, golden, file, value):
    hr, sr = (read_rgb(golden / "lpips" / name) for name in ("ex_ref.png", file))
    assert metrics.get("lpips").score(sr, hr, 1, Protocol()) == pytest.approx(value, abs=1e-4)


def test_the_whole_image_counts_and_rounding_is_the_protocols(home):
    lpips = metrics.get("lpips")
    sr, hr = NOISE
    exact = sr + np.float32(0.3)
    item = Item("x", None, sr, hr, 4, "bicubic", exact=exact)
    value = lpips.measure(item, Protocol())
    assert value == lpips.score(sr, hr, 4, Protocol(border=8, y_round=True)) > 0
    assert lpips.score(exact, hr, 4, Protocol()) == value
    assert lpips.measure(item, Protocol(quantise=False)) not in {value, 0}
    assert set(Protocol(border=8).fields_of(lpips)) == {"quantise"}


def test_equal_images_have_no_distance_and_hr_is_cropped(home):
    lpips = metrics.get("lpips")
    assert lpips.score(NOISE[0], NOISE[0], 4, Protocol()) == 0
    larger = np.pad(NOISE[1], ((0, 3), (0, 1), (0, 0)), mode="edge")
    assert lpips.score(NOISE[0], larger, 4, Protocol()) == lpips.score(NOISE[0], NOISE[1], 4, Protocol())
    with pytest.raises(DataError, match="SR is 64 x 48 pixels"):
        lpips.score(NOISE[0], NOISE[1][:44], 4, Protocol())


def test_images_smaller_than_the_trunk_takes(home):
    lpips = metrics.get("lpips")
    a, b = NOISE[:, :31, :64]
    assert lpips.score(a, b, 1, Protocol()) > 0
    for height, width in ((30, 64), (48, 30)):
        with pytest.raises(DataError, match=rf"needs 31 x 31 pixels for AlexNet, but an image has {width} x {height}"):
            lpips.score(NOISE[0, :height, :width], NOISE[1, :height, :width], 1, Protocol())


@pytest.mark.parametrize(
    ("name", "file", "fetch"), [("lpips", ALEX, "alexnet"), ("lpips_vgg", "vgg16-397923af.pth", "vgg16")]
)
def test_missing_weights_are_reported_and_not_downloaded(empty, name, file, fetch):
    with pytest.raises(UsageError) as caught:
        metrics.get(name).check_available()
    message = str(caught.value)
    assert str(empty / file) in message
    assert f"python -m drnbench data fetch {fetch}" in message
    assert "set TORCH_HOME" in message
    assert "\n" not in message
    assert not any(empty.iterdir())


def cut(path):
    whole = path.with_suffix(".whole")
    torch.save({"features.0.weight": torch.zeros(64, 3, 11, 11)}, whole)
    path.write_bytes(whole.read_bytes()[:5000])


def other(path):
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3), "classifier": torch.zeros(1)}, path)


def tensor(path):
    torch.save(torch.zeros(3), path)


@pytest.mark.parametrize("spoil", [cut, other, tensor, lambda path: path.write_bytes(b"")])
def test_broken_weights_are_one_line(empty, spoil):
    spoil(empty / ALEX)
    with pytest.raises(UsageError, match="is truncated or not torchvision's AlexNet") as caught:
        metrics.get("lpips").check_available()
    assert str(empty / ALEX) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("package", "advice"), [("lpips", "pip install"), ("torchvision", "same build")])
def test_a_package_that_cannot_be_imported(monkeypatch, package, advice):
    monkeypatch.setitem(sys.modules, package, None)
    perceptual.import_error.cache_clear()
    try:
        with pytest.raises(UsageError, match=f"needs {package}, which cannot be imported.*{advice}"):
            metrics.get("lpips").check_available()
    finally:
        perceptual.import_error.cache_clear()


@pytest.mark.real
def test_vgg_with_weights_of_its_shape(empty):
    from torchvision.models import vgg16

    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in vgg16(weights=None).features.state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    weights = {f"features.{name}": torch.randn(shape, generator=generator) * 0.05 for name, shape in shapes.items()}
    # The format before torch 1.6, in which torchvision's own file of 2017 still is.
    torch.save(weights, empty / "vgg16-397923af.pth", _use_new_zipfile_serialization=False)
    lpips = metrics.get("lpips_vgg")
    lpips.check_available()
    a, b = NOISE
    assert lpips.score(a, a, 4, Protocol()) == 0
    assert lpips.score(a, b, 4, Protocol()) == lpips.score(b, a, 4, Protocol()) > 0
    with pytest.raises(DataError, match="needs 16 x 16 pixels for VGG-16"):
        lpips.score(a[:15], b[:15], 1, Protocol())


@pytest.mark.real
def test_a_torchvision_that_does_not_fit_torch_stops_lpips_alone(tmp_path):
    pytest.importorskip("lpips")
    broken = tmp_path / "torchvision"
    broken.mkdir()
    (broken / "__init__.py").write_text('raise RuntimeError("operator torchvision::nms does not exist")\n')
    code = """
import numpy as np
from drnbench.errors import UsageError
from drnbench.evaluation import metrics
from drnbench.evaluation.protocol import Protocol
sr, hr = np.random.default_rng(0).integers(0, 256, (2, 40, 52, 3), dtype=np.uint8)
for name in ("psnr_y", "ssim_y"):
    metrics.get(name).check_available()
    print(metrics.get(name).score(sr, hr, 4, Protocol()))
print({"lpips", "lpips_vgg", "niqe", "psnr_y"} <= set(metrics.list()))
for again in range(2):
    try:
        metrics.get("lpips").check_available()
    except UsageError as error:
        print(error)
"""
    result = run(code, PYTHONPATH=str(tmp_path))
    assert result.returncode == 0, result.stderr
    psnr, ssim, listed, first, second = result.stdout.splitlines()
    sr, hr = np.random.default_rng(0).integers(0, 256, (2, 40, 52, 3), dtype=np.uint8)
    assert float(psnr) == metrics.get("psnr_y").score(sr, hr, 4, Protocol())
    assert float(ssim) == metrics.get("ssim_y").score(sr, hr, 4, Protocol())
    assert listed == "True"
    assert "operator torchvision::nms does not exist" in first
    assert "same build" in first
    assert second == first


@pytest.mark.real
def test_nothing_is_printed(home):
    code = """
import numpy as np
from drnbench.evaluation import metrics
from drnbench.evaluation.protocol import Protocol
metrics.get("lpips").check_available()
black = np.zeros((40, 52, 3), np.uint8)
print(metrics.get("lpips").score(black, black, 4, Protocol()))
"""
    result = run(code, PYTHONWARNINGS="always::UserWarning,always::FutureWarning", TORCH_HOME=str(home))
    assert (result.stdout, result.stderr) == ("0.0\n", "")
