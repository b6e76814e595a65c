"""The verb `reproduce`: a stored trial or stage is run again, and compared with what the store has of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drnbench.config.keys import digest, short
from drnbench.config.protocol import Protocol
from drnbench.config.study import Study
from drnbench.config.trial import Evaluate, Trial
from drnbench.config.units import EvaluateUnit, StageUnit, Unit
from drnbench.errors import UsageError
from drnbench.execution.local import LocalExecutor
from drnbench.planning import Plan, PlannedTrial, StageNode
from drnbench.planning.expand import Arm, Expanded
from drnbench.results.inventory import resolve
from drnbench.session import reproduction
from drnbench.session.coordinator import Coordinator
from drnbench.session.execute import display
from drnbench.session.reproduction import Compared, Recorded
from drnbench.store import Store, read_json
from drnbench.store.devices import pick_devices
from drnbench.training.prepare import prepare


def reproduce(key: str, results: Path, device: str, keep: Path | None) -> int:
    """Run a stored trial (or a stage and those before it) again from scratch, and compare; returns the exit code.

    Args:
        key: at least 4 characters of it.
        results: the store, which is only read: images come from their sources, through a cache of its own.
        device: "auto" (the kind that is recorded, where it is there), "cpu" or "cuda".
        keep: folder that keeps what is made now; none: it is deleted.

    Returns:
        0 identical, 1 not, 130 interrupted.

    Raises:
        UsageError: it cannot be done: what lacks, or which data are gone or have changed.
    """
    store = Store(results)
    folder = resolve(store, key)
    with _fresh_store(store, folder.name, keep) as fresh:
        record = reproduction.read_recorded(store, folder, fresh.cache)
        reproduction.check_data(record, fresh.cache)
        failed = _run(record, fresh, _device(store, record, device))
        if failed is None:
            print("interrupted; nothing was compared", file=sys.stderr)
            return 130
        if failed:
            print("not reproduced: it failed this time")
            print("\n".join(f"failed: {line}" for line in failed), file=sys.stderr)
            return 1
        outcomes, why = _compare(record, store, fresh)
    print()
    for line in why:
        print(line)
    for result in outcomes:
        counted = f" ({result.count} {'rows' if result.title == 'scores' else 'tensors'})"
        print(f"{result}{'' if result.missing else counted}")
    if keep is not None:
        print(f"what was made now is in {keep}")
    return 0 if all(result.identical or result.missing for result in outcomes) else 1


@contextmanager
def _fresh_store(store: Store, key: str, keep: Path | None) -> Iterator[Store]:
    """Give a store of its own, with a cache of its own: what the other cache holds may be the fault."""
    if keep is not None and keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise UsageError(f"--keep {keep}: it is there and not empty; give a new folder")
    # The name tells `clean` whose it is, should this process be killed; processes of two containers may have the same id.
    name = f".reproduce-{short(key)}.{uuid.uuid4().hex[:8]}.{os.getpid()}.tmp"
    fresh = Store(keep if keep is not None else store.root / name)
    try:
        _prepare(fresh, store, keep)
        yield fresh
    finally:
        shutil.rmtree(fresh.cache if keep is not None else fresh.root, ignore_errors=True)
        with contextlib.suppress(OSError):  # where nothing was made, nothing is left
            fresh.root.rmdir()


def _prepare(fresh: Store, store: Store, keep: Path | None) -> None:
    try:
        fresh.prepare()
    except UsageError as error:
        if keep is not None:
            raise
        reason = getattr(error.__cause__, "strerror", None) or error
        raise UsageError(
            f"{store.root} cannot be written ({reason}), where what is made now lies meanwhile: give another place with --keep DIR"
        ) from error


def _device(store: Store, record: Recorded, device: str) -> list[str]:
    """Return the devices to use; "auto" is what was recorded, so that one machine with both gives the same numbers."""
    if device == "auto":
        kinds = {(read_json(store.stage(u.key) / "stage.json") or {}).get("device") for u in record.stages}
        device = "cpu" if kinds == {"cpu"} else device
    return pick_devices(device, 1)[0]


def _run(record: Recorded, fresh: Store, devices: list[str]) -> list[str] | None:
    """Run everything again; returns what failed, or None where it was interrupted."""
    plan = _plan(record)
    units: list[Unit] = [*record.stages, *(trial.unit for trial in plan.trials)]
    steps = sum(unit.stage.steps for unit in record.stages)
    title = f"trial {short(record.key)}" if record.scored else f"stage {short(record.key)}"
    device = devices[0].partition(":")[0]
    print(f"{title}: {len(record.stages)} stages, {steps} steps, from scratch on {device}", flush=True)
    prepare(units, fresh.cache)
    with display(units) as progress:
        outcome = Coordinator(plan, fresh, LocalExecutor(fresh.root, 1, devices), [progress]).run()
    return None if outcome.interrupted else outcome.failed


def _plan(record: Recorded) -> Plan:
    """Return the plan of one trial with the recorded units; of a stage, a trial that scores nothing asks for it."""
    last = record.stages[-1] if record.stages else None
    scored, trial = record.scored, record.trial
    if scored is None or trial is None:
        assert last is not None
        key = digest({"kind": "trial", "stage": last.key})
        scored = EvaluateUnit(key=key, stage=last.key, model=last.model, options=last.options, scale=last.scale,
                              seed=last.seed, protocol=Protocol(), wanted=())  # fmt: skip
        trial = Trial(scale=last.scale, seed=last.seed, evaluate=(Evaluate("photos/test"),))
    arm = Arm("again", {}, "named", (trial,), {})
    expanded = Expanded("reproduce", "", "", Study(base=trial), (arm,), None, None)
    stages = {unit.key: StageNode(unit, unit.stage.name, "missing", used_by=1) for unit in record.stages}
    missing = tuple(e.key for e in scored.wanted) or ("nothing",)
    return Plan(expanded, [PlannedTrial(arm, trial, scored, list(stages), "missing", missing)], stages)


def _compare(record: Recorded, store: Store, fresh: Store) -> tuple[list[Compared], list[str]]:
    """Return what was compared, and lines on what differs around it and whether identity was to be expected."""
    compared: list[Compared] = []
    around: dict[str, list[str]] = {}
    unexpected: list[str] = []
    records = [(_name(u), store.stage(u.key) / "stage.json", fresh.stage(u.key) / "stage.json") for u in record.stages]
    if record.scored is not None:
        records.append(("scores", store.trial(record.key) / "scores.json", fresh.trial(record.key) / "scores.json"))
    for name, old, new in records:
        a, b = read_json(old) or {}, read_json(new) or {}
        for kind, text in reproduction.differences(a, b).items():
            around.setdefault(f"{kind} differ: {text}" if kind != "code" else text, []).append(name)
        unexpected += reproduction.reasons(a, b)
    for unit in record.stages:
        old, new = (s.stage(unit.key) / "checkpoint.pt" for s in (store, fresh))
        compared.append(reproduction.compare_weights(f"weights of {_name(unit)}", old, new))
    if record.scored is not None:
        old, new = (s.trial(record.key) / "per_image.parquet" for s in (store, fresh))
        compared.append(reproduction.compare_scores("scores", old, new, {e.key for e in record.scored.wanted}))
        status = store.status(store.trial(record.key))
        unknown = len(status.evaluations if status else ()) - len(record.scored.wanted)
        if unknown:
            reason = f"{unknown} not compared, no plan.json tells what they are of"
            compared.append(Compared("other scores", missing=reason))
    lines = [f"{text} ({', '.join(names)})" for text, names in around.items()]
    lines.append("data: as recorded")
    why = ", ".join(dict.fromkeys(unexpected))
    lines.append(f"bit-identity was not to be expected: other {why}" if why else "bit-identity was to be expected")
    ok = all(result.identical or result.missing for result in compared)
    far = " as far as it can be compared" if any(result.missing for result in compared) else ""
    lines.append(f"IDENTICAL bit for bit{far}" if ok else "NOT identical")
    return compared, lines


def _name(unit: StageUnit) -> str:
    return f"{unit.stage.name} {short(unit.key)}"
