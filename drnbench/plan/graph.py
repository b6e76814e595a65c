"""The plan of a study: its trials as a graph of stages and evaluations, each with its state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from drnbench.config.trial import Trial
from drnbench.config.units import EvaluateUnit, StageUnit
from drnbench.evaluation import metrics
from drnbench.plan.expand import Arm, Expanded
from drnbench.plan.outputs import plain
from drnbench.store import Status


@dataclass
class StageNode:
    """One stage of the graph, shared by every trial that begins with it.

    Attributes:
        state: missing, done, failed, interrupted, running, lost.
        stale: done, but by numeric code that has changed since.
        used_by: how many trials need it.

    """

    unit: StageUnit
    label: str
    state: str
    stale: bool = False
    used_by: int = 0
    status: Status | None = None


@dataclass
class PlannedTrial:
    """One trial: its arm and seed, the keys of its stages, what is to be scored and what is missing of that.

    Attributes:
        stale: scored, but by numeric code that has changed since.

    """

    arm: Arm
    trial: Trial
    unit: EvaluateUnit
    stages: list[str]
    state: str
    missing: tuple[str, ...] = ()
    status: Status | None = None
    stale: bool = False

    @property
    def label(self) -> str:
        """How progress and logs call it."""
        return self.arm.name if self.arm.kind == "reference" else f"{self.arm.name}, seed {self.trial.seed}"


@dataclass
class Plan:
    """The trials of a study as a graph of stages and evaluations."""

    study: Expanded
    trials: list[PlannedTrial]
    stages: dict[str, StageNode]
    warnings: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Return how many trials are done, to run, failed before, excluded."""
        states = [trial.state for trial in self.trials]
        done, failed = states.count("done"), states.count("failed")
        excluded = sum(len(arm.excluded) for arm in self.study.arms)
        return {"done": done, "to run": len(states) - done - failed, "failed before": failed, "excluded": excluded}

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain data: what plan.json holds and what `report` reads."""
        study = self.study
        return {
            "study": study.name,
            "question": study.question,
            "profile": study.profile,
            "baseline": study.baseline,
            "baseline_values": study.study.baseline,
            "control": study.control,
            "control_values": study.study.control if isinstance(study.study.control, dict) else {},
            "subject": study.study.subject,
            "axes": [
                {"path": a.path, "title": a.title, "values": list(a.values), "named": a.named}
                for a in study.study.axes
            ],
            "outputs": [plain(o, self.trials[0].trial) for o in study.study.outputs],
            "protocol": self.trials[0].trial.protocol.model_dump(mode="json"),
            "measured": _measured(self.trials, None),
            "arms": [
                {"name": a.name, "kind": a.kind, "values": a.values,
                 "excluded": [{"seed": s, "reason": r} for s, r in a.excluded.items()]}
                for a in study.arms
            ],
            "stages": {
                key: {"label": n.label, "name": n.unit.stage.name, "state": n.state, "stale": n.stale, "used_by": n.used_by,
                      "before": n.unit.before}
                for key, n in self.stages.items()
            },
            "trials": [
                {"key": t.unit.key, "arm": t.arm.name, "seed": t.trial.seed, "state": t.state, "stages": t.stages,
                 "scale": t.trial.scale, "measured": _measured([t], t.trial.scale),
                 "wanted": [e.model_dump(mode="json") for e in t.unit.wanted],
                 "config": t.trial.model_dump(mode="json")}
                for t in self.trials
            ],
            "warnings": self.warnings,
        }  # fmt: skip


def _measured(trials: list[PlannedTrial], scale: int | None) -> str:
    """Return one line on how every metric is measured; the protocol is that of the first trial."""
    names = dict.fromkeys(e.metric for t in trials for e in t.unit.wanted)
    return trials[0].trial.protocol.tag({name: metrics.get(name) for name in names}, scale)
