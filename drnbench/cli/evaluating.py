"""The verb `evaluate`: a method, weights, images -> scores on standard output and as JSON."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

from drnbench.errors import UsageError
from drnbench.store import Store, write_text


def evaluate_method(
    method: str, scale: int, data: str, weights: Path | None, kernel: str, metrics: list[str], out: Path | None,
    sets: list[str], device: str, results: Path, *, y_round: bool,
) -> int:  # fmt: skip
    """Score a method on a set; returns the exit code."""
    from drnbench.cli.studies import pick_devices, read_sets
    from drnbench.degradations import canonical
    from drnbench.evaluation import metrics as known_metrics
    from drnbench.evaluation.protocol import Protocol
    from drnbench.methods import resolve

    resolved = resolve(method, scale, read_sets(sets))
    if resolved.scheme is not None and weights is None:
        raise UsageError(
            f"evaluate {method}: a trained method needs its weights; give --weights FILE (a checkpoint.pt of the store)"
        )
    if resolved.scheme is None and weights is not None:
        raise UsageError(f"evaluate {method}: this method has no weights; leave --weights out")
    for metric in metrics:
        known_metrics.get(metric)
    if len(set(metrics)) != len(metrics):
        raise UsageError(f"--metrics {','.join(metrics)}: name each metric once")
    spec = canonical(kernel)
    if weights is not None and not weights.is_file():
        raise UsageError(f"--weights {weights}: no such file")
    if out is not None and str(out) != "-" and not out.absolute().parent.is_dir():
        raise UsageError(f"--json {out}: the folder {out.absolute().parent} does not exist")
    protocol = Protocol(y_round=y_round)
    devices, _ = pick_devices(device, 1)
    store = Store(results)
    store.prepare()
    rows, names = _score(resolved, scale, data, weights, spec, metrics, devices[0], store, protocol)
    record = _record(method, scale, spec, data, protocol, metrics, rows, names)
    if str(out) == "-":
        sys.stdout.write(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
        return 0
    if out is not None:
        write_text(out, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    _print(record, metrics)
    return 0


def _score(
    resolved: Any, scale: int, data: str, weights: Path | None, kernel: str, metrics: list[str], device: str,
    store: Store, protocol: Any,
) -> tuple[dict[str, list[float]], list[str]]:  # fmt: skip
    import torch
    from rich.progress import track

    from drnbench.data.cache import fingerprint, hr_set, lr_set
    from drnbench.evaluation.evaluator import score_images, super_resolve
    from drnbench.models import models
    from drnbench.training.weights import load_weights

    images = fingerprint(data, store.cache).images
    model = models.get(resolved.model).make(scale, **resolved.options)
    if weights is not None:
        load_weights(model, weights)
    model = model.to(device).eval()
    lrs = lr_set(images, kernel, scale, store.cache, modulo=scale)
    scores: dict[str, list[float]] = {metric: [] for metric in metrics}
    pairs = list(zip(images, lrs, hr_set(images), strict=True))
    for image, lr, hr in track(pairs, description="scoring", transient=True, disable=not sys.stderr.isatty()):
        sr = super_resolve(model, lr, torch.device(device))
        for metric in metrics:
            scores[metric] += [value for _, value in score_images([sr], [hr], [image.name], metric, scale, protocol)]
    return scores, [image.name for image in images]


def _record(
    method: str,
    scale: int,
    kernel: str,
    data: str,
    protocol: Any,
    metrics: list[str],
    rows: dict[str, list[float]],
    names: list[str],
) -> dict[str, Any]:
    finite = {metric: [v for v in values if math.isfinite(v)] for metric, values in rows.items()}
    infinite = {metric: len(rows[metric]) - len(finite[metric]) for metric in metrics}
    return {
        "model": method,
        "scale": scale,
        "kernel": kernel,
        "data": data,
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

    protocol = Protocol(**record["protocol"]).caption(record["scale"])
    print(f"{record['model']} x{record['scale']}, {record['data']}, {record['kernel']}. {protocol}")
