"""What `evaluate` and `score` print and write: scores as a table and as JSON, and the images that failed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from drnbench.errors import UsageError
from drnbench.evaluation import metrics as registry
from drnbench.session.image_scores import ImageScores
from drnbench.store import write_text


class HasJson(Protocol):
    """A result that is written as JSON."""

    def to_json(self) -> str:
        """Return the JSON text."""


Result = TypeVar("Result", bound=HasJson)


def check_file(out: Path | None, flag: str = "--json") -> None:
    """Refuse a file that could not be written, before any work.

    Raises:
        UsageError: why it cannot.
    """
    if out is None or str(out) == "-":
        return
    if not out.absolute().parent.is_dir():
        raise UsageError(f"{flag} {out}: the folder {out.absolute().parent} does not exist")
    if out.is_dir():
        raise UsageError(f"{flag} {out}: is a folder; name a file in it")
    probe = out.absolute().with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(f"{flag} {out} cannot be written ({error.strerror}): choose another folder") from None


def print_failures(failed: Sequence[str], kind: str = "") -> None:
    """Name on standard error what could not be done, or is doubtful, a line each."""
    for line in failed:
        print(f"drnbench: {kind}{' '.join(line.split())}", file=sys.stderr)


def finish(scores: ImageScores, out: Path | None) -> int:
    """Write and print scores; return the exit code: 0 all, 1 some images failed, 2 nothing was scored."""
    print_failures(scores.failed)
    if not scores.record["images"]:
        return 2
    print_failures(scores.warnings, "warning: ")
    deliver(scores, out, _print)
    if str(out) != "-":
        for note in scores.notes:
            print(note)
    return 1 if scores.failed else 0


def deliver(result: Result, out: Path | None, show: Callable[[Result], None]) -> None:
    """Print a result for people and write its JSON where that is wanted; `-` is the JSON alone, on standard output."""
    if str(out) == "-":
        sys.stdout.write(result.to_json())
        return
    show(result)
    if out is not None:
        write_text(out, result.to_json())


def _print(scores: ImageScores) -> None:
    record, shown = scores.record, {name: registry.get(name) for name in scores.metrics}
    width = max(len("mean"), *(len(row["image"]) for row in record["images"]))
    print(f"{'image':<{width}}  " + "  ".join(f"{metric.label:>9}" for metric in shown.values()))
    for row in [*record["images"], {"image": "mean", **record["mean"]}]:
        cells = "  ".join(f"{row[name]:9.4f}" if row[name] is not None else f"{'inf':>9}" for name in shown)
        print(f"{row['image']:<{width}}  {cells}")
    count = len(record["images"])
    for name, infinite in record["infinite"].items():
        rest = ": nothing is left for a mean" if infinite == count else ", left out of the mean"
        print(
            f"{shown[name].label} is infinite for {infinite} of {count} images (SR equals what it is compared with){rest}"
        )
    if scores.failed:
        print(f"{len(scores.failed)} more could not be scored and are in no mean")
    print(_caption(scores))


def _caption(scores: ImageScores) -> str:
    """Return one line: what was scored, and how each metric is measured."""
    record, shown = scores.record, [registry.get(name) for name in scores.metrics]
    sentences = [metric.summary if metric.summary.startswith(metric.label) else f"{metric.label}: {metric.summary}"
                 for metric in shown if not metric.kind]  # fmt: skip
    protocol = scores.protocol.caption(shown, record["scale"])
    lr = f"LR of {record['lr']}" if record.get("lr") else record.get("kernel")
    data = ", ".join(str(part) for part in (record.get("data"), lr) if part)
    weights = f" ({Path(record['weights']).name})" if record.get("weights") else ""
    head = f"{record['model']}{weights} x{record['scale']}{', ' + data if data else ''}"
    return f"{head}. {'. '.join([*sentences, *([protocol] if protocol else [])])}"
