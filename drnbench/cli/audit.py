"""The verb `audit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

import drnbench
from drnbench.cli import options
from drnbench.cli.image_output import check_file, deliver, print_failures
from drnbench.errors import UsageError
from drnbench.render.terminal import columns
from drnbench.session.audit import Audit
from drnbench.store import atomic

SHOWN = 6
"""Generators in the table."""


def command(
    hr: Annotated[str, Argument(metavar="HR_DIR", help="HR images: a folder or a name", show_default=False)],
    lr: Annotated[str, Argument(metavar="LR_DIR", help="LR images, matched by name", show_default=False)],
    scale: Annotated[int, Option(min=2, help="HR size over LR size")],
    picture: Annotated[
        Path | None,
        Option(metavar="FILE", help="draw the estimated kernel and the residuals there, as .png or .pdf"),
    ] = None,
    json: Annotated[Path | None, Option(metavar="FILE", help="write the findings there; - for standard output")] = None,
    alpha: options.AlphaOpt = None,
    jobs: options.JobsOpt = None,
    data_root: options.DataRootOpt = None,
) -> int:
    """Name the degradation that made LR images, their shift, noise, JPEG."""
    options.use_data_roots(data_root)
    check_file(json)
    check_file(picture, "--picture")
    if picture is not None and picture.suffix.lower() not in {".png", ".pdf"}:
        raise UsageError(f"--picture {picture}: name a file that ends in .png or .pdf")
    result = drnbench.audit(hr, lr, scale=scale, alpha=options.read_colour(alpha), jobs=jobs)
    print_failures(result.failed)
    deliver(result, json, _print)
    if picture is not None:
        with atomic(picture) as temporary:
            result.figure().savefig(temporary, format=picture.suffix[1:].lower())
    return 1 if result.failed else 0


def _print(result: Audit) -> None:
    record = result.record
    count = len(record["images"])
    rows = [("generator", "exact", "PSNR", "equal", "largest")]
    rows += [
        (c["generator"], f"{c['exact']}/{count}", _decibels(c["psnr"]), f"{c['equal']:.2%}", f"{c['largest']:.0f}")
        for c in record["candidates"][:SHOWN]
    ]
    print("\n".join([*columns(rows), ""]))
    images = [("image", "HR", "LR", "shift", "PSNR", "best generator"), *map(_row, record["images"])]
    print("\n".join(columns(images)))
    print(
        "exact: images that it makes but for rounding; PSNR (dB), equal, largest: of LR against it, in levels; "
        "shift: HR pixels by which LR lies right of HR and below it"
    )
    print(result.sentence)


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    notes = [row["generator"], *([row["crop"]] if row["crop"] else []), *row["notes"]]
    if row["jpeg"]:
        notes.append(f"JPEG {row['jpeg']['quality']} ({row['jpeg']['subsampling']})")
    elif not row["exact"]:
        notes.append(f"residual of {row['noise']:.1f} levels")
    sizes = ("x".join(map(str, row[kind])) for kind in ("hr", "lr"))
    shift = ", ".join(f"{value + 0.0:+.2f}" for value in row["shift"])
    return row["image"], *sizes, shift, _decibels(row["psnr"]), "; ".join(notes)


def _decibels(psnr: float | None) -> str:
    return "inf" if psnr is None else f"{psnr:.2f}"
