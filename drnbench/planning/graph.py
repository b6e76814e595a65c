"""The plan of a study: its trials as a graph of stages and evaluations, each with its state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from drnbench.config.outputs import OutputSpec
from drnbench.config.trial import Trial
from drnbench.config.units import EvaluateUnit, StageUnit
from drnbench.evaluation import metrics
from drnbench.planning.expand import Arm, Expanded
from drnbench.results.plan_record import (
    ArmRecord,
    AxisRecord,
    ExclusionRecord,
    OverlapRecord,
    PlanRecord,
    PrimaryRecord,
    StageRecord,
    TrialRecord,
    UntilRecord,
)
from drnbench.store import Status


@dataclass
class StageNode:
    """One stage of the graph, shared by every trial that begins with it.

    Attributes:
        state: missing, done, failed, interrupted, running, lost.
        changes: why what is done is stale, as predicates of its plural: other numeric code, plug-ins or packages.
        used_by: how many trials need it.

    """

    unit: StageUnit
    label: str
    state: str
    changes: tuple[str, ...] = ()
    used_by: int = 0
    status: Status | None = None

    @property
    def stale(self) -> bool:
        """True where it is done, but not recorded as the work of the code and the packages of today."""
        return bool(self.changes)


@dataclass
class PlannedTrial:
    """One trial: its arm and seed, the keys of its stages, what is to be scored and what is missing of that.

    Attributes:
        changes: as in `StageNode`.

    """

    arm: Arm
    trial: Trial
    unit: EvaluateUnit
    stages: list[str]
    state: str
    missing: tuple[str, ...] = ()
    status: Status | None = None
    changes: tuple[str, ...] = ()

    @property
    def stale(self) -> bool:
        """See `StageNode`."""
        return bool(self.changes)

    @property
    def label(self) -> str:
        """How progress and logs call it."""
        return self.arm.name if self.arm.kind == "reference" else f"{self.arm.name}, seed {self.trial.seed}"


@dataclass
class Plan:
    """The trials of a study as a graph of stages and evaluations.

    Attributes:
        displaced: those warnings that say that ready-made LR images are shifted.
        primary: the comparison that is declared in advance.
        until: in a study that adds seeds, how many each arm has so far, and why.
        absent: sources that are not here, and were planned by their sizes in the catalogue.

    """

    study: Expanded
    trials: list[PlannedTrial]
    stages: dict[str, StageNode]
    warnings: list[str] = field(default_factory=list)
    displaced: list[str] = field(default_factory=list)
    primary: PrimaryRecord | None = None
    until: UntilRecord | None = None
    overlap: OverlapRecord | None = None
    images_left_out: list[str] = field(default_factory=list)
    absent: frozenset[str] = frozenset()

    @property
    def keys(self) -> set[str]:
        """The keys of all trials."""
        return {trial.unit.key for trial in self.trials}

    def counts(self) -> dict[str, int]:
        """Return how many trials are done, to run, failed before, excluded."""
        states = [trial.state for trial in self.trials]
        done, failed = states.count("done"), states.count("failed")
        excluded = sum(len(arm.excluded) for arm in self.study.arms)
        return {"done": done, "to run": len(states) - done - failed, "failed before": failed, "excluded": excluded}

    def record(self) -> PlanRecord:
        """Return what plan.json holds and every later reader takes."""
        study, declared = self.study, self.study.study
        return PlanRecord(
            study=study.name,
            question=study.question,
            profile=study.profile,
            overrides=dict(study.settings.overrides),
            file=study.file,
            data_roots=list(study.data_roots),
            baseline=study.baseline,
            baseline_values=declared.baseline,
            control=study.control,
            control_values=declared.control if isinstance(declared.control, dict) else {},
            subject=declared.subject,
            primary=self.primary,
            margin=declared.margin,
            axes=[AxisRecord(path=a.path, title=a.title, values=list(a.values), named=a.named) for a in declared.axes],
            outputs=[_output_record(out, self.trials[0].trial) for out in declared.outputs],
            protocol=self.trials[0].trial.protocol,
            measured=_measured(self.trials, None),
            arms=[_arm_record(arm) for arm in study.arms],
            stages={key: _stage_record(node) for key, node in self.stages.items()},
            trials=[_trial_record(trial) for trial in self.trials],
            warnings=self.warnings,
            until=self.until,
            displaced=self.displaced,
            overlap=self.overlap,
            images_left_out=self.images_left_out,
        )


def _output_record(output: OutputSpec, trial: Trial) -> dict[str, Any]:
    return {"kind": output.name, **output.resolved(trial).model_dump(mode="json")}


def _arm_record(arm: Arm) -> ArmRecord:
    excluded = [ExclusionRecord(seed=seed, reason=reason) for seed, reason in arm.excluded.items()]
    return ArmRecord(name=arm.name, kind=arm.kind, values=arm.values, excluded=excluded)


def _stage_record(node: StageNode) -> StageRecord:
    return StageRecord(
        label=node.label, name=node.unit.stage.name, state=node.state, stale=node.stale, used_by=node.used_by,
        before=node.unit.before,
    )  # fmt: skip


def _trial_record(planned: PlannedTrial) -> TrialRecord:
    trial = planned.trial
    return TrialRecord(
        key=planned.unit.key, arm=planned.arm.name, seed=trial.seed, state=planned.state, stages=planned.stages,
        scale=trial.scale, wanted=list(planned.unit.wanted), measured=_measured([planned], trial.scale),
        config=trial.model_dump(mode="json"),
    )  # fmt: skip


def _measured(trials: list[PlannedTrial], scale: int | None) -> str:
    """Return one line on how every metric is measured; the protocol is that of the first trial."""
    names = dict.fromkeys(e.metric for t in trials for e in t.unit.wanted)
    return trials[0].trial.protocol.tag({name: metrics.get(name) for name in names}, scale)
