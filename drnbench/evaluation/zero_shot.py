"""Zero-shot methods on test sets: each image is fitted once, and the result is kept, so a killed scoring goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from drnbench.config.keys import digest
from drnbench.data.images import center_crop, degrade, mod_crop, pixel_sha, read_rgb, to_tensor
from drnbench.data.sampling import derived_seed
from drnbench.datasets.sources import resolve
from drnbench.degradations import identity, parse
from drnbench.degradations.kernel import Taps
from drnbench.evaluation.inference import Upscaler
from drnbench.models.operator import Operator
from drnbench.store import Damaged, Fault, atomic, read_arrays
from drnbench.store.code import code_fingerprint
from drnbench.store.integrity import report, set_aside
from drnbench.store.unit_files import FITS
from drnbench.zeroshot.adaptation import parse as parse_adaptation
from drnbench.zeroshot.base import Fit, FitInput, ZeroShot

CLEAN, CLEAN_SIDE = 5, 64
"""Clean images that an adaptation reads, the first ones of their source, and the side of their centre in LR pixels."""

Progress = Callable[[int, int], None]
"""Called after each step with the steps done and the most there will be; it may raise to end the fit."""


class ImageFitter(Upscaler):
    """Fits a zero-shot method to one image after another, and super-resolves each.

    The random numbers of an image depend on the seed and its pixels alone, so its result is the same in every order, after
    every interruption and in every process.

    Args:
        method: the zero-shot method, on `device`.
        scale: HR size over LR size.
        device: of the method.
        kernel: spec of the degradation of the images.
        seed: of the trial.
        source: of the test set, as results record it.
        folder: of the trial, which keeps the results in `fits`; None: they are not kept.
        progress: of the fit of an image.
    """

    def __init__(
        self, method: ZeroShot, scale: int, device: torch.device, *, kernel: str, seed: int, source: str = "",
        folder: Path | None = None, progress: Progress = lambda step, steps: None,  # noqa: ARG005
    ) -> None:  # fmt: skip
        super().__init__(method, scale, device)
        self.method, self.kernel, self.seed, self.source = method, kernel, seed, source
        self.folder, self.progress = folder, progress

    def _image(self, lr: NDArray[np.uint8]) -> torch.Tensor:
        sha = pixel_sha(lr)
        name = fit_name(sha, self.kernel, self.method.identity)
        path = None if self.folder is None else self.folder / FITS / f"{name}.npz"
        if path is not None and (stored := _read(path)) is not None:
            return self._with_operator(*stored)
        start = time.monotonic()
        seed = derived_seed(self.seed, f"zero-shot {sha}")
        image = FitInput(to_tensor(lr).to(self.device), parse(self.kernel), seed)
        fit = self.method.fit(image, lambda step: self.progress(step, self.method.steps))
        if path is not None:
            self._keep(path, fit, time.monotonic() - start)
        return self._with_operator(fit.sr, fit.kernel)

    def _with_operator(self, sr: torch.Tensor, kernel: Taps | None) -> torch.Tensor:
        self.operator = None if kernel is None else Operator(kernel, self.scale, learned=False).to(self.device)
        return sr

    def _keep(self, path: Path, fit: Fit, seconds: float) -> None:
        record = {
            "sr": fit.sr.float().cpu().numpy(), "steps": fit.steps, "seconds": seconds, "device": self.device.type,
            "set": f"{self.source} {self.kernel}",
        }  # fmt: skip
        if fit.kernel is not None:
            record |= {"kernel": fit.kernel.weights.double().cpu().numpy(), "first": fit.kernel.first}
        # The temporary file lies in the trial's folder, where those of killed processes are removed.
        with atomic(path, self.folder) as temporary, temporary.open("wb") as file:
            np.savez(file, **{name: np.asarray(value) for name, value in record.items()})  # type: ignore[arg-type]


def fit_name(sha: str, kernel: str, network: str = "") -> str:
    """Return the name of the file of a fit: by the pixels of the LR image, the degradation and the code that fits.

    Args:
        sha: of the pixels.
        kernel: spec of the degradation.
        network: digest of the weights that the fit starts from, whose code counts then, too.
    """
    trained = {"network": network, "networks": code_fingerprint("evaluate")} if network else {}
    return digest({"lr": sha, "kernel": identity(kernel), "code": code_fingerprint("fit"), **trained})[:32]


def adapted(network: nn.Module, test_time: str, scale: int, frames: Path) -> ZeroShot:
    """Return the method that adapts a trained network to each test image.

    Args:
        network: with its trained weights.
        test_time: spec of the adaptation.
        scale: HR size over LR size.
        frames: folder for the frames of videos among the clean images.
    """
    settings, bicubic = parse_adaptation(test_time), parse("bicubic")

    def clean() -> list[torch.Tensor]:
        images = []
        for image in resolve(str(settings.clean_source), frames).images[:CLEAN]:
            hr = mod_crop(center_crop(read_rgb(image.path), CLEAN_SIDE * scale), scale)
            images.append(to_tensor(degrade(bicubic, hr, scale, pixel_sha(hr))))
        return images

    return settings.wrap(network, scale, clean)


def _read(path: Path) -> tuple[torch.Tensor, Taps | None] | None:
    """Return a stored SR image, 1 x 3 x sH x sW, and its kernel; a file that is not whole is set aside, the image fitted again."""
    try:
        content = read_arrays(path)
        sr = torch.from_numpy(content["sr"])
        if "kernel" not in content:
            return sr, None
        row, column = (int(first) for first in content["first"].tolist())
        return sr, Taps(torch.from_numpy(content["kernel"]), (row, column))
    except FileNotFoundError:
        return None
    except (Damaged, KeyError, TypeError) as error:
        reason = str(error) if isinstance(error, Damaged) else "holds no SR image"
        report(Fault(path, reason), "set aside; the image is fitted again")
        set_aside(path)
        return None
