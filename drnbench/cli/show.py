"""The verb `show`: everything in the store about one stage or trial."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from typer import Option

from drnbench.cli.options import RESULTS, KeyArg, ResultsOpt
from drnbench.config.keys import short
from drnbench.errors import UsageError
from drnbench.models import on_demand
from drnbench.parallel import clock
from drnbench.render.terminal import columns, size
from drnbench.results.costs import read_measurement
from drnbench.results.inventory import Holding, Inventory, resolve
from drnbench.store import Store, read_json, stored_rows

RECORDED = ("versions", "hardware", "git", "signature", "data", "code", "plug_ins", "earlier")
USES = 12
"""Arms that are named; a pretraining may be shared by a hundred."""


def collect(store: Store, folder: Path, log: int) -> dict[str, Any]:
    """Return everything about a unit as plain data; what the store does not have is null or empty.

    Keys: kind, key, state, status, used_by, stages (of a trial) or before (of a stage), configuration, recorded
    (versions, hardware, git, signature, data, code, plug_ins, earlier), costs, scores, files (bytes by path), log (its last lines).
    """
    unit = Inventory(store).holding(folder)
    status = read_json(folder / "status.json")
    record = read_json(folder / ("stage.json" if unit.kind == "stage" else "scores.json")) or {}
    out: dict[str, Any] = {
        "kind": unit.kind,
        "key": unit.key,
        "state": unit.state,
        "status": status,
        "used_by": [
            {"study": use.report.partition("/")[0], "report": use.report, "arm": use.arm, "seed": use.seed}
            for use in unit.used_by
        ],
    }
    if unit.kind == "stage":
        declared = read_json(folder / "unit.json") or {}
        out |= {"before": declared.get("before"), "configuration": declared, "scores": []}
        out["costs"] = _costs(unit, record)
    else:
        declared = read_json(folder / "trial.json") or {}
        stages = declared.get("stages") or []
        out |= {"stages": {stage: store.state(store.stage(stage)) for stage in stages}}
        out |= {"configuration": declared.get("config"), "scores": scores(folder / "per_image.parquet")}
        measured = read_measurement(folder) or {}
        out["costs"] = _costs(unit, record) | _training(store, stages)
        out["costs"] |= {name: measured[name] for name in ("latency_ms", "memory_mib") if name in measured}
    out["recorded"] = {name: record.get(name) for name in RECORDED if record.get(name) is not None}
    out["files"] = unit.files
    out["log"] = tail(folder / "log.txt", log)
    return out


def _costs(unit: Holding, record: Mapping[str, Any]) -> dict[str, Any]:
    counted = record.get("costs") or {}
    names = ("seconds", "steps", "seconds_per_step", "scored", "device", "peak_rss_mib", "peak_gpu_mib")
    out = {name: record[name] for name in names if record.get(name) is not None}
    out |= {
        name: counted[name]
        for name in ("seconds", "macs", "parameters", "activations")
        if counted.get(name) is not None
    }
    if unit.checkpoint and unit.kind == "stage" and unit.state == "done":
        out["parameters"] = _parameters(unit.folder / "checkpoint.pt")
    return out


def _parameters(path: Path) -> int | None:
    """Count the numbers of the model in a checkpoint, buffers too."""
    try:
        state = on_demand.weights.read_safely(path)
    except UsageError:
        return None
    return sum(tensor.numel() for tensor in state["model"].values()) if on_demand.weights.is_checkpoint(state) else None


def _training(store: Store, stages: list[str]) -> dict[str, Any]:
    records = [(read_json(store.stage(key) / "stage.json") or {}) for key in stages]
    seconds = [(record.get("costs") or {}).get("seconds") for record in records]
    peaks = [record["peak_rss_mib"] for record in records if record.get("peak_rss_mib") is not None]
    measured = [value for value in seconds if value is not None]
    out: dict[str, Any] = {"training_seconds": sum(measured)} if measured and len(measured) == len(seconds) else {}
    return out | ({"training_peak_rss_mib": max(peaks)} if peaks else {})


def scores(path: Path) -> list[dict[str, Any]]:
    """Return mean over finite values, number of images and of infinite values by metric, data set and kernel."""
    table = stored_rows(path)
    if table is None:
        return []
    import numpy as np

    out = []
    rows = table.to_pandas()
    group: Any
    for group, group_rows in rows.groupby(["dataset", "kernel", "scale", "metric", "evaluation"], sort=False):
        dataset, kernel, scale, metric, evaluation = group
        values = group_rows["value"].to_numpy(dtype="float64")
        finite = values[np.isfinite(values)]
        out.append({
            "dataset": dataset, "kernel": kernel, "scale": int(scale), "metric": metric,
            "mean": float(finite.mean()) if len(finite) else None, "images": len(values),
            "infinite": int(np.isinf(values).sum()), "evaluation": evaluation,
        })  # fmt: skip
    return out


def tail(path: Path, count: int) -> list[str]:
    """Return the last lines of a text file, of which only the end is read; [] where there is none."""
    if count < 1:
        return []
    try:
        with path.open("rb") as file:
            end = file.seek(0, 2)
            start, text = end, b""
            while start > 0 and text.count(b"\n") <= count:
                start = max(0, start - 65536)
                file.seek(start)
                text = file.read(end - start)
    except OSError:
        return []
    return text.decode("utf-8", errors="replace").splitlines()[-count:]


def lines(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield what `show` prints."""
    status = record["status"] or {}
    rows = [("state", _state(record, status))]
    if status.get("state") == "failed":
        rows.append(("failure", f"{status.get('kind') or 'error'}: {status.get('message')}"))
    rows += [("used by", text) for text in _uses(record["used_by"])]
    if record["kind"] == "trial":
        rows += [("stages", ", ".join(f"{short(k)} ({s})" for k, s in record["stages"].items()) or "none")]
    elif record["before"]:
        rows.append(("starts from", f"stage {short(record['before'])}"))
    costs = "; ".join(_cost(name, value) for name, value in record["costs"].items() if value is not None)
    rows.append(("costs", costs or "not measured"))
    yield f"{record['kind']} {record['key']}"
    yield from columns(rows)
    yield from _section("configuration", record["configuration"])
    yield from _section("recorded", record["recorded"])
    if record["scores"]:
        yield "scores"
        table = [("metric", "data set", "kernel", "scale", "mean", "images", "infinite")]
        for score in record["scores"]:
            mean = "-" if score["mean"] is None else f"{score['mean']:.4f}"
            table.append((score["metric"], score["dataset"], score["kernel"], f"x{score['scale']}", mean, str(score["images"]),
                          str(score["infinite"]) if score["infinite"] else ""))  # fmt: skip
        yield from (f"  {line}" for line in columns(table))
    yield f"files, {size(sum(record['files'].values()))}"
    yield from (f"  {line}" for line in columns(_files(record["files"]) or [("none", "")]))
    if record["log"]:
        yield f"log, last {len(record['log'])} lines"
        yield from (f"  {line}" for line in record["log"])


def _state(record: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    text = str(record["state"])
    if record["kind"] == "stage" and text == "done" and "checkpoint.pt" not in record["files"]:
        text += ", its checkpoint cleaned away"
    if status.get("started"):
        text += f", started {_time(status['started'])}"
    if status.get("finished"):
        text += f", took {clock(status['finished'] - status['started'])}"
    return text + (f" on {status['host']}" if status.get("host") else "")


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _uses(uses: list[dict[str, Any]]) -> Iterator[str]:
    arms: dict[tuple[str, str], list[str]] = {}
    for use in uses:
        arms.setdefault((use["report"], use["arm"]), []).append(str(use["seed"]))
    if not arms:
        yield "no study that is planned in this store"
    for n, ((report, arm), seeds) in enumerate(arms.items()):
        if n == USES:
            yield f"... and {len(arms) - n} more arms"
            return
        yield f"{report}: {arm}, seed {', '.join(seeds)}"


def _cost(name: str, value: Any) -> str:
    match name:
        case "seconds":
            return f"{clock(value)} for all steps" if value >= 60 else f"{value:.1f} s"
        case "training_seconds":
            return f"training {clock(value)}"
        case "seconds_per_step":
            return f"{value:.4g} s a step"
        case "peak_rss_mib" | "peak_gpu_mib" | "training_peak_rss_mib":
            where = {"peak_rss_mib": "memory", "peak_gpu_mib": "GPU memory"}.get(name, "memory in training")
            return f"peak {where} {size(value * 2**20)}"
        case "macs" | "parameters" | "activations":
            return f"{value:,} {'MACs' if name == 'macs' else name}"
        case "latency_ms":
            return f"latency {value:.3g} ms an image"
        case "memory_mib":
            return f"peak memory of a pass {size(value * 2**20)}"
    return f"{name} {value}"


def _section(title: str, content: Any) -> Iterator[str]:
    yield title
    if not content:
        yield "  not recorded"
        return
    yield from (f"  {line}" for line in columns(list(_flat(content, ""))))


def _flat(content: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    """Yield (path, value) of nested data, without what is not set."""
    for name, value in content.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}.")
        elif isinstance(value, list) and value and all(isinstance(entry, Mapping) for entry in value):
            for n, entry in enumerate(value):
                # Stages have names, and overrides use them.
                yield from _flat(entry, f"{entry['name']}." if path == "stages" and "name" in entry else f"{path}.{n}.")
        elif value not in (None, [], {}):
            yield path, ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _files(files: Mapping[str, int]) -> list[tuple[str, str]]:
    """Return names and sizes; those of a folder in one row."""
    groups: dict[str, list[int]] = {}
    for name, count in files.items():
        top, slash, _ = name.partition("/")
        groups.setdefault(top + slash, []).append(count)
    return [(f"{name} ({len(n)} files)" if name.endswith("/") else name, size(sum(n))) for name, n in groups.items()]


def command(
    key: KeyArg,
    results: ResultsOpt = RESULTS,
    log: Annotated[int, Option(min=0, metavar="N", help="lines of the end of its log; 0: none")] = 20,
    as_json: Annotated[bool, Option("--json", help="as JSON, all of it")] = False,
) -> int:
    """Show one stage or trial: state, configuration, origin, costs, scores, files, log."""
    store = Store(results)
    record = collect(store, resolve(store, key), log)
    print(json.dumps(record, indent=2, ensure_ascii=False, default=str) if as_json else "\n".join(lines(record)))
    return 0
