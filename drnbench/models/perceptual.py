"""The network of LPIPS (Zhang et al. 2018), version 0.1: to score with, and to train with.

The package `lpips` contains its calibrated linear layers, 6 kB a trunk. The trunk's ImageNet weights are torchvision's,
hundreds of megabytes, and lpips would download them in the middle of a run; here they are read from torch.hub's folder,
and their absence is reported by `network`.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from functools import cache, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from drnbench.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


Distance = Callable[["Tensor", "Tensor"], "Tensor"]


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


def network(trunk: Trunk) -> nn.Module:
    """Return LPIPS with a trunk, on the CPU and not trainable; the same object at every call.

    Raises:
        UsageError: lpips or torchvision cannot be imported, or the weights are missing or broken.
    """
    import torch

    check_packages()
    return _build(trunk, Path(torch.hub.get_dir()) / "checkpoints" / trunk.file)


def differentiable(trunk: Trunk, device: torch.device) -> Distance:
    """Return LPIPS of batches in [-1, 1] as a loss: N x 3 x H x W twice -> N; the second batch gets no gradient.

    Two operations differ from those that score, and no value does but for the last bits. The gradient of a normalised
    feature is finite where all channels are 0; maximum pooling is a maximum of strided slices, whose gradient is
    deterministic on CUDA, too.

    Raises:
        UsageError: as `network`.
    """
    return _differentiable(network(trunk), device)


@cache
def _differentiable(scoring: nn.Module, device: torch.device) -> Distance:
    import torch
    from torch import nn

    lpips_network: Any = copy.deepcopy(scoring).to(device)
    module: Any
    for name, module in list(lpips_network.net.named_modules()):
        if isinstance(module, nn.MaxPool2d):
            side, stride = (size if isinstance(size, int) else size[0] for size in (module.kernel_size, module.stride))
            slices = lpips_network.net.get_submodule(name.rpartition(".")[0])
            setattr(slices, name.rpartition(".")[2], _pooling(side, stride))

    def features(images: Tensor) -> list[Tensor]:
        layers = lpips_network.net(lpips_network.scaling_layer(images))
        return [layer / (layer.square().sum(1, keepdim=True) + 1e-20).sqrt() for layer in layers]

    def distance(sr: Tensor, hr: Tensor) -> Tensor:
        with torch.no_grad():
            targets = features(hr)
        layers = zip(lpips_network.lins, features(sr), targets, strict=True)
        total: Tensor = sum(linear((a - b).square()).mean((1, 2, 3)) for linear, a, b in layers)
        return total

    return distance


def _pooling(side: int, stride: int) -> nn.Module:
    """Return maximum pooling without padding."""
    import torch
    from torch import nn

    class Pooling(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            height, width = ((size - side) // stride * stride + 1 for size in x.shape[-2:])
            offsets = [(row, column) for row in range(side) for column in range(side)]
            return reduce(torch.maximum, (x[..., r : r + height : stride, c : c + width : stride] for r, c in offsets))

    return Pooling()


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
        UsageError: the file is missing, truncated or of another lpips_network.
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
            lpips_network = lpips.LPIPS(
                net=trunk.net, version="0.1", lpips=True, pretrained=False, pnet_rand=True, verbose=False
            )
        linear = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{trunk.net}.pth"
        lpips_network.load_state_dict(
            torch.load(linear, map_location="cpu", weights_only=True), strict=False, assign=True
        )
        try:
            weights = torch.load(path, map_location="cpu", weights_only=True)
            # lpips cuts torchvision's `features` into slices and keeps their numbers: slice2.3.weight, features.3.weight.
            lpips_network.net.load_state_dict(
                {
                    name: weights["features." + name.partition(".")[2]].float()
                    for name in lpips_network.net.state_dict()
                },
                assign=True,
            )
        except Exception as error:
            raise UsageError(
                f"{path} is truncated or not torchvision's {trunk.label} ({_short(error)}): remove it, then {fetch}"
            ) from error
    lpips_network.scaling_layer = lpips.ScalingLayer()
    assert not any(tensor.is_meta for tensor in lpips_network.state_dict().values())
    built: nn.Module = lpips_network.eval().requires_grad_(False)
    return built
