"""What `evaluate` and `score` share: the scores of many images as JSON and as a table, and what could not be scored."""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drnbench.config.protocol import Protocol
from drnbench.data.images import Colour
from drnbench.errors import UsageError
from drnbench.evaluation import metrics as known
from drnbench.store import write_text
from drnbench.store.environment import capture


@dataclass(frozen=True)
class Scored:
    """The scores of one image by metric; `extra` are further entries of its JSON."""

    image: str
    values: dict[str, float]
    extra: Mapping[str, Any] | None = None


def wanted_metrics(text: str) -> list[str]:
    """Read `--metrics a,b` and check that each exists and can be computed here.

    Raises:
        UsageError: unknown, named twice, or not to be had on this machine.

    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError(f"--metrics {text!r}: name at least one metric, such as psnr_y")
    if len(set(names)) != len(names):
        raise UsageError(f"--metrics {text}: name each metric once")
    for name in names:
        known.get(name).ready()
    return names


def colour(text: str | None) -> Colour | None:
    """Read `--alpha`: white, black or #rrggbb.

    Raises:
        UsageError: anything else.

    """
    named = {"white": "#ffffff", "black": "#000000"}
    if text is None:
        return None
    digits = named.get(text, text)
    if not re.fullmatch("#[0-9a-fA-F]{6}", digits):
        raise UsageError(f"--alpha {text}: name a colour as white, black or #rrggbb, such as #808080")
    red, green, blue = bytes.fromhex(digits[1:])
    return red, green, blue


def check_out(out: Path | None) -> None:
    """Refuse a `--json` file that could not be written, before any work."""
    if out is None or str(out) == "-":
        return
    if not out.absolute().parent.is_dir():
        raise UsageError(f"--json {out}: the folder {out.absolute().parent} does not exist")
    if out.is_dir():
        raise UsageError(f"--json {out}: is a folder; name a file in it")
    probe = out.absolute().with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(f"--json {out} cannot be written ({error.strerror}): choose another folder") from None


def check_protocol(protocol: Protocol, metrics: Sequence[str]) -> None:
    """Refuse settings that no metric looks at: a number would not be what its reader thinks."""
    options = {"y_round": "--y-round", "border": "--border", "quantise": "--no-quantise"}
    for field in protocol.model_fields_set:
        if getattr(protocol, field) != getattr(Protocol(), field) and not any(
            field in known.get(m).reads for m in metrics
        ):
            raise UsageError(f"{options[field]}: none of {', '.join(metrics)} looks at it; leave it out")


def tell(failed: Sequence[str]) -> None:
    """Name on standard error what could not be done, a line each."""
    for line in failed:
        print(f"drnbench: {' '.join(line.split())}", file=sys.stderr)


def finish(
    head: dict[str, Any], rows: Sequence[Scored], failed: Sequence[str], metrics: list[str], protocol: Protocol,
    out: Path | None,
) -> int:  # fmt: skip
    """Write and print the scores; returns the exit code: 0 all, 1 some images failed, 2 nothing was scored."""
    tell(failed)
    if not rows:
        return 2
    record = _record(head, rows, failed, metrics, protocol)
    written = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    if str(out) == "-":
        sys.stdout.write(written)
    else:
        _print(record, metrics, protocol)
        if out is not None:
            write_text(out, written)
    return 1 if failed else 0


def _record(
    head: dict[str, Any], rows: Sequence[Scored], failed: Sequence[str], metrics: list[str], protocol: Protocol
) -> dict[str, Any]:
    finite = {m: [row.values[m] for row in rows if math.isfinite(row.values[m])] for m in metrics}
    shown = {m: known.get(m) for m in metrics}
    return {
        **head,
        "versions": capture("evaluate")["versions"],
        "protocol": {
            **protocol.model_dump(mode="json"),
            "shaved": protocol.shaved(head["scale"]),
            "metrics": {m: {"color": one.color, "version": one.version} for m, one in shown.items()},
        },
        "mean": {m: math.fsum(values) / len(values) if values else None for m, values in finite.items()},
        "infinite": {m: len(rows) - len(values) for m, values in finite.items() if len(values) < len(rows)},
        "images": [
            {
                "image": row.image,
                **{m: v if math.isfinite(v) else None for m, v in row.values.items()},
                **(row.extra or {}),
            }
            for row in rows
        ],
        **({"failed": [" ".join(line.split()) for line in failed]} if failed else {}),
    }


def _print(record: dict[str, Any], metrics: list[str], protocol: Protocol) -> None:
    shown = {m: known.get(m) for m in metrics}
    width = max(len("mean"), *(len(row["image"]) for row in record["images"]))
    print(f"{'image':<{width}}  " + "  ".join(f"{one.label:>9}" for one in shown.values()))
    for row in [*record["images"], {"image": "mean", **record["mean"]}]:
        cells = "  ".join(f"{row[m]:9.4f}" if row[m] is not None else f"{'inf':>9}" for m in metrics)
        print(f"{row['image']:<{width}}  {cells}")
    count = len(record["images"])
    for m, n in record["infinite"].items():
        left = ": nothing is left for a mean" if n == count else ", left out of the mean"
        print(f"{shown[m].label} is infinite for {n} of {count} images (SR equals what it is compared with){left}")
    if record.get("failed"):
        print(f"{len(record['failed'])} more could not be scored and are in no mean")
    told = [one.summary if one.summary.startswith(one.label) else f"{one.label}: {one.summary}"
            for one in shown.values() if not one.kind]  # fmt: skip
    sentence = protocol.caption(shown.values(), record["scale"])
    told += [sentence] if sentence else []
    lr = f"LR of {record['lr']}" if record.get("lr") else record.get("kernel")
    what = ", ".join(str(one) for one in (record.get("data"), lr) if one)
    weights = f" ({Path(record['weights']).name})" if record.get("weights") else ""
    print(f"{record['model']}{weights} x{record['scale']}{', ' + what if what else ''}. {'. '.join(told)}")
