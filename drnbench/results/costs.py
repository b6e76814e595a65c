"""The costs of an arm: size of its model, work for one image, time of its training."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from drnbench.results.scores import Arm, Scores
from drnbench.store import Store, read_json

COLUMNS = ("arm", "parameters", "macs", "step_macs", "seconds", "n_seeds")
DESCRIPTIONS = {
    "parameters": "Params: parameters of the model.",
    "macs": "MACs: multiply-adds for an LR image of 96×96 pixels.",
    "step_macs": "Step MACs: multiply-adds of a training step of the last stage by image, forward and backward, every network.",
    "seconds": "Training: seconds of one process, all stages, mean over seeds.",
}
"""The sentence of a caption on each."""


@dataclass(frozen=True)
class Cost:
    """The costs of one arm.

    Attributes:
        parameters: of the model; None as long as nothing is scored.
        macs: multiply-adds for a 96 x 96 LR image.
        step_macs: multiply-adds of a training step of the last stage by image; None: not trained, or not counted.
        seconds: of training, summed over the arm's stages (shared ones too), mean over seeds; None: not trained (yet).
        seeds: number of seeds in that mean.

    """

    parameters: int | None = None
    macs: int | None = None
    step_macs: float | None = None
    seconds: float | None = None
    seeds: int = 0

    def get(self, what: str) -> float | None:
        """Return a cost by its name in a study file."""
        value: float | None = getattr(self, what)
        return value


Costs = dict[str, Cost]


def read_costs(scores: Scores, store: Store) -> Costs:
    """Return the costs of every arm, as far as the store has them."""
    stages = {key: _costs(read_json(store.stage(key) / "stage.json")) for key in scores.plan.stages}
    return {arm.name: _cost(arm, store, stages) for arm in scores.arms}


def _costs(record: Any) -> dict[str, Any]:
    costs = (record or {}).get("costs")
    return costs if isinstance(costs, dict) else {}


def _cost(arm: Arm, store: Store, stages: dict[str, dict[str, Any]]) -> Cost:
    scored = (_costs(read_json(store.trial(trial.key) / "scores.json")) for trial in arm.trials)
    model = next((costs for costs in scored if costs), {})
    chains = [[stages.get(key, {}) for key in trial.stages] for trial in arm.trials if trial.stages]
    steps = next((chain[-1]["macs"] for chain in chains if chain[-1].get("macs") is not None), None)
    times = [[stage.get("seconds") for stage in chain] for chain in chains]
    whole = [sum(seconds for seconds in chain if seconds is not None) for chain in times if None not in chain]
    seconds = sum(whole) / len(whole) if whole else None
    return Cost(model.get("parameters"), model.get("macs"), steps, seconds, len(whole))


def to_csv(costs: Costs) -> str:
    """Return costs.csv: one row an arm; an unknown cost is an empty field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([arm, c.parameters, c.macs, c.step_macs, c.seconds, c.seeds] for arm, c in costs.items())
    return text.getvalue()


def scaled_unit(what: str, values: Sequence[float]) -> tuple[str, float]:
    """Return the head of a column of costs, and the divisor of its values."""
    most = max(values, default=0.0)
    if what == "parameters":
        return ("Params (M)", 1e6) if most >= 1e5 else ("Params (k)", 1e3)
    if what in {"macs", "step_macs"}:
        prefix, divisor = ("G", 1e9) if most >= 1e8 else ("M", 1e6)
        return f"{'Step ' * (what == 'step_macs')}{prefix}MACs", divisor
    return ("Training (s)", 1.0)


def three_digits(value: float) -> str:
    """Write a cost with three digits, and never with an exponent."""
    if value >= 99.95 or value == 0:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"
