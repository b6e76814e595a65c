"""Position of an LR image against its HR image: shift and drift, to a few hundredths of an HR pixel, whatever the kernel.

The LR image is modelled as HR blurred by a sum of two concentric Gaussians, which follows side lobes too, and sampled on a
grid, whose position, step and width are fitted by least squares (Levenberg-Marquardt). Where the true kernel is symmetric, a wrong
shape moves the fit of the position by nothing in expectation: the error is even and the derivative by the position odd.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drnbench.data.alignment import correlation, detail
from drnbench.forensics.resampling import Array

SIDE = 400
"""HR pixels a side, in the middle of an image, that are enough."""
REACH = 6
"""LR pixels each way in which the first guess is looked for."""
STEPS = 40
"""Iterations at most."""
NARROWEST = 0.4
"""Smallest width of the Gaussian, in HR pixels: a narrower Gaussian is blind between two pixels."""
LIMIT, DRIFT_LIMIT = 0.1, 0.5
"""HR pixels of shift and of drift above which LR images count as displaced."""
WIDER = 1.6
"""Ratio of the widths of the two Gaussians."""
SURE = 5.0
"""Standard errors that a displacement must exceed too."""
LEAST, MUCH, ENOUGH = 0.3, 0.95, 0.995
"""Share of the variance of LR that the fit explains: below the first, LR shows another picture than HR; above the last, the
same. Between them its detail decides: blurred and shifted enough, any two pictures agree in their low frequencies."""
DETAIL, LITTLE_DETAIL = 0.4, 0.2
"""Correlation of the fit and LR, both without their local mean, from which they show the same picture; the second where the
fit explains `MUCH`, or its Gaussian is at most `SHARP` LR pixels wide. Of 114 pairs of other pictures and mirrored ones none
had more than 0.32; of 19 photographs under noise of 50 levels, JPEG 10 and wide blurs, none less than 0.29."""
SHARP = 0.8
"""Width of the fitted Gaussian in LR pixels, up to which a fit counts as sharp."""
COVERED = 0.3
"""Share of LR that the fit must speak of."""
STEEPEST = 3.0
"""Drift in LR pixels above which a fit is none."""
FLAT, FLAT_AND_NOISY = 25.0, 600.0
"""Variance of HR and of LR below which they show too little to tell one picture from another."""
BLIND = 1.0
"""Standard error, in HR pixels, from which an image shows nothing to hold on to."""


NDBool = NDArray[np.bool_]


class Alignment(NamedTuple):
    """Position of LR images against HR images, in HR pixels.

    Attributes:
        x: shift to the right: a point at column c of HR lies at c + x of the LR image enlarged by bicubic.
        y: shift downwards.
        drift_x: how much more the right edge is shifted than the left one.
        drift_y: how much more the lower edge is shifted than the upper one.
        error: standard error of x and y as the fit says; inf where the image shows nothing to hold on to.
        sigma: width of the fitted Gaussian, down and across.
        gain: slope of LR levels against HR levels.
        offset: LR level of HR level 0.
        explained: share of the variance of LR that the fit explains, 0..1; 1 where there is none.
        related: LR shows the picture of HR, or both too little to tell.

    """

    x: float
    y: float
    drift_x: float = 0.0
    drift_y: float = 0.0
    error: float = 0.0
    sigma: tuple[float, float] = (0.0, 0.0)
    gain: float = 1.0
    offset: float = 0.0
    explained: float = 1.0
    related: bool = True

    @property
    def displaced(self) -> bool:
        """True if the shift or the drift is more than a score can take, and surely so."""
        return self._shifted or self._drifting

    @property
    def _shifted(self) -> bool:
        limit = max(LIMIT, SURE * self.error)
        return self.related and max(abs(self.x), abs(self.y)) > limit

    @property
    def _drifting(self) -> bool:
        # A slope over a unit interval is known 12 ** 0.5 times worse than a mean.
        limit = max(DRIFT_LIMIT, SURE * 12**0.5 * self.error)
        return self.related and max(abs(self.drift_x), abs(self.drift_y)) > limit

    def less(self, x: float, y: float) -> Alignment:
        """Return the alignment against a grid that is itself shifted."""
        return self._replace(x=self.x - x, y=self.y - y)

    def text(self) -> str:
        """Return the shift, and the drift where there is one: `(+1.50, +1.50) HR pixels (right, down)`."""
        parts = []
        if self._shifted or not self._drifting:
            parts.append(f"shifted by ({signed(self.x)}, {signed(self.y)}) HR pixels (right, down)")
        if self._drifting:
            parts.append(
                f"of another step: the shift grows by ({signed(self.drift_x)}, {signed(self.drift_y)}) HR pixels from "
                "edge to edge"
            )
        return " and ".join(parts)


def align(hr: Array, lr: Array, ratio: tuple[float, float]) -> Alignment:
    """Return the position of an LR image.

    Args:
        hr: H x W or H x W x 3, levels.
        lr: h x w or h x w x 3, levels.
        ratio: HR pixels an LR pixel, down and across; its grid is that of MATLAB's bicubic from the top-left corner.

    """
    hr, lr = _gray(hr), _gray(lr)
    fit = _Fit(hr, lr, ratio)
    near, anywhere = _guesses(hr, lr, ratio)
    alignment = fit.run(near)
    if not alignment.related and anywhere != near and (far := fit.run(anywhere)).related:
        return far
    return alignment


def median(alignments: Sequence[Alignment]) -> Alignment | None:
    """Return the median over images of each number, weighted by the inverse of the error; None without images to go by."""
    kept = [alignment for alignment in alignments if np.isfinite(alignment.error) and alignment.related]
    if not kept:
        return None
    weights = np.array([1 / (0.01 + alignment.error) for alignment in kept])

    def middle(values: Array) -> float:
        order = np.argsort(values)
        half = np.cumsum(weights[order]) - weights[order] / 2
        return float(np.interp(weights.sum() / 2, half, values[order]))

    x, y, drift_x, drift_y, error, gain, offset, explained = (
        middle(np.array([getattr(alignment, name) for alignment in kept]))
        for name in ("x", "y", "drift_x", "drift_y", "error", "gain", "offset", "explained")
    )
    sigmas = np.array([alignment.sigma for alignment in kept])
    sigma = (middle(sigmas[:, 0]), middle(sigmas[:, 1]))
    return Alignment(x, y, drift_x, drift_y, error, sigma, gain, offset, explained)


def signed(value: float) -> str:
    """Return a number with its sign and two decimals; 0.00 has none."""
    return f"{value + 0.0:+.2f}" if abs(value) >= 0.005 else "0.00"


def _gray(image: Array) -> Array:
    return image.astype(np.float64) if image.ndim == 2 else image.astype(np.float64).mean(axis=2)


def _guesses(hr: Array, lr: Array, ratio: tuple[float, float]) -> list[tuple[float, float]]:
    """Return the shift, down and across in HR pixels, to the nearest LR pixel: the peak of the phase correlation.

    The first is the peak within `REACH`, the second that of the whole plane.
    """
    sizes = lr.shape
    means = hr
    for axis, (n, step) in enumerate(zip(sizes, ratio, strict=True)):
        edges = np.minimum((np.arange(n + 1) * step).round().astype(int), means.shape[axis])
        sums = np.concatenate([np.zeros_like(means.take([0], axis)), means.cumsum(axis)], axis)
        counts = np.maximum(1, np.diff(edges)).reshape([-1, 1] if axis == 0 else [1, -1])
        means = (sums.take(edges[1:], axis) - sums.take(edges[:-1], axis)) / counts
    window = np.hanning(sizes[0] + 2)[1:-1, None] * np.hanning(sizes[1] + 2)[None, 1:-1]
    spectra = [np.fft.rfft2((image - image.mean()) * window) for image in (lr, means)]
    cross = spectra[0] * spectra[1].conj()
    # Whitened by half: sharp enough for periodic pictures, and not led by noise.
    peak = np.fft.irfft2(cross / np.sqrt(np.abs(cross) + 1e-9), sizes)
    guesses = []
    for reach in ([min(REACH, n // 4) for n in sizes], [(n - 1) // 2 for n in sizes]):
        rows, columns = (np.arange(-r, r + 1) for r in reach)
        row, column = np.unravel_index(np.argmax(peak[np.ix_(rows, columns)]), (len(rows), len(columns)))
        guesses.append((float(rows[row] * ratio[0]), float(columns[column] * ratio[1])))
    return guesses


class _Fit:
    """The least-squares problem of one pair: (y, x, drift y, drift x, ln sigma y, ln sigma x), gain and offset."""

    def __init__(self, hr: Array, lr: Array, ratio: tuple[float, float]) -> None:
        self._ratio = ratio
        self._rows = [
            slice(max(0, (n - count) // 2), max(0, (n - count) // 2) + min(n, count))
            for n, count in ((n, int(SIDE / step)) for n, step in zip(lr.shape, ratio, strict=True))
        ]
        self._size = lr.shape
        self._hr = hr
        self._lr = lr[self._rows[0], self._rows[1]]

    def run(self, guess: tuple[float, float]) -> Alignment:
        """Return the fit from a first guess of the shift."""
        value = np.array([*guess, 0.0, 0.0, *np.log(0.5 * np.array(self._ratio))])
        # The derivatives are those of the narrow Gaussian: good where it is near the kernel already.
        value, *_ = self._descend(value, lobes=False)
        return self._alignment(*self._descend(value, lobes=True))

    def _descend(self, value: Array, *, lobes: bool) -> tuple[Array, Array, float, tuple[float, float]]:
        """Return the parameters of least squares, with the derivatives, the mean square, and gain and offset there."""
        residual, jacobian, linear = self._linearised(value, lobes=lobes)
        cost, damping = float(residual @ residual), 1e-3
        for _ in range(STEPS):
            normal, slope = jacobian.T @ jacobian, jacobian.T @ residual
            step = np.linalg.lstsq(normal + damping * np.diag(np.diag(normal) + 1e-9), slope, rcond=None)[0]
            step = np.clip(step, -self._ratio[0], self._ratio[0])
            step[4:] = np.clip(step[4:], -0.5, 0.5)
            tried = value + step
            tried[4:] = np.clip(tried[4:], np.log(NARROWEST), np.log(3 * max(self._ratio)))
            new = self._linearised(tried, lobes=lobes)
            new_cost = float(new[0] @ new[0])
            if new_cost < cost:
                moved = np.abs(tried - value).max()
                value, (residual, jacobian, linear), damping = tried, new, max(1e-9, damping / 5)
                gained, cost = cost - new_cost, new_cost
                if moved < 1e-3 or gained < 1e-5 * cost:
                    break
            else:
                damping *= 8
                if damping > 1e6:
                    break
        return value, jacobian, cost, linear

    def _alignment(self, value: Array, jacobian: Array, cost: float, linear: tuple[float, float]) -> Alignment:
        y, x, drift_y, drift_x, *_ = map(float, value)
        normal = jacobian[:, :4].T @ jacobian[:, :4]
        error = np.inf
        if np.linalg.matrix_rank(normal) == 4:
            # Rounding to levels is an error of 1/12 that no fit can be better than.
            variance = max(cost, 1 / 12) / len(jacobian)
            error = float(np.sqrt(variance * np.abs(np.linalg.inv(normal).diagonal()[:2]).max()))
            error = error if error < BLIND else np.inf
        sigma = (float(np.exp(value[4])), float(np.exp(value[5])))
        variance = float(self._lr.var())
        explained = 1 - cost / variance if variance > 1 else 1.0
        related = self._related(value, explained, linear[0], variance)
        return Alignment(x, y, drift_x, drift_y, error, sigma, *linear, explained, related)

    def _related(self, value: Array, explained: float, gain: float, variance: float) -> bool:
        """Return True if the fit explains LR by the picture of HR, and not by a blur of any other."""
        (_, down, _), (_, right, _) = weights = [
            self._weights(n, value[n], value[2 + n], np.exp(value[4 + n]), lobes=False) for n in (0, 1)
        ]
        pixels = self._hr[weights[0][0], weights[1][0]]
        if (hr_variance := float(pixels.var())) < FLAT and variance < FLAT_AND_NOISY:
            return True
        inside = [self._inside(n, value) for n in (0, 1)]
        covered = float(np.prod([part.mean() for part in inside]))
        drift = max(abs(value[2 + n]) / self._ratio[n] for n in (0, 1))
        if min(variance, hr_variance) < 1 or gain <= 0 or explained < LEAST or covered < COVERED or drift > STEEPEST:
            return False
        if explained > ENOUGH:
            return True
        fitted = down[0] @ pixels @ right[0].T
        agreement = correlation(*(detail(plane[np.ix_(*inside)].astype(np.float32)) for plane in (fitted, self._lr)))
        sharp = max(np.exp(value[4 + n]) / self._ratio[n] for n in (0, 1)) < SHARP
        return agreement > (LITTLE_DETAIL if sharp or explained > MUCH else DETAIL)

    def _linearised(self, value: Array, *, lobes: bool) -> tuple[Array, Array, tuple[float, float]]:
        """Return the residual, the derivatives of the model by the parameters, and gain and offset."""
        # An audit spends most of its time here: each weight only where it is used, and only LR pixels that see no edge of HR.
        (rows, down, place_y), (columns, right, place_x) = (
            self._weights(axis, value[axis], value[2 + axis], float(np.exp(value[4 + axis])), lobes=lobes)
            for axis in (0, 1)
        )
        inside_y, inside_x = (self._inside(axis, value) for axis in (0, 1))
        down, right, place_y, place_x = down[:, inside_y], right[:, inside_x], place_y[inside_y], place_x[inside_x]
        pixels = self._hr[rows, columns]
        across, along = pixels @ right[0].T, down[0] @ pixels
        level, by_y, by_height = (weights @ across for weights in down[:3])
        by_x, by_width = (along @ weights.T for weights in right[1:3])
        derivatives = (by_y, by_x, by_y * place_y[:, None], by_x * place_x, by_height, by_width)
        jacobian = np.stack([derivative.ravel() for derivative in derivatives], axis=1)
        target, level = self._lr[np.ix_(inside_y, inside_x)].ravel(), level.ravel()
        # Solved for within, so that their directions are taken out of the derivatives.
        side_lobes = [(down[3] @ (pixels @ right[3].T)).ravel() - level] if lobes else []
        linear = np.stack([np.ones_like(level), level, *side_lobes], axis=1)
        coefficients, *_ = np.linalg.lstsq(linear, target, rcond=1e-9)
        (offset, gain), residual = coefficients[:2], target - linear @ coefficients
        jacobian *= gain
        basis, _ = np.linalg.qr(linear)
        jacobian -= basis @ (basis.T @ jacobian)
        norm = np.sqrt(len(residual))
        return residual / norm, jacobian / norm, (float(gain), float(offset))

    def _centres(self, axis: int, shift: float, drift: float) -> tuple[Array, Array]:
        n = self._size[axis]
        i = np.arange(n)[self._rows[axis]]
        place = (i - (n - 1) / 2) / n
        return self._ratio[axis] * (i + 0.5) - 0.5 - shift - drift * place, place

    def _inside(self, axis: int, value: Array) -> NDBool:
        """Return the LR pixels that see no edge of HR; all where none is left."""
        centres, _ = self._centres(axis, value[axis], value[2 + axis])
        margin = 2 * self._ratio[axis]
        inside = (centres > margin) & (centres < self._hr.shape[axis] - 1 - margin)
        return inside if inside.sum() > 3 else np.ones_like(inside)

    def _weights(
        self, axis: int, shift: float, drift: float, sigma: float, *, lobes: bool
    ) -> tuple[slice, Array, Array]:
        """Return the HR pixels that are looked at, and for each LR pixel its weights of them and its place in the image.

        One after the other stand the weights, their derivatives by the shift, those by ln sigma, and with `lobes` wider weights.
        """
        centres, place = self._centres(axis, shift, drift)
        size, reach = self._hr.shape[axis], 5 * WIDER * sigma + 1
        first = int(np.clip(centres[0] - reach, 0, size - 1))
        pixels = slice(first, int(np.clip(centres[-1] + reach + 1, first + 1, size)))
        distance = np.arange(pixels.start, pixels.stop) - centres[:, None]
        weights = _gaussian(distance, sigma)
        wide = [_gaussian(distance, WIDER * sigma)] if lobes else []
        mean = (weights * distance).sum(axis=1, keepdims=True)
        square = (weights * distance**2).sum(axis=1, keepdims=True)
        by_shift = -weights * (distance - mean) / sigma**2
        by_width = weights * (distance**2 - square) / sigma**2
        return pixels, np.stack([weights, by_shift, by_width, *wide]), place


def _gaussian(distance: Array, sigma: float) -> Array:
    """Return weights whose rows sum to 1."""
    exponent = -0.5 * (distance / sigma) ** 2
    weights = np.exp(exponent - exponent.max(axis=1, keepdims=True))
    normalised: Array = weights / weights.sum(axis=1, keepdims=True)
    return normalised
