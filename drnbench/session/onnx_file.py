"""ONNX files of networks: written by PyTorch's exporter, and compared with the network through onnxruntime."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drnbench.errors import UsageError
from drnbench.store import atomic

if TYPE_CHECKING:
    from torch import Tensor, nn

TOLERANCE = 1e-2
"""Largest difference between the file's output and the network's, in gray levels."""
SIZES = ((1, 17, 24), (2, 32, 21))
"""Images, height and width of the LR inputs that both are compared on."""
EXAMPLE = (2, 24, 32)
"""Images, height and width of the input that the network is traced with; all of them are free in the file."""
FORMAT = {
    "input": "lr: N x 3 x H x W float32, RGB in this order, gray levels 0..255; N, H and W are free",
    "output": "sr: N x 3 x scale*H x scale*W float32, RGB, gray levels; neither rounded nor, in most networks, clamped to 0..255",
    "use": "round, then clip to 0..255 for 8-bit images",
}
"""Metadata of every file."""


def check_packages() -> None:
    """Refuse where a package of the extra `onnx` is missing.

    Raises:
        UsageError: with the command that installs it.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UsageError(f"{error.name or 'onnx'} is not installed: pip install 'drnbench[onnx]'") from error


def write_onnx(network: nn.Module, path: Path, facts: Mapping[str, str]) -> float:
    """Write a network as an ONNX file whose batch, height and width are free.

    Args:
        network: N x 3 x H x W in 0..255 -> outputs, the last of which is SR; in evaluation mode, on the CPU.
        path: of the file, which appears whole and only if it computes what the network does.
        facts: metadata beside `FORMAT`.

    Returns:
        The largest difference between the file's output and the network's at `SIZES`, in gray levels.

    Raises:
        UsageError: a missing package, a network that PyTorch's exporter does not translate, or a file whose output differs.
    """
    check_packages()
    with atomic(path) as temporary:
        exported = _exported(network)
        exported.model.metadata_props.update({**FORMAT, **facts})
        exported.save(temporary)
        difference = _difference(network, temporary)
        if not difference <= TOLERANCE:  # or NaN
            raise UsageError(
                f"no ONNX file is written: its output differs from the network's by {difference:.3g} gray levels (limit {TOLERANCE:g})"
            )
    return difference


def _exported(network: nn.Module) -> Any:
    import torch

    class SuperResolution(torch.nn.Module):
        """The last output of the network alone."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, lr: Tensor) -> Tensor:
            outputs: tuple[Tensor, ...] = getattr(self.network, "exportable", self.network)(lr)
            return outputs[-1]

    images, height, width = EXAMPLE
    axes = {0: "batch", 2: "height", 3: "width"}
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter about itself
            return torch.onnx.export(
                SuperResolution().eval(), (_image(images, height, width),), dynamo=True, dynamic_shapes=(axes,),
                input_names=["lr"], output_names=["sr"], verbose=False,
            )  # fmt: skip
    except Exception as error:  # the exporter raises nearly anything on operations that it does not know
        reason = " ".join(str(error.__cause__ or error).split())[:160]
        raise UsageError(f"PyTorch's exporter cannot write this network as ONNX ({reason})") from error


def _difference(network: nn.Module, path: Path) -> float:
    import torch
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.log_severity_level = 4  # what fails is raised
    try:
        session, largest = InferenceSession(path, options, providers=["CPUExecutionProvider"]), 0.0
        for images, height, width in SIZES:
            lr = _image(images, height, width)
            with torch.no_grad():
                expected = network(lr)[-1]
            (actual,) = session.run(["sr"], {"lr": lr.numpy()})
            largest = max(largest, float((torch.from_numpy(actual) - expected).abs().max()))
    except Exception as error:  # onnxruntime's errors have no common class
        reason = " ".join(str(error).split())[:160]
        raise UsageError(f"no ONNX file is written: onnxruntime cannot run it at other sizes ({reason})") from error
    return largest


def _image(images: int, height: int, width: int) -> Tensor:
    import torch

    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (images, 3, height, width), generator=generator).float()
