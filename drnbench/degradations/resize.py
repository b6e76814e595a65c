"""MATLAB's bicubic `imresize` at integer factors, bit for bit, batched, on any device.

`interpolate(mode="bicubic", antialias=True)` is the same filter (cubic, a = -0.5, stretched by the factor
when it shrinks) and differs only at borders, where it renormalises its weights. Padding first as MATLAB
does removes that difference. MATLAB resizes uint8 images in two passes, rows first, and
rounds after each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from drnbench.errors import UsageError, nearest

if TYPE_CHECKING:
    from torch import Tensor

Border = Literal["symmetric", "replicate"]
"""symmetric: reflected with the edge pixel (today's MATLAB); replicate: edge pixel repeated (older)."""
Extension = Literal["symmetric", "replicate", "reflect", "wrap"]
"""A border, or reflect: reflected without the edge pixel (PyTorch, OpenCV); wrap: the image repeated (Fourier blurs).

SciPy calls the four reflect, nearest, mirror and grid-wrap.
"""


def border_indices(size: int, before: int, after: int, border: Extension) -> Tensor:
    """Return the int64 indices, in 0..size-1, that extend an axis by `before` and `after` pixels.

    Computed from indices, so that the extension may be longer than the axis.
    """
    import torch

    positions = torch.arange(-before, size + after)
    if border == "replicate":
        return positions.clamp(0, size - 1)
    if border == "wrap":
        return positions.remainder(size)
    if border == "reflect":
        folded = positions.remainder(max(2 * size - 2, 1))
        return torch.minimum(folded, 2 * size - 2 - folded)
    folded = positions.remainder(2 * size)
    return torch.minimum(folded, 2 * size - 1 - folded)


def round_half_up(x: Tensor) -> Tensor:
    """Return integers in 0..255, halves upwards as MATLAB's uint8() does (torch.round rounds them to even)."""
    return (x + 0.5).floor().clamp(0, 255)


def downsample(x: Tensor, factor: int, *, border: Border = "symmetric", quantize: bool = False) -> Tensor:
    """Shrink as MATLAB's `imresize(x, 1/factor)` does.

    Args:
        x: N x C x H x W, floating point in 0..255; H and W are multiples of `factor`.
        factor: integer of at least 1.
        border: extension of the image beyond its edges.
        quantize: work as on uint8, rounding half up and clipping to 0..255 after each of the two passes, in
            float64. Without it the result is differentiable and neither rounded nor clipped.

    Returns:
        N x C x H/factor x W/factor of the dtype of `x`.

    Raises:
        UsageError: a factor or border that does not exist, or a size that the factor does not divide.
    """
    _check(x, factor, border)
    height, width = x.shape[-2:]
    if height % factor or width % factor:
        raise UsageError(
            f"an image of {height} x {width} pixels cannot be shrunk by {factor}: "
            f"crop it to a multiple of {factor} first"
        )
    out = x.double() if quantize else x
    for axis in (2, 3):
        out = _resize_axis(out, axis, x.shape[axis] // factor, (4 * factor, 4), border)
        out = round_half_up(out) if quantize else out
    return out.to(x.dtype)


def upsample(x: Tensor, factor: int, *, border: Border = "symmetric", quantize: bool = False) -> Tensor:
    """Enlarge as MATLAB's `imresize(x, factor)` does; see `downsample` for the arguments.

    Returns:
        N x C x H*factor x W*factor of the dtype of `x`.
    """
    _check(x, factor, border)
    out = x.double() if quantize else x
    for axis in (2, 3):
        out = _resize_axis(out, axis, x.shape[axis] * factor, (4, 4 * factor), border)
        out = round_half_up(out) if quantize else out
    return out.to(x.dtype)


def _check(x: Tensor, factor: int, border: str) -> None:
    if factor < 1:
        raise UsageError(f"the factor of a resize is an integer of at least 1, not {factor}")
    if border not in get_args(Border):
        raise UsageError(f"unknown border {border!r}: {nearest(border, get_args(Border))}")
    if x.ndim != 4 or not x.is_floating_point() or 0 in x.shape:
        raise UsageError(
            f"resize takes a floating-point N x C x H x W that is not empty, not {x.dtype} {tuple(x.shape)}"
        )


def _resize_axis(x: Tensor, axis: int, size: int, pads: tuple[int, int], border: Border) -> Tensor:
    """Resize one axis to `size`; `pads`: input pixels added on each side, output pixels cut off again."""
    from torch.nn.functional import interpolate

    pad_in, pad_out = pads
    if size == x.shape[axis]:
        return x  # factor 1: MATLAB's cubic is exactly 1 at 0 and 0 at the other integers
    indices = border_indices(x.shape[axis], pad_in, pad_in, border).to(x.device)
    padded = x.index_select(axis, indices)
    shape = list(padded.shape[2:])
    shape[axis - 2] = size + 2 * pad_out
    # antialias=True also upwards: it is what selects a = -0.5; plain bicubic has a = -0.75.
    resized = interpolate(padded, size=shape, mode="bicubic", antialias=True)
    return resized.narrow(axis, pad_out, size)
