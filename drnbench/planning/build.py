"""Construction of a plan: trials to units, units to a graph, each with its state in the store."""

from __future__ import annotations

import functools
from fractions import Fraction
from typing import Any

from drnbench.config.trial import Stage, Trial
from drnbench.config.units import EvaluateUnit, StageUnit
from drnbench.evaluation import metrics
from drnbench.planning import claims
from drnbench.planning.checks import check_compiler
from drnbench.planning.expand import Arm, Expanded
from drnbench.planning.graph import Plan, PlannedTrial, StageNode
from drnbench.planning.inputs import Inputs
from drnbench.planning.kept_images import keep_images
from drnbench.planning.keys import Keys
from drnbench.planning.leaks import Leaks
from drnbench.schemes import losses, schemes
from drnbench.schemes.dual import has_estimate
from drnbench.store import Store, is_scored, read_json
from drnbench.store.environment import SIGNATURE, count_signatures
from drnbench.store.integrity import Fault, report
from drnbench.store.unit_files import picture_faults
from drnbench.training.origin import changes


def make(study: Expanded, store: Store, inputs: Inputs | None = None) -> Plan:
    """Build the plan of an expanded study against a store; nothing is run, everything is checked.

    Args:
        study: the expanded study.
        store: the results folder.
        inputs: files as they were read for an earlier plan; None: they are read now.

    Raises:
        UsageError: anything that would make a trial fail before it has computed anything.

    """
    keys, records = Keys(store.cache, inputs), list[dict[str, Any]]()
    leaks = Leaks(study.study, keys.inputs, store.cache)
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
                    stages[stage.key] = _node(stage, label, store if stage.key in trained else None, records)
                elif arm.name not in stages[stage.key].label:
                    stages[stage.key].label = f"{stage.stage.name}, seed {stage.seed}"  # of several arms
                stages[stage.key].used_by += 1
            unit = keys.evaluation(trial, units, where)
            if trial is arm.trials[0]:  # the other seeds read the same images
                leaks.check(trial, units, where)
            trials.append(
                _trial(arm, trial, unit, [u.key for u in units], stages, store if unit.key in scored else None)
            )
    keep_images(trials, study.study.image_budget, keys.inputs)
    for output in study.study.outputs:
        output.check(trials, study.name)
    for name in sorted({e.metric for t in trials for e in t.unit.wanted if e.key in t.missing}):
        metrics.get(name).check_available()
    for loss, name in {n.unit.stage.loss: n.unit.stage.name for n in stages.values() if n.state != "done"}.items():
        losses.check_available(loss, f"{study.name}, {name}")
    for node in stages.values():
        if node.state != "done":
            check_compiler(node.unit.stage, f"{study.name}, {node.unit.stage.name}")
    warnings = [*keys.displaced, *_warnings(stages, trials, records), *leaks.warnings, *_absent(keys.inputs, stages)]
    plan = Plan(study, trials, stages, warnings, keys.displaced)
    plan.overlap, plan.images_left_out = leaks.overlap, leaks.left_out
    plan.absent = frozenset(keys.inputs.absent)
    plan.primary = claims.primary_cell(plan)
    return plan


def _absent(inputs: Inputs, stages: dict[str, StageNode]) -> list[str]:
    """Return the warning that sets are not here, and what the plan cannot say without them."""
    if not inputs.absent:
        return []
    trained = {
        data.source for node in stages.values() for data in (node.unit.stage.data, node.unit.stage.unpaired) if data
    }
    unknown = [s for s in inputs.absent if s in trained and any(not image.height for image in inputs.images(s).images)]
    sizes = (
        f"; no source states the sizes of the images of {', '.join(unknown)}, so patches were not checked"
        if unknown
        else ""
    )
    warning = (
        f"planned from the catalogue: {', '.join(inputs.absent)} {'is' if len(inputs.absent) == 1 else 'are'} not here, so keys, "
        f"states and overlaps of what needs them are not those of a run{sizes}"
    )
    return [warning]


def _node(unit: StageUnit, label: str, store: Store | None, records: list[dict[str, Any]]) -> StageNode:
    if store is None:  # it has no folder
        return StageNode(unit, label, "missing")
    folder = store.stage(unit.key)
    state, status = store.look(folder)
    if state == "done" and not (folder / "checkpoint.pt").exists():
        if status is not None and "checkpoint.pt" in status.files:  # `clean` strikes those that it deletes
            report(Fault(folder / "checkpoint.pt", "is missing"), "it is trained again where its weights are needed")
        state = "missing"
    if state != "done":
        return StageNode(unit, label, state, status=status if state == "failed" else None)
    record = read_json(folder / "stage.json") or {}
    records.append(record)
    return StageNode(unit, label, state, changes(record, unit))


def _trial(
    arm: Arm, trial: Trial, unit: EvaluateUnit, keys: list[str], stages: dict[str, StageNode], store: Store | None
) -> PlannedTrial:
    state, status = store.look(store.trial(unit.key)) if store else ("missing", None)
    have = set(status.evaluations) if status else set()
    missing = tuple(e.key for e in unit.wanted if e.key not in have)
    failed = next((stages[k] for k in keys if stages[k].state == "failed"), None)
    if failed is not None:
        return PlannedTrial(arm, trial, unit, keys, "failed", missing, failed.status)
    if is_scored(unit.wanted, status):
        state = "done"
        if store is not None and status is not None and (faults := picture_faults(store.trial(unit.key), status.files)):
            # Scoring again is cheap, training again is not.
            cheap = all(stages[key].state == "done" for key in keys[-1:])
            for fault in faults:
                report(fault, "the trial is scored again" if cheap else "figures do without it: the weights are gone")
            if cheap:
                state, missing = "damaged", tuple(e.key for e in unit.wanted)
    elif state == "done":
        state = "missing"
    reasons: tuple[str, ...] = ()
    if store is not None and state == "done":
        reasons = changes(read_json(store.trial(unit.key) / "scores.json"), unit)
    return PlannedTrial(arm, trial, unit, keys, state, missing, status, reasons)


def _warnings(stages: dict[str, StageNode], trials: list[PlannedTrial], records: list[dict[str, Any]]) -> list[str]:
    warnings = []
    made = {"stages": [node.changes for node in stages.values()], "scored trials": [trial.changes for trial in trials]}
    for reason in dict.fromkeys(change for group in made.values() for reasons in group for change in reasons):
        counts = {noun: sum(reason in reasons for reasons in group) for noun, group in made.items()}
        counted = " and ".join(f"{n} {noun}" for noun, n in counts.items() if n)
        warnings.append(f"{counted} {reason}; --rerun stale makes them again")
    if names := dict.fromkeys(name for node in stages.values() if (name := _without_unpaired(node.unit.stage))):
        warnings.append(f"too few steps for a single unpaired image, so these train on pairs alone: {', '.join(names)}")
    if names := dict.fromkeys(node.unit.stage.name for node in stages.values() if _turns_estimate(node.unit.stage)):
        warnings.append(
            f"{', '.join(names)}: flips of patches turn the kernel, and the estimate is not turned with them: set augment=False"
        )
    if (signatures := count_signatures(records)) > 1:
        warnings.append(
            f"the stored stages come from {signatures} numerics signatures ({SIGNATURE}): one table would mix them; "
            "the stage.json of each names its own"
        )
    return warnings


def _without_unpaired(stage: Stage) -> str | None:
    """Return the name of a stage that asks for unpaired images and is over before the first; None for any other."""
    if stage.scheme is None or stage.rho <= 0 or _has_unpaired(stage.rho, stage.batch, stage.steps):
        return None
    return f"{stage.name} with rho={stage.rho:g}" if "unpaired" in schemes.get(stage.scheme).uses(stage) else None


def _turns_estimate(stage: Stage) -> bool:
    """Return True if LR patches are flipped that an estimated D, which is not turned with them, is compared with."""
    if stage.scheme is None or not stage.augment:
        return False
    return has_estimate(stage) and "lam" in schemes.get(stage.scheme).uses(stage)


@functools.cache
def _has_unpaired(rho: float, batch: int, steps: int) -> bool:
    """Return True if the whole part of steps * rho * batch, the sum of `unpaired_count` over all steps, is not 0."""
    return steps * Fraction(repr(rho)) * batch >= 1
