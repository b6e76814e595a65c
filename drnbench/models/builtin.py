"""The models of this package: name, scales and sizes of each.

A plan needs these and no network, so the networks, and PyTorch with them, are imported when a model is built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from drnbench.models import on_demand
from drnbench.models._registry import models
from drnbench.models.channels import CHANNELS
from drnbench.zeroshot import on_demand as zero_shot

if TYPE_CHECKING:
    from torch import nn


Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _drn_s(scale: int) -> dict[str, int]:
    return {"n_blocks": 30, "n_feats": 8 if scale == 8 else 16}


@models.register("drn", "DRN with free sizes (n_blocks, n_feats); DRN-S where none are given", scales=(2, 4, 8),
          scheme="paired", multiscale=True, sizes=_drn_s)  # fmt: skip
def drn(scale: int, n_blocks: int | None = None, n_feats: int | None = None, train_mean: bool = True) -> nn.Module:
    """Build a DRN; sizes left out are DRN-S's at that scale.

    train_mean: mean shift layers trainable, as in the authors' code, or frozen.
    """
    sizes = _drn_s(scale)
    return on_demand.drn.DRN(scale, n_blocks or sizes["n_blocks"], n_feats or sizes["n_feats"], train_mean=train_mean)


@models.register("drn-compressed", "DRN-S without 30, 50 or 70 % of its channels, as its authors compressed it",
          scales=(4, 8), scheme="paired", multiscale=True, sizes=_drn_s)  # fmt: skip
def drn_compressed(scale: int, rate: Literal[30, 50, 70] = 30, train_mean: bool = True) -> nn.Module:
    """Build the network of Guo et al., whose channel numbers were searched for; it is trained from scratch here."""
    sizes = _drn_s(scale)
    return on_demand.drn.DRN(scale, **sizes, train_mean=train_mean, channels=CHANNELS[scale, rate])


@models.register("edsr", "EDSR, baseline size (16 blocks of 64 channels), one output; sizes free", scales=(2, 3, 4, 8))
def edsr(scale: int, n_blocks: int = 16, n_feats: int = 64, train_mean: bool = True) -> nn.Module:
    """Build an EDSR; train_mean: mean shift layers trainable, as in DRN, or frozen."""
    return on_demand.edsr.EDSR(scale, n_blocks, n_feats, train_mean=train_mean)


@models.register("dbpn", "DBPN, dense, small (1.0 M parameters at x4), one output; sizes free", scales=(2, 4, 8))
def dbpn(scale: int, n_blocks: int = 3, n_feats: int = 128, n_base: int = 32) -> nn.Module:
    """Build a DBPN; the defaults are small, the DBPN of the published tables has 15 M parameters."""
    return on_demand.dbpn.DBPN(scale, n_blocks, n_feats, n_base)


@models.register("cyclegan", "CycleGAN for SR: residual blocks on top of bicubic, trained on unpaired images; sizes free",
          scales=(2, 3, 4, 8), scheme="cyclegan")  # fmt: skip
def cyclegan(scale: int, n_blocks: int = 6, n_feats: int = 64) -> nn.Module:
    """Build the generator G."""
    return on_demand.gan.Enlarger(scale, n_blocks, n_feats)


@models.register("cincgan", "CinCGAN: a network that cleans the LR image, then one that enlarges it; sizes free",
          scales=(2, 3, 4, 8), scheme="cincgan")  # fmt: skip
def cincgan(scale: int, n_blocks: int = 16, n_feats: int = 64, inner_blocks: int = 6) -> nn.Module:
    """Build G1 (`inner_blocks`) and the SR network (`n_blocks`), both of `n_feats` channels."""
    return on_demand.gan.CinC(scale, n_blocks, n_feats, inner_blocks)


@models.register("bicubic", "MATLAB's bicubic interpolation, any scale, not trained", scheme=None)
def bicubic(scale: int) -> nn.Module:
    """Build the interpolation."""
    return on_demand.classical.Bicubic(scale)


@models.register("ibp", "iterative back-projection from bicubic, any scale, not trained", scheme=None)
def ibp(scale: int, iterations: int = 10) -> nn.Module:
    """Build the iteration."""
    return on_demand.classical.BackProjection(scale, iterations)


@models.register("zssr", "ZSSR: a small network fitted to each test image when it is scored; no training set", scheme=None,
                 zero_shot=True)  # fmt: skip
def zssr(
    scale: int, steps: int = 3000, lr: Rate = 1e-3, kernel: Literal["given", "bicubic", "estimated"] = "given", n_layers: int = 8,
    n_feats: int = 64, patch: int = 128,
) -> nn.Module:  # fmt: skip
    """Build the network of Shocher et al.

    kernel: given: the degradation of the test set, an oracle where that is not public; bicubic: MATLAB's, whatever it is;
    estimated: KernelGAN's, fitted with `steps` steps before, at x2 and x4.
    """
    return zero_shot.zssr.ZSSR(
        scale, steps=steps, lr=lr, kernel=kernel, n_layers=n_layers, n_feats=n_feats, patch=patch
    )


@models.register("kernelgan", "KernelGAN: the kernel of each test image, fitted when it is scored; SR by back-projection with it",
                 scales=(2, 4), scheme=None, zero_shot=True)  # fmt: skip
def kernelgan(scale: int, steps: int = 3000, lr: Rate = 2e-4, n_feats: int = 64) -> nn.Module:
    """Build the estimator of Bell-Kligler et al.; n_feats: channels of the generator and of the discriminator."""
    return zero_shot.kernelgan.KernelGAN(scale, steps=steps, lr=lr, n_feats=n_feats)


@models.register(
    "spandrel",
    "a published network from its weights=FILE: RCAN, SwinIR, HAT, ESRGAN and others that spandrel knows; not trained",
    scheme=None,
    files=("weights",),
    packages=("spandrel",),
)
def spandrel(scale: int, weights: str | None = None) -> nn.Module:
    """Build the network that a file of weights holds; errors as in `drnbench.models.spandrel.load`."""
    return on_demand.spandrel.load(scale, weights)
