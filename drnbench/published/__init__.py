"""Published numbers, each with its source.

The CSV files of this folder are the data. Methods have the names of the published tables; B100 is printed as BSDS100.
"""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files

PRINTED = {
    "drn-s": "DRN-S", "drn-l": "DRN-L", "drn-s30": "DRN-S30", "drn-s50": "DRN-S50", "drn-s70": "DRN-S70", "bicubic": "Bicubic",
    "zssr": "ZSSR",
}  # fmt: skip
"""Methods of the registry, and the published name of the same network.

Left out, though the names are in the tables: `edsr` is the baseline of 1.5 M parameters, the tables' EDSR has 43 M;
`dbpn` is small, the tables' DBPN has 15 M; `drn` has free sizes; `no-dual` has no number that a source confirms.
"""


@dataclass(frozen=True)
class Published:
    """One published number.

    Attributes:
        method: name in the table.
        dataset: name in this package; empty for parameters.
        scale: HR size over LR size.
        metric: psnr_y in dB or ssim_y, names of this package; parameters, in millions.
        text: the number with its printed digits.
        source: repository and commit.
        table: position in the source.
        protocol: the source's description of the measurement.
        kernel: shortest spec of the degradation that makes the LR images.

    """

    method: str
    dataset: str
    scale: int
    metric: str
    text: str
    source: str
    table: str
    protocol: str
    kernel: str = "bicubic"

    @property
    def value(self) -> Decimal:
        """The number; a Decimal, so that 0.900 stays 0.900."""
        return Decimal(self.text)


def lookup(method: str, dataset: str, scale: int, metric: str, kernel: str = "bicubic") -> Published | None:
    """Return the published number of a method of the registry, or of a printed name; None if there is none.

    `kernel` is the shortest spec of a degradation (`drnbench.degradations.canonical`).

    >>> lookup("drn-s", "Set5", 4, "psnr_y").value
    Decimal('32.68')
    """
    return _index().get((PRINTED.get(method, method), dataset, scale, metric, kernel))


def parameters(method: str, scale: int) -> Published | None:
    """Return the number of parameters of a published method, in millions as its source prints it; None where it has none.

    >>> parameters("EDSR", 4).text
    '43.1'
    """
    return _sizes().get((PRINTED.get(method, method), scale))


def methods() -> set[str]:
    """Return every method with a published number, as printed."""
    return {row.method for row in _rows()}


def table(scale: int) -> list[Published]:
    """Return all published numbers at a scale, in the order of the sources; [] if there are none."""
    return [row for row in _rows() if row.scale == scale]


@functools.cache
def _rows() -> tuple[Published, ...]:
    return tuple(row for row in _stored() if row.metric != "parameters")


@functools.cache
def _sizes() -> dict[tuple[str, int], Published]:
    return {(row.method, row.scale): row for row in _stored() if row.metric == "parameters"}


@functools.cache
def _stored() -> tuple[Published, ...]:
    tables = sorted((f for f in files(__package__).iterdir() if f.name.endswith(".csv")), key=lambda f: f.name)
    return tuple(
        Published(
            row["method"], row["dataset"], int(row["scale"]), row["metric"], row["value"],
            row["source"], row["table"], row["protocol"], row.get("kernel", "bicubic"),
        )
        for file in tables
        for row in csv.DictReader(file.read_text(encoding="utf-8").splitlines())
    )  # fmt: skip


@functools.cache
def _index() -> dict[tuple[str, str, int, str, str], Published]:
    return {(row.method, row.dataset, row.scale, row.metric, row.kernel): row for row in _rows()}
