"""Super-resolution of one image: whole or in tiles, once or as the mean over eight flips and rotations."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from drnbench.data.images import to_tensor
from drnbench.errors import DataError, NotFiniteError, UsageError
from drnbench.models.costs import LR_SIZE, forward_bytes

TILE_OVERLAP = 16
"""LR pixels of context around a tile, on each side."""
FORWARD_BYTES = 5 * 2**30
"""Memory of the results of a forward pass above which an image is enlarged in tiles; scoring then fits into 8 GiB.

It does not depend on the machine, as channel attention sees the tiles.
"""
LARGE = 2**21
"""HR pixels from which the memory is counted at all; below them a network would need 600 feature maps of HR size."""


class Upscaler:
    """A model that enlarges one image after another.

    `operator` is the degradation that the method took for the last image, as a network HR -> LR; None for methods that take
    none from the image.

    Tiles: the LR image is cut into squares of `tile` pixels, each is enlarged with `overlap` pixels of context where the
    image has them, and of the result only the square is kept. A network whose receptive field reaches no further than
    `overlap` gives the same image as without tiles. A network that averages over the whole image, as channel attention
    does (DRN, RCAN), does not: `seam` measures the difference. Without `tile`, an image is cut only where the network would need
    more than `FORWARD_BYTES` for it, into the largest tiles that need less; `cut` is their side.

    Self-ensemble (Timofte et al. 2016; the `+` in EDSR+): the mean over the eight flips and quarter turns of the input,
    each transformed back, before rounding.

    Args:
        model: N x 3 x H x W in 0..255 -> outputs, the last is SR; in evaluation mode, on `device`.
        scale: HR size over LR size.
        device: of the model.
        tile: side of a tile in LR pixels; None: the whole image at once, where it is not too large.
        overlap: LR pixels around each tile.
        self_ensemble: take the mean over eight transforms.

    Raises:
        UsageError: a tile below 1 or an overlap below 0.
    """

    operator: nn.Module | None = None
    cut: int | None = None

    def __init__(
        self, model: nn.Module, scale: int, device: torch.device, *, tile: int | None = None,
        overlap: int = TILE_OVERLAP, self_ensemble: bool = False,
    ) -> None:  # fmt: skip
        if (tile is not None and tile < 1) or overlap < 0:
            raise UsageError(f"a tile has at least 1 pixel and an overlap at least 0, not {tile} and {overlap}")
        self.model, self.scale, self.device = model, scale, device
        self.tile, self.overlap, self.self_ensemble = tile, overlap, self_ensemble
        self._bytes: float | None = None

    @torch.no_grad()
    def __call__(self, lr: NDArray[np.uint8]) -> NDArray[np.float32]:
        """H x W x 3 uint8 -> sH x sW x 3 in 0..255, clamped and not rounded.

        Raises:
            DataError: the model's output has another size or is not finite.
        """
        return _pixels(self._image(lr))

    @torch.no_grad()
    def seam(self, lr: NDArray[np.uint8]) -> float | None:
        """Return the largest difference that tiles make, in gray levels; None if the image is a single tile.

        Measured on the centre of the image, at most two tiles a side: tiles are for images that do not fit whole.
        """
        if self.tile is None or max(lr.shape[:2]) <= self.tile:
            return None
        height, width = (min(size, 2 * self.tile) for size in lr.shape[:2])
        top, left = (lr.shape[0] - height) // 2, (lr.shape[1] - width) // 2
        x = to_tensor(lr[top : top + height, left : left + width]).to(self.device)
        return float(np.abs(_pixels(self._tiled(x, self.tile)) - _pixels(self._whole(x))).max())

    def _image(self, lr: NDArray[np.uint8]) -> Tensor:
        return self._enlarge(to_tensor(lr).to(self.device))

    def _enlarge(self, x: Tensor) -> Tensor:
        tile = self.tile or self._largest_tile(*x.shape[-2:])
        if self.tile is None and tile is not None:
            self.cut = min(tile, self.cut or tile)

        def enlarge(x: Tensor) -> Tensor:
            return self._whole(x) if tile is None or max(x.shape[-2:]) <= tile else self._tiled(x, tile)

        if not self.self_ensemble:
            return enlarge(x)
        total: Tensor | None = None
        for turns in range(4):
            for flip in (False, True):
                transformed = torch.rot90(x.flip(-1) if flip else x, turns, (-2, -1))
                back = torch.rot90(enlarge(transformed), -turns, (-2, -1)).double()
                back = back.flip(-1) if flip else back
                total = back if total is None else total + back
        assert total is not None
        return total / 8

    def _largest_tile(self, height: int, width: int) -> int | None:
        """Return the side of the tiles that an image is cut into because it is too large as a whole; None where it is not."""
        if height * width * self.scale**2 <= LARGE:
            return None
        if self._bytes is None:
            size = forward_bytes(self.model, torch.zeros(1, 3, *LR_SIZE))
            self._bytes = 0.0 if size is None else size / (LR_SIZE[0] * LR_SIZE[1])
        if height * width * self._bytes <= FORWARD_BYTES:
            return None
        return max(int((FORWARD_BYTES / self._bytes) ** 0.5) - 2 * self.overlap, 4 * self.overlap, 1)

    def _whole(self, x: Tensor) -> Tensor:
        out: Tensor = self.model(x)[-1]
        height, width = x.shape[-2:]
        if out.shape[-2:] != (height * self.scale, width * self.scale):
            raise DataError(
                f"the model made {out.shape[-1]} x {out.shape[-2]} pixels of {width} x {height}, which is not scale "
                f"{self.scale}"
            )
        return out

    def _tiled(self, x: Tensor, tile: int) -> Tensor:
        s, (height, width) = self.scale, x.shape[-2:]
        out = x.new_empty(1, 3, height * s, width * s)
        for top in range(0, height, tile):
            bottom = min(top + tile, height)
            y0, y1 = max(0, top - self.overlap), min(height, bottom + self.overlap)
            for left in range(0, width, tile):
                right = min(left + tile, width)
                x0, x1 = max(0, left - self.overlap), min(width, right + self.overlap)
                enlarged = self._whole(x[..., y0:y1, x0:x1])
                square = enlarged[..., (top - y0) * s : (bottom - y0) * s, (left - x0) * s : (right - x0) * s]
                out[..., top * s : bottom * s, left * s : right * s] = square
        return out


def _pixels(image: Tensor) -> NDArray[np.float32]:
    out = image[0].permute(1, 2, 0).float().cpu().numpy()
    if not np.isfinite(out).all():
        raise NotFiniteError(
            "the SR image holds numbers that are not finite: the network has diverged, or its weights are not for it"
        )
    return np.ascontiguousarray(out.clip(0, 255))
