"""The costs of an arm: size of its model, work and time for one image, time of its training."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drnbench.config.outputs import MEASURED
from drnbench.results.scores import Arm, Scores
from drnbench.store import Damaged, Fault, Store, read_json
from drnbench.store.integrity import decode, report

COLUMNS = ("arm", "parameters", "macs", "step_macs", "seconds", "n_seeds")
LATER = ("activations", "latency", "memory")
"""Columns that follow where an arm has them: earlier versions recorded none."""
MEASUREMENT = "latency.json"
"""File beside the scores of a trial: latency and memory of its network, on what they were measured, and when."""
FIELDS = frozenset(
    ("date", "latency_ms", "lr_size", "device", "threads", "batch", "precision", "hardware", "torch", "running_units",
     "busy_cores")
)  # fmt: skip
"""Fields that a measurement must have."""
DESCRIPTIONS = {
    "parameters": "Params: parameters of the model.",
    "macs": "MACs: multiply-adds for an LR image of 96×96 pixels.",
    "step_macs": "Step MACs: multiply-adds of a training step of the last stage by image, forward and backward, every network.",
    "seconds": "Training: seconds of one process, all stages, mean over seeds.",
    "activations": "Acts: numbers in the outputs of all convolutions for an LR image of 96×96 pixels.",
    "latency": "Latency: milliseconds an image, median of repeated passes after warm-up",
    "memory": "Memory: peak MiB of one pass, weights included",
}
"""The sentence of a caption on each; of latency and memory, its beginning."""


@dataclass(frozen=True)
class Cost:
    """The costs of one arm.

    Attributes:
        parameters: of the model; None as long as nothing is scored.
        macs: multiply-adds for a 96 x 96 LR image.
        step_macs: multiply-adds of a training step of the last stage by image; None: not trained, or not counted.
        seconds: of training, summed over the arm's stages (shared ones too), mean over seeds; None: not trained (yet).
        seeds: number of seeds in that mean.
        activations: numbers in the outputs of its convolutions for a 96 x 96 LR image; None: not counted.
        latency: milliseconds an image; None: not measured, or elsewhere than the latest measurement of the report.
        memory: peak MiB of one pass; None as for `latency`.
        conditions: of the latest measurement of the report, in words; empty without one.

    """

    parameters: int | None = None
    macs: int | None = None
    step_macs: float | None = None
    seconds: float | None = None
    seeds: int = 0
    activations: int | None = None
    latency: float | None = None
    memory: float | None = None
    conditions: str = ""

    def get(self, what: str) -> float | None:
        """Return a cost by its name in a study file."""
        value: float | None = getattr(self, what)
        return value


Costs = dict[str, Cost]


def read_costs(scores: Scores, store: Store) -> Costs:
    """Return the costs of every arm, as far as the store has them.

    Latencies are compared in one report only where they were measured alike: those of the latest measurement's conditions.
    """
    stages = {key: _costs(read_json(store.stage(key) / "stage.json")) for key in scores.plan.stages}
    measurements = {arm.name: _measurements(arm, store) for arm in scores.arms}
    latest = max((m for arm in measurements.values() for m in arm), key=lambda m: str(m["date"]), default=None)
    alike = conditions(latest) if latest is not None else ""
    every = [m for arm in measurements.values() for m in arm if conditions(m) == alike]
    around = f"{alike}; {_circumstances(every)}" if every else ""
    return {arm.name: _cost(arm, store, stages, measurements[arm.name], alike, around) for arm in scores.arms}


def _costs(record: Any) -> dict[str, Any]:
    costs = (record or {}).get("costs")
    return costs if isinstance(costs, dict) else {}


def read_measurement(folder: Path) -> dict[str, Any] | None:
    """Return the latency.json of a trial; None where there is none, or, which is reported, one that is not whole."""
    path = folder / MEASUREMENT
    try:
        record = decode(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Damaged as error:
        record, reason = {}, str(error)
    else:
        reason = f"lacks {', '.join(sorted(FIELDS - record.keys()))}"
    if record.keys() >= FIELDS:
        return record
    report(Fault(path, reason), "it counts as missing; `measure` measures again")
    return None


def _measurements(arm: Arm, store: Store) -> list[dict[str, Any]]:
    records = (read_measurement(store.trial(trial.key)) for trial in arm.trials)
    return [record for record in records if record is not None]


def conditions(record: Mapping[str, Any]) -> str:
    """Return what a latency was measured on, in words, without the date and what else ran."""
    height, width = record["lr_size"]
    threads = "" if record["device"] == "cuda" else f" ({record['threads']} thread{'s' * (record['threads'] > 1)})"
    size = f"batch {record['batch']}, LR images of {height}×{width} pixels, {record['precision']}"
    return f"{size}, {record['hardware']}{threads}, torch {record['torch']}"


def _circumstances(records: Sequence[Mapping[str, Any]]) -> str:
    """Return when something was measured, and beside how much other work."""
    days = sorted({str(record["date"])[:10] for record in records})
    units, cores = (max(record[name] for record in records) for name in ("running_units", "busy_cores"))
    period = "–".join(dict.fromkeys((days[0], days[-1])))
    return f"{period}, beside {units} running units of the store and {cores:.1f} busy cores"


def description(what: str, costs: Costs) -> str:
    """Return the sentence of a caption on a cost, with the conditions of what was measured."""
    if what not in MEASURED:
        return DESCRIPTIONS[what]
    alike = next((cost.conditions for cost in costs.values() if cost.conditions), "")
    if not alike:
        return f"{DESCRIPTIONS[what]}; not measured yet (`measure`)."
    without = [name for name, cost in costs.items() if cost.get(what) is None and cost.macs is not None]
    return f"{DESCRIPTIONS[what]}: {alike}.{' Dashes: not measured there.' if without else ''}"


def _cost(
    arm: Arm, store: Store, stages: dict[str, dict[str, Any]], measurements: Sequence[Mapping[str, Any]], alike: str,
    around: str,
) -> Cost:  # fmt: skip
    scored = (_costs(read_json(store.trial(trial.key) / "scores.json")) for trial in arm.trials)
    model = next((costs for costs in scored if costs), {})
    chains = [[stages.get(key, {}) for key in trial.stages] for trial in arm.trials if trial.stages]
    steps = next((chain[-1]["macs"] for chain in chains if chain[-1].get("macs") is not None), None)
    times = [[stage.get("seconds") for stage in chain] for chain in chains]
    whole = [sum(seconds for seconds in chain if seconds is not None) for chain in times if None not in chain]
    seconds = sum(whole) / len(whole) if whole else None
    matching = next((m for m in measurements if conditions(m) == alike), {})
    activations = model.get("activations") or next((m.get("activations") for m in measurements), None)
    return Cost(
        model.get("parameters"), model.get("macs"), steps, seconds, len(whole), activations, matching.get("latency_ms"),
        matching.get("memory_mib"), around,
    )  # fmt: skip


def to_csv(costs: Costs) -> str:
    """Return costs.csv: one row an arm; an unknown cost is an empty field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    later = [name for name in LATER if any(cost.get(name) is not None for cost in costs.values())]
    writer.writerow([*COLUMNS, *later])
    for arm, c in costs.items():
        writer.writerow([arm, c.parameters, c.macs, c.step_macs, c.seconds, c.seeds, *map(c.get, later)])
    return text.getvalue()


def scaled_unit(what: str, values: Sequence[float]) -> tuple[str, float]:
    """Return the head of a column of costs, and the divisor of its values."""
    most = max(values, default=0.0)
    if what == "parameters":
        return ("Params (M)", 1e6) if most >= 1e5 else ("Params (k)", 1e3)
    if what in {"macs", "step_macs"}:
        prefix, divisor = ("G", 1e9) if most >= 1e8 else ("M", 1e6)
        return f"{'Step ' * (what == 'step_macs')}{prefix}MACs", divisor
    if what == "activations":
        return ("Acts (M)", 1e6) if most >= 1e5 else ("Acts (k)", 1e3)
    if what in MEASURED:
        return ("Latency (ms)" if what == "latency" else "Memory (MiB)", 1.0)
    return ("Training (s)", 1.0)


def three_digits(value: float) -> str:
    """Write a cost with three digits, and never with an exponent."""
    if value >= 99.95 or value == 0:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"
