"""The verb `evaluate`: a method, weights, images -> scores on standard output and as JSON."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from drnbench.errors import UsageError
from drnbench.store import Store, write_text


@dataclass(frozen=True)
class Request:
    """What `evaluate` was asked for: names, files and settings as the command line gave them."""

    method: str
    scale: int
    data: str
    weights: Path | None
    dual_weights: Path | None
    kernel: str
    metrics: list[str]
    out: Path | None
    sets: list[str]
    device: str
    results: Path
    y_round: bool


def evaluate_method(asked: Request) -> int:
    """Score a method on a set; returns the exit code."""
    from drnbench.cli.studies import pick_devices, read_sets
    from drnbench.degradations import canonical
    from drnbench.evaluation.protocol import Protocol
    from drnbench.methods import resolve

    resolved = resolve(asked.method, asked.scale, read_sets(asked.sets))
    _check(asked, trained=resolved.scheme is not None)
    asked = replace(asked, kernel=canonical(asked.kernel))
    protocol = Protocol(y_round=asked.y_round)
    devices, _ = pick_devices(asked.device, 1)
    store = Store(asked.results)
    store.prepare()
    rows, names = _score(asked, resolved, devices[0], store, protocol)
    record = _record(asked, protocol, rows, names)
    if str(asked.out) == "-":
        sys.stdout.write(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
        return 0
    if asked.out is not None:
        write_text(asked.out, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    _print(record, asked.metrics)
    return 0


def _check(asked: Request, *, trained: bool) -> None:
    """Refuse what cannot be scored, before any image is read."""
    from drnbench.degradations import parse
    from drnbench.evaluation import metrics as known_metrics

    if trained and asked.weights is None:
        raise UsageError(
            f"evaluate {asked.method}: a trained method needs its weights; "
            "give --weights FILE (a checkpoint.pt of the store, or the authors')"
        )
    if not trained and asked.weights is not None:
        raise UsageError(f"evaluate {asked.method}: this method has no weights; leave --weights out")
    if len(set(asked.metrics)) != len(asked.metrics):
        raise UsageError(f"--metrics {','.join(asked.metrics)}: name each metric once")
    needs = {metric: known_metrics.get(metric).needs for metric in asked.metrics}
    for metric, need in needs.items():
        if "dual" in need and asked.dual_weights is None:
            raise UsageError(f"--metrics {metric}: looks at the dual network; give --dual-weights FILE")
        if "hr" in need and parse(asked.kernel).real:
            raise UsageError(
                f"--metrics {metric}: compares with HR images, and 'real' LR images have none; use lr_psnr"
            )
    if asked.dual_weights is not None and not any("dual" in need for need in needs.values()):
        raise UsageError("--dual-weights: no metric looks at the dual network; add dual_mae to --metrics")
    for flag, path in (("--weights", asked.weights), ("--dual-weights", asked.dual_weights)):
        if path is not None and not path.is_file():
            raise UsageError(f"{flag} {path}: no such file")
    out = asked.out
    if out is not None and str(out) != "-" and not out.absolute().parent.is_dir():
        raise UsageError(f"--json {out}: the folder {out.absolute().parent} does not exist")


def _score(
    asked: Request, resolved: Any, device: str, store: Store, protocol: Any
) -> tuple[dict[str, list[float]], list[str]]:
    import torch
    from rich.progress import track

    from drnbench.data.cache import fingerprint
    from drnbench.evaluation.evaluator import items, measure
    from drnbench.models import models
    from drnbench.models.dual import Chain
    from drnbench.training.weights import dual_from_file, load_weights

    images = fingerprint(asked.data, store.cache).images
    model = models.get(resolved.model).make(asked.scale, **resolved.options)
    if asked.weights is not None:
        load_weights(model, asked.weights)
    model = model.to(device).eval()
    dual = Chain(dual_from_file(asked.dual_weights, asked.scale)).to(device).eval() if asked.dual_weights else None
    scores: dict[str, list[float]] = {metric: [] for metric in asked.metrics}
    found = items(model, images, asked.kernel, asked.scale, store.cache, torch.device(device), dual=dual)
    for item in track(found, description="scoring", total=len(images), transient=True, disable=not sys.stderr.isatty()):
        for metric in asked.metrics:
            scores[metric].append(measure(item, metric, protocol))
    return scores, [image.name for image in images]


def _record(asked: Request, protocol: Any, rows: dict[str, list[float]], names: list[str]) -> dict[str, Any]:
    metrics = asked.metrics
    finite = {metric: [v for v in values if math.isfinite(v)] for metric, values in rows.items()}
    infinite = {metric: len(rows[metric]) - len(finite[metric]) for metric in metrics}
    return {
        "model": asked.method,
        "scale": asked.scale,
        "kernel": asked.kernel,
        "data": asked.data,
        "protocol": protocol.model_dump(mode="json"),
        "mean": {m: sum(finite[m]) / len(finite[m]) if finite[m] else None for m in metrics},
        "infinite": {m: n for m, n in infinite.items() if n},
        "images": [
            {"image": name, **{m: rows[m][i] if math.isfinite(rows[m][i]) else None for m in metrics}}
            for i, name in enumerate(names)
        ],
    }


def _print(record: dict[str, Any], metrics: list[str]) -> None:
    from drnbench.evaluation import metrics as known_metrics

    width = max(len("mean"), *(len(row["image"]) for row in record["images"]))
    print(f"{'image':<{width}}  " + "  ".join(f"{known_metrics.get(m).label:>8}" for m in metrics))
    for row in [*record["images"], {"image": "mean", **record["mean"]}]:
        cells = "  ".join(f"{row[m]:8.4f}" if row[m] is not None else "     inf" for m in metrics)
        print(f"{row['image']:<{width}}  {cells}")
    from drnbench.evaluation.protocol import Protocol

    told = [
        f"{known_metrics.get(m).label}: {known_metrics.get(m).summary}"
        for m in metrics
        if m not in {"psnr_y", "ssim_y"}
    ]
    if len(told) < len(metrics):
        told.append(Protocol(**record["protocol"]).caption(record["scale"]))
    print(f"{record['model']} x{record['scale']}, {record['data']}, {record['kernel']}. {'. '.join(told)}")
