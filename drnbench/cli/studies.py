"""The verbs on study files: run, plan, report."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from drnbench.cli.planning import how_long, show
from drnbench.cli.tracked import live_mirror, mirror_quietly
from drnbench.config.keys import short
from drnbench.config.overrides import parse_value
from drnbench.config.studyfile import load
from drnbench.config.units import Unit
from drnbench.errors import UsageError, nearest
from drnbench.execution.engine import Engine
from drnbench.outputs.report import current, write
from drnbench.planning import Plan, make
from drnbench.planning.costs import Costs
from drnbench.planning.estimate import look_ahead
from drnbench.planning.expand import expand
from drnbench.results.plan_record import find_plan
from drnbench.session.coordinator import Coordinator, record, todo
from drnbench.session.progress import PlainProgress, RichProgress
from drnbench.store import Store
from drnbench.store.devices import gpu_count
from drnbench.training.prepare import foresee, outlook, prepare


def planned(study: Path, profile: str, sets: list[str], store: Store) -> Plan:
    """Read a study file and build its plan; every error that can be known before work is raised here."""
    loaded, name, question = load(study)
    if loaded.search is not None:
        from drnbench.cli.searching import found

        expanded = found(loaded, name, question, profile, read_sets(sets), store)
    else:
        expanded = expand(loaded, name, question, profile, read_sets(sets))
    foresee((trial for arm in expanded.arms for trial in arm.trials), store.cache)
    return make(expanded, store)


def read_sets(sets: list[str]) -> dict[str, Any]:
    """Read `--set path=value` arguments."""
    out = {}
    for item in sets:
        path, eq, value = item.partition("=")
        if not eq or not path:
            raise UsageError(f"--set {item!r}: write it as path=value, such as pretrain.steps=500")
        out[path.strip()] = parse_value(value.strip())
    return out


def pick_devices(device: str, jobs: int | None, gpus: str | None = None, per_gpu: int = 1) -> tuple[list[str], int]:
    """Return the devices to give out in turn, and how many units run at once.

    Args:
        device: auto, cpu or cuda.
        jobs: units at once; none: one a core, or `per_gpu` a GPU.
        gpus: numbers of the GPUs to use, as in "0,1"; none: all.
        per_gpu: units that share a GPU.

    Raises:
        UsageError: CUDA was asked for and is not there, or a GPU that is not there.

    """
    if device not in {"auto", "cpu", "cuda"}:
        raise UsageError(f"unknown device {device!r}: {nearest(device, ['auto', 'cpu', 'cuda'])}")
    count = 0
    if device != "cpu":
        count = gpu_count()
    if device == "cuda" and not count:
        raise UsageError(
            "--device cuda: PyTorch sees no CUDA device here; use --device cpu, or install a CUDA build and driver"
        )
    if gpus is not None:
        numbers = gpus.split(",")
        if not count:
            raise UsageError(f"--gpus {gpus}: PyTorch sees no CUDA device here; leave --gpus out")
        for number in numbers:
            if not number.strip().isdecimal() or int(number) >= count:
                raise UsageError(f"--gpus {gpus}: there are GPUs 0 to {count - 1}; write them as 0,1")
        return [f"cuda:{int(number)}" for number in numbers], jobs or len(numbers) * per_gpu
    if count:
        return [f"cuda:{i}" for i in range(count)], jobs or count * per_gpu
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return ["cpu"], jobs or cores


def run_study(
    study: Path, profile: str, sets: list[str], jobs: int | None, executor: str, device: str, results: Path,
    tracking_uri: str | None, rerun: str | None, *, fail_fast: bool, gpus: str | None = None, per_gpu: int = 1,
    time_limit: float | None = None, address: str | None = None, partition: str | None = None, slurm: Sequence[str] = (),
) -> int:  # fmt: skip
    """Run what is missing of a study, mirror it, report it; returns the exit code."""
    engine = Engine(executor, device, jobs, per_gpu, address, partition, slurm)
    engine.check()
    if gpus is not None and executor != "local":
        raise UsageError(f"--gpus is for --executor local: with {executor} the cluster gives out its GPUs")
    if rerun not in {None, "failed", "stale", "all"}:
        raise UsageError(f"--rerun {rerun!r}: {nearest(str(rerun), ['failed', 'stale', 'all'])}")
    # Other executors run units elsewhere: what this machine has does not count.
    devices, slots = pick_devices(device if executor == "local" else "cpu", jobs, gpus, per_gpu)
    engine = replace(engine, local=(devices, slots))
    store = Store(results)
    store.prepare()
    plan = planned(study, profile, sets, store)
    name = plan.study.name
    searching = load(study)[0].search is not None
    gone: list[str] = []
    if searching:
        from drnbench.cli.searching import search

        found = search(
            study, profile, sets, plan, store, engine, tracking_uri, rerun, fail_fast=fail_fast, time_limit=time_limit
        )  # fmt: skip
        if found is None:
            return 130
        plan, gone, rerun = planned(study, profile, sets, store), found, None if rerun == "failed" else rerun
        record(plan, store)
    left = todo(plan, rerun)
    console = Console()
    if not left:
        if not searching:
            announce(plan, store)
        print(f"{name}: nothing to train, everything is in {store.root}")
        return _finish(plan, store, tracking_uri, failed=gone, ran=False)

    opened, kind = engine.open(store.root, len(left))
    with contextlib.closing(opened):
        if not searching:
            announce(plan, store)  # only now: a run that is refused changes nothing
        stages = sum(item.unit.kind == "stage" for item in left)
        units = _unscored(left, plan)
        queue = [(unit, item.needs, item.rank) for unit, item in zip(units, left, strict=True)]
        takes = how_long(look_ahead(plan, Costs(store, kind), queue, min(opened.slots, len(left))))
        print(f"{name}, profile {profile}: {stages} stages to train, {len(left) - stages} trials to score; "
              f"{min(opened.slots, len(left))} at once on {kind}; time {takes}", flush=True)  # fmt: skip
        prepare(units, store.cache)
        whole = [item.unit for item in left]
        progress = RichProgress(whole, console) if console.is_terminal else PlainProgress(whole)
        mirror, told = live_mirror(store, name, tracking_uri)
        listeners: list[Any] = [progress, *told]
        try:
            with progress:
                outcome = Coordinator(plan, store, opened, listeners, rerun, fail_fast, time_limit).run()
            print(f"trained {outcome.trained} stages, scored {outcome.scored} trials, {len(outcome.failed)} failed")
        finally:
            # A mirror that failed has said so once: trying again at once would only say it twice.
            mirrored = mirror is None or mirror.close()
    if outcome.full:
        raise UsageError(
            f"the disk of {store.root} is full: nothing is broken; make room and run the same command again"
        )
    if outcome.interrupted:
        print("interrupted; run the same command again to go on", file=sys.stderr)
        return 130
    plan = planned(study, profile, sets, store)
    record(plan, store)
    return _finish(plan, store, tracking_uri if mirrored else "off", [*gone, *outcome.failed], ran=True)


def announce(plan: Plan, store: Store) -> None:
    """Write a plan down as that of its study; say what it warns of, and that it replaces another."""
    for warning in plan.warnings:
        print(f"warning: {warning}")
    folder = store.study(plan.study.name)
    before = find_plan(store, plan.study.name)
    if before and before.keys != {t.unit.key for t in plan.trials}:
        print(f"note: the report in {folder} (profile {before.profile}) is replaced; its trials stay in the store")
    record(plan, store)


def _unscored(left: list[Any], plan: Plan) -> list[Unit]:
    """Return the units to run, without the scores that their trials have: nobody reads the images of these."""
    missing: dict[str, set[str]] = {}
    for trial in plan.trials:  # two arms may be one trial
        missing.setdefault(trial.unit.key, set()).update(trial.missing)
    out: list[Unit] = []
    for item in left:
        unit = item.unit
        if unit.kind == "evaluate" and not item.again:
            unit = unit.model_copy(update={"wanted": tuple(e for e in unit.wanted if e.key in missing[unit.key])})
        out.append(unit)
    return out


def _finish(plan: Plan, store: Store, tracking_uri: str | None, failed: list[str], *, ran: bool) -> int:
    name = plan.study.name
    report = None if ran else current(store, name)
    report = report or write(store, name)
    print(f"\n{report.headline}\n\n{report.table}\n")
    if tracking_uri != "off":
        mirror_quietly(store, name, tracking_uri)
    _where(store, name, report.files, tracking_uri)
    before = [f"{t.label} ({short(t.unit.key)}): {t.status.kind}: {t.status.message}"
              for t in plan.trials if t.state == "failed" and t.status] if not failed else []  # fmt: skip
    for line in [*failed, *before]:
        print(f"failed: {line}", file=sys.stderr)
    if before:
        print(f"{len(before)} trials failed before; --rerun failed tries them again", file=sys.stderr)
    return 1 if failed or before else 0


def _where(store: Store, name: str, files: list[Path], tracking_uri: str | None) -> None:
    folder = store.study(name)
    print(f"files in {folder}:")
    print("  " + "  ".join(sorted(path.name for path in files)))
    if tracking_uri is None:
        where = "" if store.root == Path("results").absolute() else f" --results {store.root}"
        print(f"runs side by side: python -m drnbench ui{where}")


def write_report(study: Path, results: Path) -> int:
    """Write the report of a study from the store alone."""
    store = Store(results)
    report = write(store, study.stem)
    print(f"{report.headline}\n\n{report.table}\n")
    _where(store, study.stem, report.files, "off")
    return 0


def show_plan(
    study: Path, profile: str, sets: list[str], results: Path, difference: float | None = None, jobs: int | None = None,
    device: str = "auto",
) -> int:  # fmt: skip
    """Print the plan, what running it with that many processes would take, and how many seeds would show `difference`."""
    devices, slots = pick_devices(device, jobs)
    kind = devices[0].partition(":")[0]
    store = Store(results)
    plan = planned(study, profile, sets, store)
    left = todo(plan, None)
    units = _unscored(left, plan)
    show(plan, store, [(u, i.needs, i.rank) for u, i in zip(units, left, strict=True)], slots, difference, kind)
    if (loaded := load(study)[0]).search is not None:
        from drnbench.cli.searching import searched

        print(searched(loaded, plan, profile, read_sets(sets), store))
    ahead = outlook(units, store.cache)
    if ahead:
        print(f"made first by `run`: {ahead}")
    return 0
