"""Audit of ready-made LR images against their HR images: generator, alignment, damage."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from drnbench.data.images import Colour, read_rgb
from drnbench.datasets.sources import resolve
from drnbench.errors import DataError, UsageError
from drnbench.forensics.linear_kernel import LinearKernel, estimate
from drnbench.forensics.mismatches import Files, Refusal, refused
from drnbench.forensics.pairs import Difference, Inspect, PairReport
from drnbench.forensics.verdict import Verdict, conclude
from drnbench.parallel import Failed, each
from drnbench.session.audit_figure import draw
from drnbench.session.score_images import matched

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

KERNEL_IMAGES = 8
"""Images that the linear kernel is estimated from."""


@dataclass(frozen=True)
class Audit:
    """The result of an audit.

    Attributes:
        pairs: a report of each pair that could be inspected.
        verdict: on all of them together.
        kernel: the estimated linear kernel; None where the images are too small or flat.
        record: plain data, as `--json` writes it.
        failed: images without a counterpart and pairs that do not fit, a line each.

    """

    pairs: tuple[PairReport, ...]
    verdict: Verdict
    kernel: LinearKernel | None
    record: dict[str, Any]
    failed: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The result in a sentence."""
        return self.verdict.sentence

    @property
    def candidates(self) -> pd.DataFrame:
        """One row a generator, best first."""
        import pandas as pd

        return pd.DataFrame(self.record["candidates"])

    @property
    def per_image(self) -> pd.DataFrame:
        """One row an image."""
        import pandas as pd

        return pd.DataFrame(self.record["images"]).set_index("image")

    def figure(self) -> Figure:
        """Draw the estimated kernel and the largest residuals of the best generators."""
        return draw(self.pairs, self.kernel, self.verdict)

    def to_json(self) -> str:
        """Return the record as JSON text; an infinite PSNR is null."""
        return json.dumps(self.record, indent=2, ensure_ascii=False) + "\n"


def audit(hr: str | Path, lr: str | Path, *, scale: int, alpha: Colour | None = None, jobs: int | None = None) -> Audit:
    """Name the degradation that made LR images, their shift against HR, and other damage.

    Args:
        hr: HR images: a name or a folder.
        lr: LR images: a folder or a name, matched by name.
        scale: HR size over LR size.
        alpha: colour that transparent images are laid onto; None: they are refused.
        jobs: processes at once; None: one a core where it is worth it.

    Raises:
        UsageError: a scale below 2, no such images, or none that pair.

    """
    if scale < 2:
        raise UsageError(f"audit: the scale is an integer of at least 2, not {scale}")
    hr, lr = str(hr), str(lr)
    with TemporaryDirectory() as frames:
        hr_images = resolve(hr, Path(frames)).images
        lr_images = resolve(lr, Path(frames), paths_first=True).images
        lr_of, failed = matched(lr_images, hr_images, "LR", "HR")
        failed += [f"{path} has no LR image in {lr}" for name, path in hr_images if name not in lr_of]
        files = [Files(name, path, lr_of[name]) for name, path in hr_images if name in lr_of]
        if not files:
            raise DataError(
                f"no image of {lr} belongs to an image of {hr}: LR files are called like those, baby_x{scale} like baby"
            )
        done = list(each(Inspect(scale, alpha), files, jobs, "auditing"))
        failed += [result.message for result in done if isinstance(result, Failed | Refusal)]
        pairs = tuple(result for result in done if isinstance(result, PairReport))
        refusals = [result for result in done if isinstance(result, Refusal)]
        if not pairs:
            raise DataError(_nothing(refusals, failed, len(files)))
        usable = {pair.name for pair in pairs}
        kernel = estimate(_read([f for f in files if f.name in usable], alpha), scale)
    verdict = conclude(pairs, kernel, refusals)
    record = {
        "hr": hr, "lr": lr, "scale": scale, "sentence": verdict.sentence, **verdict.record(),
        "kernel": None if kernel is None else {
            "centre": list(kernel.centre), "sigma": list(kernel.sigma), "angle": kernel.angle, "residual": kernel.residual,
            "weights": kernel.weights.tolist(),
        },
        "images": [_row(pair) for pair in pairs], **({"failed": failed} if failed else {}),
    }  # fmt: skip
    return Audit(pairs, verdict, kernel, record, tuple(failed))


def _nothing(refusals: Sequence[Refusal], failed: Sequence[str], count: int) -> str:
    """Return the sentence on a set of which no pair could be audited."""
    if len(refusals) == 1 or not refusals:
        more = f" (and {len(failed) - 1} more cannot be audited)" if failed[1:] else ""
        return f"{failed[-1]}{more}"
    (advice, _), *_ = Counter(refusal.advice for refusal in refusals).most_common(1)
    return f"{refused(refusals, count)}: {advice}"


def _read(files: Sequence[Files], alpha: Colour | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    step = -(-len(files) // KERNEL_IMAGES)
    for pair in files[::step]:
        yield tuple(read_rgb(path, alpha=alpha).astype(np.float64) for path in (pair.hr, pair.lr))  # type: ignore[misc]


def _row(pair: PairReport) -> dict[str, Any]:
    difference, alignment = pair.differences[pair.best], pair.alignment
    return {
        "image": pair.name, "hr": list(pair.hr_size[::-1]), "lr": list(pair.lr_size[::-1]), "generator": pair.best,
        "exact": difference.exact, "psnr": psnr(difference), "equal": difference.equal, "largest": difference.largest,
        "crop": difference.place or None, "shift": [alignment.x, alignment.y], "drift": [alignment.drift_x, alignment.drift_y],
        "shift_error": alignment.error if np.isfinite(alignment.error) else None, "noise": pair.noise,
        "jpeg": None if pair.jpeg is None else pair.jpeg._asdict(),
        "notes": [*pair.notes, *([] if pair.tone is None else [pair.tone.text])],
    }  # fmt: skip


def psnr(difference: Difference) -> float | None:
    """Return the PSNR of LR against a generator, dB; None: infinite."""
    return float(10 * np.log10(255**2 / difference.square)) if difference.square else None
