"""Building a plan: trials to units, units to a graph, each with its state in the store."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from drnbench.environment import code_fingerprint
from drnbench.evaluation import metrics
from drnbench.plan.keys import Keys
from drnbench.plan.outputs import check, plain
from drnbench.schemes import schemes
from drnbench.store import Status, Store, read_json
from drnbench.study import Arm, Expanded
from drnbench.trial import Stage, Trial
from drnbench.units import EvaluateUnit, StageUnit


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


def make(study: Expanded, store: Store) -> Plan:
    """Build the plan of an expanded study against a store; nothing is run, everything is checked.

    Raises:
        UsageError: anything that would make a trial fail before it has computed anything.

    """
    keys, signatures = Keys(store.cache), set[str]()
    trained, scored = store.names("stages"), store.names("trials")
    stages: dict[str, StageNode] = {}
    trials: list[PlannedTrial] = []
    for arm in study.arms:
        for trial in arm.trials:
            where = f"{study.name}, {arm.name}"
            units = keys.stages(trial, where)
            for stage in units:
                if stage.key not in stages:
                    label = f"{stage.stage.name} · {arm.name}, seed {stage.seed}"
                    stages[stage.key] = _node(stage, label, store if stage.key in trained else None, signatures)
                elif arm.name not in stages[stage.key].label:
                    stages[stage.key].label = f"{stage.stage.name}, seed {stage.seed}"  # of several arms
                stages[stage.key].used_by += 1
            unit = keys.evaluation(trial, units, where)
            trials.append(
                _trial(arm, trial, unit, [u.key for u in units], stages, store if unit.key in scored else None)
            )
    check(study.study.outputs, trials, study.name)
    for name in sorted({e.metric for t in trials for e in t.unit.wanted if e.key in t.missing}):
        metrics.get(name).ready()
    return Plan(study, trials, stages, _warnings(stages, trials, signatures))


def _measured(trials: list[PlannedTrial], scale: int | None) -> str:
    """Return one line on how every metric is measured; the protocol is that of the first trial."""
    names = dict.fromkeys(e.metric for t in trials for e in t.unit.wanted)
    return trials[0].trial.protocol.tag({name: metrics.get(name) for name in names}, scale)


def _node(unit: StageUnit, label: str, store: Store | None, signatures: set[str]) -> StageNode:
    if store is None:  # it has no folder
        return StageNode(unit, label, "missing")
    folder = store.stage(unit.key)
    state, status = store.look(folder)
    if state == "done" and not (folder / "checkpoint.pt").exists():
        state = "missing"
    if state != "done":
        return StageNode(unit, label, state, status=status if state == "failed" else None)
    record = read_json(folder / "stage.json") or {}
    signatures.add(repr(record.get("signature")))
    return StageNode(unit, label, state, record.get("code") != code_fingerprint("stage"))


def _other_code(path: Path, kind: str) -> bool:
    return bool((read_json(path) or {}).get("code") != code_fingerprint(kind))


def _trial(
    arm: Arm, trial: Trial, unit: EvaluateUnit, keys: list[str], stages: dict[str, StageNode], store: Store | None
) -> PlannedTrial:
    state, status = store.look(store.trial(unit.key)) if store else ("missing", None)
    have = set(status.evaluations) if status else set()
    missing = tuple(e.key for e in unit.wanted if e.key not in have)
    bad = next((stages[k] for k in keys if stages[k].state == "failed"), None)
    if bad is not None:
        return PlannedTrial(arm, trial, unit, keys, "failed", missing, bad.status)
    if not missing:
        state = "done"
    elif state == "done":
        state = "missing"
    stale = store is not None and state == "done" and _other_code(store.trial(unit.key) / "scores.json", "evaluate")
    return PlannedTrial(arm, trial, unit, keys, state, missing, status, stale)


def _warnings(stages: dict[str, StageNode], trials: list[PlannedTrial], signatures: set[str]) -> list[str]:
    warnings = []
    trained, scored = sum(node.stale for node in stages.values()), sum(trial.stale for trial in trials)
    if trained or scored:
        what = " and ".join(f"{n} {name}" for n, name in ((trained, "stages"), (scored, "scored trials")) if n)
        warnings.append(f"{what} come from other numeric code than this; --rerun stale makes them again")
    if alone := dict.fromkeys(text for node in stages.values() if (text := _without_unpaired(node.unit.stage))):
        warnings.append(f"too few steps for a single unpaired image, so these train on pairs alone: {', '.join(alone)}")
    if len(signatures) > 1:
        warnings.append(
            f"the stored stages come from {len(signatures)} numerics signatures (torch version, processor or GPU, threads, "
            "precision): one table would mix them; the stage.json of each names its own"
        )
    return warnings


def _without_unpaired(stage: Stage) -> str | None:
    """Return what a stage is called that asks for unpaired images and is over before the first; None where it is not."""
    # What `unpaired_count` gives over all steps is the whole part of this.
    if stage.rho <= 0 or stage.scheme is None or stage.steps * Fraction(repr(stage.rho)) * stage.batch >= 1:
        return None
    return f"{stage.name} with rho={stage.rho:g}" if "unpaired" in schemes.get(stage.scheme).uses(stage) else None
