"""The verb `measure`."""

from __future__ import annotations

import re
import sys
from typing import Annotated, Literal

from typer import Option

from drnbench.cli.options import RESULTS, DeviceOpt, HalfWidthOpt, ResultsOpt, SeedsOpt, SetOpt, StudyArg
from drnbench.cli.report import report_location
from drnbench.errors import UsageError
from drnbench.session.declared import read_overrides
from drnbench.session.measure import Conditions, measure, running_units
from drnbench.store import Store
from drnbench.store.devices import pick_devices


def command(
    study: StudyArg,
    profile: Annotated[
        str | None, Option(help="as of `report`; none: of the only report of the study, or quick", show_default=False)
    ] = None,
    sets: SetOpt = None,
    seeds: SeedsOpt = None,
    half_width: HalfWidthOpt = None,
    results: ResultsOpt = RESULTS,
    device: DeviceOpt = "auto",
    batch: Annotated[int, Option(min=1, help="images a pass")] = 1,
    lr_size: Annotated[str, Option(metavar="HxW", help="height and width of the LR images")] = "96x96",
    precision: Annotated[Literal["fp32", "bf16"], Option(help="bf16: under autocast")] = "fp32",
    threads: Annotated[int, Option(min=1, help="of PyTorch on a CPU")] = 1,
) -> int:
    """Measure latency and peak memory of a study's networks on this machine; `report` then shows them."""
    store = Store(results)
    location = report_location(store, study.stem, profile, read_overrides(sets or [], seeds, half_width))
    if not (size := re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", lr_size)):
        raise UsageError(f"--lr-size {lr_size}: give height and width of the LR images, such as 96x96")
    (place, *_), _ = pick_devices(device, 1)
    conditions = Conditions(place.partition(":")[0], batch, (int(size[1]), int(size[2])), precision, threads)
    if running := running_units(store):
        print(f"warning: {running} units of {store.root} run at the same time: latencies are too long", file=sys.stderr)
    count = 0
    for line in measure(store, location, conditions):
        print(line, flush=True)
        count += 1
    if not count:
        raise UsageError(f"{location} has no scored trial yet; run the study first")
    return 0
