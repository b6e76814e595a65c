"""Published networks, read from their files of weights by the package spandrel: RCAN, SwinIR, HAT, ESRGAN, ...

spandrel infers architecture and sizes from the names and shapes of the parameters. It is an extra, imported when a
network is built.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from drnbench.errors import UsageError
from drnbench.models import wrapping


class Published(nn.Module):
    """A network that spandrel supports, under the contract of this package.

    spandrel pads an image to a size that the network takes, crops the output to the scale, and clamps it: a self-ensemble
    is the mean of clamped images, where EDSR's is clamped once, which differs near black and white. Weights are
    float32, also where the file holds half precision, and have no gradients.

    Attributes:
        network: the module itself, with the names of its authors.
        architecture: spandrel's name, such as "ESRGAN".
    """

    def __init__(self, descriptor: Any) -> None:
        super().__init__()
        self.network: nn.Module = descriptor.model.float().requires_grad_(requires_grad=False)
        self.architecture: str = descriptor.architecture.name
        self._descriptor = descriptor  # holds `network` too, and moves with it

    def forward(self, lr: Tensor) -> tuple[Tensor]:
        """N x 3 x H x W float32 in 0..255 -> one image of scale x the size in 0..255, not rounded."""
        # Some networks (AuraSR) draw noise when they run: the same for every image, so that scores are reproducible.
        with torch.random.fork_rng(devices=[lr.device] if lr.is_cuda else []):
            out = [self._enlarge(image[None]) for image in (lr / 255).unbind()]  # spandrel supports one image at a time
        return (torch.cat(out) * 255,)

    def exportable(self, lr: Tensor) -> tuple[Tensor]:
        """As `forward`, for exporters: they follow neither the state of random numbers nor images one by one."""
        sr: Tensor = self._descriptor(lr / 255)
        return (sr * 255,)

    def _enlarge(self, image: Tensor) -> Tensor:
        torch.manual_seed(0)
        sr: Tensor = self._descriptor(image)
        return sr


def load(scale: int, weights: str | None) -> Published:
    """Return the network that a file of weights (.pth, .pt, .ckpt, .safetensors) holds.

    No code in the file is run: only tensors and plain containers are read, so TorchScript is refused.

    Raises:
        UsageError: no file, not one that can be read safely, no network that spandrel knows, another scale, not RGB, not
            for super-resolution (at scale 1: or restoration); spandrel or its torchvision cannot be imported.
    """
    if weights is None:
        raise UsageError(
            "spandrel takes the network from its file of weights: give --weights FILE, or model={'weights': 'FILE'} in a study"
        )
    path = Path(weights)
    if not path.is_file():
        raise UsageError(f"weights: no such file: {path}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about the authors' code
        package = _package()
        descriptor = _descriptor(package, path)
    if problem := _mismatch(package, descriptor, scale):
        raise UsageError(f"{path} holds {descriptor.architecture.name}, {problem}")
    return Published(descriptor)


def _package() -> Any:
    try:
        import spandrel as package
    except Exception as error:  # a torchvision of another torch raises a RuntimeError
        if isinstance(error, ModuleNotFoundError) and error.name == "spandrel":
            raise UsageError("spandrel is not installed: pip install 'drnbench[spandrel]'") from error
        raise UsageError(
            f"spandrel cannot be imported ({_line(error)}); install a torchvision that fits torch {torch.__version__}"
        ) from error
    return package


def _descriptor(package: Any, path: Path) -> Any:
    """Return spandrel's descriptor of the network in a file, on the CPU.

    spandrel itself unwraps what it does; wrappings of trainers that it does not know are tried afterwards.
    """
    content, failures = _read(path), list[Exception]()
    wrapped = sorted(wrapping.state_dicts(content), key=lambda state_dict: state_dict.rank)
    for state in [content, *(part.state for outer in wrapped for part in wrapping.without_prefixes(outer))]:
        try:
            # Even if a caller has set another default device, as counting costs does.
            with torch.device("cpu"):
                return package.ModelLoader().load_from_state_dict(state)
        except Exception as error:  # noqa: BLE001 - names of an architecture with other shapes raise any error
            failures.append(error)
    misfit = next((failure for failure in failures if not isinstance(failure, package.UnsupportedModelError)), None)
    if misfit is not None:
        raise UsageError(
            f"{path} cannot be made into a network by spandrel ({_line(misfit)}); is it whole?"
        ) from misfit
    places = "; ".join(outer.place for outer in wrapped[:4] if outer.place)
    raise UsageError(
        f"{path} holds no network that spandrel {package.__version__} knows{f' (looked under {places})' if places else ''}; "
        "its documentation lists those it does"
    ) from failures[0]


def _read(path: Path) -> dict[str, Any]:
    """Read tensors and plain containers; not by spandrel's reader, which also runs TorchScript's loader."""
    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path, device="cpu"))
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the readers raise nearly anything on bytes of another format
        raise UsageError(
            f"{path} holds no weights that can be read safely: give a state dict that torch.save wrote, or a .safetensors"
        ) from error
    if not isinstance(state, dict):
        raise UsageError(f"{path} holds no state dict: expected names and tensors")
    return state


def _mismatch(package: Any, network: Any, scale: int) -> str | None:
    """Return why a network cannot be scored at a scale; None if it can."""
    if not isinstance(network, package.ImageModelDescriptor) or network.purpose not in {"SR", "Restoration"}:
        return f"a network for {network.purpose}; super-resolution networks are scored here"
    if network.scale != scale:
        purpose = " (restoration)" if network.purpose == "Restoration" else ""
        return f"a network of scale {network.scale}{purpose}, and scale {scale} is asked for; give a file of that scale"
    if (network.input_channels, network.output_channels) != (3, 3):
        return (
            f"a network from {network.input_channels} channel(s) to {network.output_channels}; "
            "images are RGB here: give one from 3 to 3"
        )
    return None


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
