"""The verb `plan`: trials with states and times, then what a run would take, and how many seeds would be enough."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from typer import Option

from drnbench.cli import options
from drnbench.config.keys import short
from drnbench.evaluation import metrics
from drnbench.parallel import clock
from drnbench.planning import Plan, PlannedTrial, StageNode
from drnbench.planning.adaptive import largest
from drnbench.planning.costs import Costs
from drnbench.planning.estimate import estimate_run, images_size, trial_seconds
from drnbench.planning.power import LIMIT, POWER, images_needed, outlook, seeds_needed, seeds_note, t_power
from drnbench.render.terminal import columns, size
from drnbench.results.recipes import recipe_lines
from drnbench.results.statistics import STAR_SEEDS
from drnbench.session.declared import declare, read_overrides
from drnbench.session.items import todo, unscored
from drnbench.store import Store
from drnbench.store.devices import pick_devices
from drnbench.training.prepare import pending_summary
from drnbench.training.reads import units_reads

if TYPE_CHECKING:
    from drnbench.config.units import Unit
    from drnbench.planning.estimate import Estimate
    from drnbench.planning.power import Components, Outlook

Queue = Sequence[tuple["Unit", str | None, tuple[int, int]]]
NAMED = 4
"""Up to so many comparisons are named one by one."""
HEAD = ("arm", "seed", "stages (key: state)", "scores", "time", "trial")


def show(
    plan: Plan, store: Store, queue: Queue, slots: int, difference: float | None, device: str | None = None
) -> None:
    """Print a plan.

    Args:
        plan: what is printed.
        store: with measured siblings.
        queue: units that `run` would run, each with the key of the unit it waits for and its rank.
        slots: processes that `run` would use.
        difference: to be seen, for the number of seeds; none: 0.1 in a metric in dB.
        device: cpu or cuda, whose costs count; none: CUDA where there is some.

    Raises:
        UsageError: a difference that is not above 0.
    """
    costs, study = Costs(store, device), plan.study
    seeds = outlook(plan, store, difference)  # first: it may refuse
    estimate = estimate_run(plan, costs, queue, slots)
    lines = [f"{study.name}, {study.settings.text}: {study.question}"]
    lines += columns([HEAD, *(_row(trial, plan, estimate) for trial in plan.trials)])
    lines += [
        f"excluded: {arm.name}, seed {seed}: {reason}" for arm in study.arms for seed, reason in arm.excluded.items()
    ]
    declared = ((t.arm.name, stage.model_dump()) for t in plan.trials for stage in t.trial.stages)
    lines += [f"recipe: {line}" for line in recipe_lines(declared)]
    folders = [store.stage(key) for key, node in plan.stages.items() if node.state == "running"]
    folders += [store.trial(trial.unit.key) for trial in plan.trials if trial.state == "running"]
    seen = {folder.name: store.last_seen(folder)[0] for folder in folders}
    lines += [f"running: {short(key)}, by {process}" for key, process in seen.items() if process]
    counts = ", ".join(f"{n} {state}" for state, n in plan.counts().items() if n or state in {"done", "to run"})
    shared = sum(node.used_by for node in plan.stages.values()) - len(plan.stages)
    training = sum(unit.kind == "stage" for unit, _, _ in queue)
    lines.append(
        f"{len(plan.trials)} trials: {counts}; {len(plan.stages)} stages, {training} to train, {shared} shared"
    )
    if queue:
        lines += [_time(estimate), *_memory(estimate)]
        lines += _disk(estimate, images_size(_readable(queue, plan), store.cache))
    if seeds is not None:
        lines.append(seeds_line(seeds, max(len(arm.trials) for arm in study.arms)))
    if note := seeds_note(study):
        lines.append(note)
    print("\n".join(lines))
    for warning in plan.warnings:
        print(f"warning: {warning}")
    sys.stdout.flush()


def _row(trial: PlannedTrial, plan: Plan, estimate: Estimate) -> tuple[str, ...]:
    nodes = [plan.stages[key] for key in trial.stages]
    stages = ", ".join(f"{n.unit.stage.name} {short(n.unit.key)}: {_state(n, estimate)}" for n in nodes)
    waits = trial.unit.key in estimate.seconds
    return (
        trial.arm.name,
        "" if trial.arm.kind == "reference" else str(trial.trial.seed),
        stages,
        f"{len(trial.unit.wanted) - len(trial.missing)}/{len(trial.unit.wanted)}",
        clock(trial_seconds(trial, estimate)) if waits else "",
        short(trial.unit.key),
    )


def _state(node: StageNode, estimate: Estimate) -> str:
    if node.stale:
        return "stale"
    if node.state == "missing" and node.unit.key not in estimate.seconds:
        return "not needed"  # its checkpoint was cleaned away, and everything that starts from it is scored
    return {"missing": "to run", "damaged": "to run", "lost": "to run on", "interrupted": "to run on"}.get(
        node.state, node.state
    )


def _time(estimate: Estimate) -> str:
    unknown = [
        f"{n} {noun}"
        for n, noun in ((estimate.unknown_stages, "stages"), (estimate.unknown_scores, "trials to score"))
        if n
    ]
    if estimate.unknown_stages + estimate.unknown_scores == len(estimate.tasks):
        return f"time: unknown (nothing like it was measured yet: {' and '.join(unknown)}; --measure times a few steps)"
    at_least = "at least" if unknown else "about"
    line = f"time: {at_least} {clock(estimate.sequential)} for one process"
    if estimate.slots > 1:
        line += f", {at_least} {clock(estimate.parallel)} for the {estimate.slots} at once that `run` would use"
    return line + (f"; {' and '.join(unknown)} of unknown cost (nothing like them was measured yet)" if unknown else "")


def _memory(estimate: Estimate) -> list[str]:
    at_once = min(estimate.slots, len(estimate.tasks))
    peaks = [(kind, mib) for kind, mib in (("", estimate.memory.rss), (" of GPU memory", estimate.memory.gpu)) if mib]
    if not peaks:
        return ["memory: unknown"]
    parts = [
        f"{size(mib * 2**20)}{kind} a process"
        + (f", {size(mib * at_once * 2**20)} for {at_once}" if at_once > 1 else "")
        for kind, mib in peaks
    ]
    return [f"memory: at most {'; '.join(parts)}, as measured"]


def _disk(estimate: Estimate, images: int) -> list[str]:
    sizes: dict[str, int | None] = {**estimate.disk, **({"LR images and the like": images} if images else {})}
    parts = ", ".join(f"{name} {'unknown' if count is None else size(count)}" for name, count in sizes.items())
    total = sum(count for count in sizes.values() if count is not None)
    word = "at least " if None in sizes.values() else "about "
    return [f"disk: {word}{size(total)} more ({parts})" if total else f"disk: unknown ({parts})"]


def seeds_line(outlook: Outlook, planned: int) -> str:
    """Return the line on seeds: what is enough for a difference, from what that is estimated, and how sure it is."""
    metric = metrics.get(outlook.metric)
    question = (
        f"seeds: to see {outlook.difference:g}{f' {metric.unit}' if metric.unit else ''} in {metric.label} on {outlook.condition.label} "
        f"(power {POWER:.0%}, two-sided test over seeds and images, alpha {outlook.level:g}/{outlook.family})"
    )
    if not outlook.components:
        return f"{question}: unknown: nothing like it was measured"
    by_size = sorted(outlook.components, key=functools.partial(_demand, outlook))
    origin = f" of other studies ({', '.join(outlook.siblings)})" if outlook.siblings else ""
    if len(by_size) <= NAMED and not outlook.siblings:
        numbers = [_needed(part, outlook, planned) for part in outlook.components]
        needed = ", ".join(f"{part.arm}: {number}" for part, number in zip(outlook.components, numbers, strict=True))
    else:
        middle, largest = by_size[(len(by_size) - 1) // 2], by_size[-1]
        numbers = [_needed(part, outlook, planned) for part in (middle, largest)]
        needed = f"median {numbers[0]}, the most demanding {numbers[1]} ({largest.arm})"
    controls = sum(part.control for part in by_size)
    of_control = f", {controls} of them of {'the positive control' if controls == 1 else 'positive controls'}"
    brackets = "; in brackets at the ends of the 95 % intervals of the deviations"
    return (
        f"{question}: {needed}; planned: {planned}. An estimate from {len(by_size)} comparison{'s' * (len(by_size) > 1)}{origin} "
        f"over {_span([part.seeds for part in by_size])} seeds and {_span([part.images for part in by_size])} images"
        f"{of_control if controls else ''}{brackets if any(' to ' in number for number in numbers) else ''}"
    )


def _demand(outlook: Outlook, part: Components) -> tuple[bool, float]:
    """Return what orders comparisons: those that lack test images last, others by the deviation that seeds can make small."""
    return _lacks_images(part, outlook), part.seed**2 + part.residual**2 / part.images


def _lacks_images(part: Components, outlook: Outlook) -> bool:
    """Return True if no number of seeds is enough on the images that were measured."""
    few = part.images < 2
    return few or (part.image > 0 and t_power(part.image, outlook.difference, part.images, part.alpha) < POWER)


def _variance(part: Components) -> float:
    """Return the variance of a mean difference as it was measured."""
    return part.seed**2 / part.seeds + part.image**2 / part.images + part.residual**2 / (part.seeds * part.images)


def _span(counts: Sequence[int]) -> str:
    return f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"


def _needed(part: Components, outlook: Outlook, planned: int) -> str:
    """Write how many seeds a comparison needs, with the ends of an interval, or how many more test images."""
    difference, alpha = outlook.difference, part.alpha
    if part.images < 2:
        return "needs more test images (one says nothing of others)"
    if _variance(part) == 0:
        return "no deviation measured"
    seeds = [seeds_needed(c, difference, part.images, alpha) for c in (part, *part.interval)]
    if seeds[0] is not None:
        low, high = (str(count) if count else "more test images" for count in seeds[1:])
        return (
            f"{seeds[0]} ({low} to {high}){' as the primary comparison' if part.family == 1 < outlook.family else ''}"
        )
    if not _lacks_images(part, outlook):
        return f"over {LIMIT}"
    planned = max(planned, STAR_SEEDS)
    if images := images_needed(part, difference, planned, alpha):
        return f"needs more test images: {images} with {planned} seeds ({part.images} are too few with any number)"
    least = images_needed(part, difference, None, alpha) or f"over {LIMIT}"
    return f"needs more test images, at least {least}, and more seeds than {planned}"


def _readable(queue: Queue, plan: Plan) -> list[Unit]:
    """Return the units whose images are all here."""
    units = [unit for unit, _, _ in queue]
    if not plan.absent:
        return units
    return [unit for unit in units if not any(read.data.source in plan.absent for read in units_reads([unit]))]


def _queue(plan: Plan) -> Queue:
    items = todo(plan, None)
    return [(unit, item.needs, item.rank) for unit, item in zip(unscored(items, plan), items, strict=True)]


def command(
    study: options.StudyArg,
    profile: options.ProfileOpt = "quick",
    sets: options.SetOpt = None,
    seeds: options.SeedsOpt = None,
    half_width: options.HalfWidthOpt = None,
    results: options.ResultsOpt = options.RESULTS,
    difference: Annotated[
        float | None,
        Option(metavar="SIZE", help="how many seeds would show it; none: 0.1 in a metric in dB", show_default=False),
    ] = None,
    jobs: Annotated[
        int | None, Option(min=1, help="processes at once that the time is estimated for; none: as `run`")
    ] = None,
    device: options.DeviceOpt = "auto",
    data_root: options.DataRootOpt = None,
    measure: Annotated[
        bool, Option("--measure", help="time a few training steps and an image of what nothing like it was run of")
    ] = False,
) -> int:
    """Show what `run` would do: trials, stages, states, time, memory, disk, seeds; runs nothing."""
    options.use_data_roots(data_root)
    devices, slots = pick_devices(device, jobs)
    store = Store(results)
    declared = declare(study, profile, read_overrides(sets or [], seeds, half_width)).catalogued(store)
    made = declared.plan(store)
    queue, kind = _queue(made), devices[0].partition(":")[0]
    if measure:
        # PyTorch is imported where something is measured, and nowhere else.
        from drnbench.session import speeds

        speeds.measure(made, store, kind, lambda part: print(f"measuring {part}", file=sys.stderr, flush=True))
    show(made, store, queue, slots, difference, kind)
    if made.until:
        print("\n".join(made.until.lines()))
        most = largest(declared.expanded(store), made, store, declared.inputs)
        if more := len(most.keys - made.keys):
            estimate = estimate_run(most, Costs(store, kind), _queue(most), slots)
            print(f"up to {more} more trials may follow; {_time(estimate)} with all of them")
    if declared.search is not None:
        # Optuna is imported where a study declares a search, and nowhere else.
        from drnbench.session.searching import search_state

        print(search_state(declared, store))
    images = pending_summary(_readable(queue, made), store.cache)
    if images:
        print(f"made first by `run`: {images}")
    return 0
