"""LPIPS (Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric"), version 0.1.

The package `lpips` contains its calibrated linear layers, 6 kB a trunk. The trunk's ImageNet weights are torchvision's,
hundreds of megabytes, and lpips would download them in the middle of a run; here they are read from torch.hub's folder,
and their absence is reported by `check_available`.
"""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from drnbench.config.protocol import Protocol
from drnbench.errors import DataError, UsageError
from drnbench.evaluation import metrics
from drnbench.evaluation.metric import Metric
from drnbench.evaluation.protocol import Pixels, align

if TYPE_CHECKING:
    from torch import Tensor, nn


class Trunk(NamedTuple):
    """A network whose features LPIPS compares.

    Attributes:
        net: lpips' name.
        label: in messages.
        fetch: name of its weights in `data fetch`.
        file: torchvision's file of them.
        smallest: shortest side of an image in pixels, below which its poolings leave no feature.
    """

    net: str
    label: str
    fetch: str
    file: str
    smallest: int


ALEX = Trunk("alex", "AlexNet", "alexnet", "alexnet-owt-7be5be79.pth", 31)
VGG = Trunk("vgg", "VGG-16", "vgg16", "vgg16-397923af.pth", 16)


class Lpips(Metric):
    """Distance of two images in the features of a trunk: RGB in [-1, 1], the whole image, no border shaved."""

    higher_is_better: ClassVar[bool] = False
    version: ClassVar[str] = "0.1"  # of LPIPS: 0.0 did not scale its input
    reads: ClassVar[frozenset[str]] = frozenset({"quantise"})
    color: ClassVar[str] = "rgb"
    packages: ClassVar[tuple[str, ...]] = ("lpips", "torchvision")
    trunk: ClassVar[Trunk]

    def check_available(self) -> None:
        """See `Metric.check_available`; the network that is built is kept for scoring.

        Raises:
            UsageError: lpips or torchvision cannot be imported, or the weights are missing or broken.
        """
        self._network()

    def score(self, sr: NDArray[Any], hr: Pixels, scale: int, protocol: Protocol) -> float:
        """Return a number of at least 0, computed in float32 on the CPU; see `Metric.score`."""
        import torch

        a, b = align(sr, hr, scale, protocol)
        height, width = b.shape[:2]
        if min(height, width) < self.trunk.smallest:
            raise DataError(
                f"LPIPS needs {self.trunk.smallest} x {self.trunk.smallest} pixels for {self.trunk.label}, but an image "
                f"has {width} x {height}: use larger images, or leave out {self.name}"
            )
        with torch.inference_mode():
            return float(self._network()(_signed(a), _signed(b)))

    def _network(self) -> nn.Module:
        import torch

        check_packages()
        return _build(self.trunk, Path(torch.hub.get_dir()) / "checkpoints" / self.trunk.file)


@metrics.register("lpips")
class LpipsAlex(Lpips):
    """LPIPS with AlexNet: the variant that papers report unless they state another."""

    label: ClassVar[str] = "LPIPS"
    summary: ClassVar[str] = "LPIPS 0.1 (AlexNet) on RGB, the whole image; lower is better"
    trunk: ClassVar[Trunk] = ALEX


@metrics.register("lpips_vgg")
class LpipsVgg(Lpips):
    """LPIPS with VGG-16."""

    label: ClassVar[str] = "LPIPS (VGG)"
    summary: ClassVar[str] = "LPIPS 0.1 (VGG-16) on RGB, the whole image; lower is better"
    trunk: ClassVar[Trunk] = VGG


def _signed(image: NDArray[Any]) -> Tensor:
    """Return float32 1 x 3 x H x W in [-1, 1] of H x W x 3 in 0..255."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)[None] / 127.5 - 1, dtype=np.float32))


def check_packages() -> None:
    """Refuse to go on if lpips or torchvision cannot be imported.

    Raises:
        UsageError: which of them, the reason, and advice.
    """
    for package, advice in (
        ("torchvision", "install the torchvision of the same build (CPU or CUDA) and release as torch"),
        ("lpips", "pip install --force-reinstall lpips"),
    ):
        if error := import_error(package):
            raise UsageError(f"LPIPS needs {package}, which cannot be imported here ({error}): {advice}")


@cache
def import_error(package: str) -> str:
    """Return why a package cannot be imported, "" if it can; cached, as a second attempt fails for another reason."""
    import importlib

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module(package)
    except Exception as error:  # noqa: BLE001 - a build that does not match torch raises RuntimeError, OSError, ...
        return _short(error)
    return ""


def _short(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 120 else f"{text[:117]}..."


@cache
def _build(trunk: Trunk, path: Path) -> nn.Module:
    """Return LPIPS with the weights of a file, on the CPU; built once a process.

    Raises:
        UsageError: the file is missing, truncated or of another network.
    """
    import lpips
    import torch

    fetch = f"python -m drnbench data fetch {trunk.fetch}"
    if not path.is_file():
        raise UsageError(
            f"LPIPS needs torchvision's {trunk.label} weights, but {path} does not exist: {fetch}, "
            f"or set TORCH_HOME to the folder that has hub/checkpoints/{trunk.file}"
        )
    with warnings.catch_warnings():
        # lpips builds its trunk with an argument that torchvision has deprecated.
        warnings.simplefilter("ignore")
        with torch.device("meta"):  # neither memory nor random numbers for weights that are replaced at once
            network = lpips.LPIPS(
                net=trunk.net, version="0.1", lpips=True, pretrained=False, pnet_rand=True, verbose=False
            )
        linear = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{trunk.net}.pth"
        network.load_state_dict(torch.load(linear, map_location="cpu", weights_only=True), strict=False, assign=True)
        try:
            weights = torch.load(path, map_location="cpu", weights_only=True)
            # lpips cuts torchvision's `features` into slices and keeps their numbers: slice2.3.weight, features.3.weight.
            network.net.load_state_dict(
                {name: weights["features." + name.partition(".")[2]].float() for name in network.net.state_dict()},
                assign=True,
            )
        except Exception as error:
            raise UsageError(
                f"{path} is truncated or not torchvision's {trunk.label} ({_short(error)}): remove it, then {fetch}"
            ) from error
    network.scaling_layer = lpips.ScalingLayer()
    assert not any(tensor.is_meta for tensor in network.state_dict().values())
    built: nn.Module = network.eval().requires_grad_(False)
    return built
