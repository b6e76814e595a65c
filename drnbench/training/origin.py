"""Origin of the numbers of a unit: the numeric code, the plug-ins and the packages that compute them.

A unit depends on the plug-ins whose models, schemes, kernels, metrics and losses it uses, and on the packages that these name;
others do not count. Keys do not cover any of it: results that another version made are called stale.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from drnbench.config.loss import loss_terms
from drnbench.config.units import Unit
from drnbench.degradations import kernels, parse
from drnbench.errors import UsageError
from drnbench.evaluation import metrics
from drnbench.models import models
from drnbench.registry import Registry
from drnbench.schemes import schemes
from drnbench.schemes.dual import operators
from drnbench.schemes.losses import losses
from drnbench.store import code, plug_ins
from drnbench.store.code import RULE, code_fingerprint
from drnbench.store.environment import ALWAYS, public, version, versions

CODE = {
    "other": "come from other numeric code than this",
    "unknown": "were recorded by an earlier version's rule, so whether the numeric code has changed since is not known",
}
"""Predicates of results that do not, or not certainly, come from the numeric code of this process."""


class Names(NamedTuple):
    """What a unit takes from registries; equal for the seeds of an arm."""

    kind: str
    model: str
    scheme: str | None
    kernels: tuple[str, ...]
    metrics: tuple[str, ...]
    losses: tuple[str, ...] = ()


def names_of(unit: Unit) -> Names:
    """Return the registered names that a unit uses."""
    if unit.kind == "stage":
        stage = unit.stage
        specs = [data.kernel for data in (stage.data, stage.unpaired) if data is not None]
        specs += [spec for _, spec, _ in operators(stage)]
        used = tuple(spec.partition(":")[0].strip() for spec in loss_terms(stage.loss))
        return Names("stage", unit.model, str(stage.scheme), tuple(dict.fromkeys(specs)), (), used)
    specs = [evaluation.kernel for evaluation in unit.wanted]
    measured = [evaluation.metric for evaluation in unit.wanted]
    return Names("evaluate", unit.model, None, tuple(dict.fromkeys(specs)), tuple(dict.fromkeys(measured)))


def load() -> list[str]:
    """Import the numeric code and the plug-ins of this process, so that nothing of them is read from the disk later.

    Returns:
        Files and plug-ins that were edited meanwhile, of which either version may have been imported.
    """
    versions()  # before the import
    return [*code.load(), *_load_plug_ins()]


@functools.cache
def _load_plug_ins() -> tuple[str, ...]:
    registries: tuple[Registry[Any], ...] = (models, schemes, kernels, metrics, losses)
    for registry in registries:
        for package in registry.packages():
            plug_ins.plug_in(package)  # before the import
    for registry in registries:
        registry.list()
    return tuple(plug_ins.edited())


def edited() -> list[str]:
    """Return the files of numeric code and the plug-ins that are no longer on disk what this process runs."""
    return [*code.edited(), *(f"the plug-in {name}" for name in plug_ins.edited())]


def origin(unit: Unit) -> dict[str, Any]:
    """Return the code that computes a unit in this process, as results record it.

    Returns:
        code, code_rule: fingerprint of the numeric code of drnbench.
        plug_ins: version and fingerprint by the name of each distribution that the unit uses.
        packages: versions of the packages that the unit uses, without the part after +.
    """
    return _origin(names_of(unit))


@functools.cache
def _origin(names: Names) -> dict[str, Any]:
    return {
        "code": code_fingerprint(names.kind), "code_rule": RULE, "plug_ins": dict(_plug_ins(names)),
        "packages": {package: public(version(package)) for package in _packages(names)},
    }  # fmt: skip


def refusal(unit: Unit, expected: Mapping[str, Any]) -> str | None:
    """Return what this process has that the run which sent a unit has not, in words; None: both have the same code.

    Args:
        unit: to run.
        expected: `origin` of it in the coordinator.
    """
    if changed := load():
        return f"code that was edited while it started ({', '.join(changed)})"
    current = origin(unit)
    if current["code"] != expected["code"]:
        return "other numeric code of drnbench than the run began with"
    names = dict.fromkeys([*expected["plug_ins"], *current["plug_ins"]])
    differing = [name for name in names if current["plug_ins"].get(name) != expected["plug_ins"].get(name)]
    if differing:
        return f"another plug-in {', '.join(differing)} than the run began with"
    # A package that the coordinator lacks has no version to compare: executors' workers may have more than it.
    pairs = ((name, version_now, expected["packages"].get(name)) for name, version_now in current["packages"].items())
    others = [
        f"{name} {now or 'not installed'}, {before} in the run"
        for name, now, before in pairs
        if before and now != before
    ]
    return "; ".join(others) or None


def changes(record: Mapping[str, Any] | None, unit: Unit) -> tuple[str, ...]:
    """Return why a stored result is stale, as predicates of its plural; () where the code of this process made it.

    Args:
        record: stage.json or scores.json. What it does not say, because an earlier version wrote it, does not count.
        unit: the unit.
    """
    record, current = record or {}, origin(unit)
    parts = (record, *record.get("earlier", ()))
    return tuple(dict.fromkeys(change for part in parts for change in _changes(part, current, unit.kind)))


def _changes(part: Mapping[str, Any], current: Mapping[str, Any], kind: str) -> Iterator[str]:
    source = code.origin(part, kind)
    if source != "same":
        yield CODE[source]
    plug_ins_before, packages_before = part.get("plug_ins") or {}, _packages_of(part)
    if unknown := [name for name in current["plug_ins"] if name not in plug_ins_before]:
        yield f"do not say which version of {', '.join(unknown)} made them"
    for name, now in current["plug_ins"].items():
        before = plug_ins_before.get(name, now)
        if before["version"] != now["version"]:
            yield f"were made with {name} {before['version']}, now {now['version']}"
        elif before != now:
            yield f"were made with other files of the plug-in {name}"
    for package, version_now in current["packages"].items():
        version_before = packages_before.get(package)
        if version_before and version_now and version_before != version_now:
            yield f"were made with {package} {version_before}, now {version_now}"


def _packages_of(part: Mapping[str, Any]) -> dict[str, str | None]:
    recorded = {**(part.get("versions") or {}), **(part.get("packages") or {})}
    return {name: public(value) for name, value in recorded.items()}


def continued(record: Mapping[str, Any] | None, current: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the origin of a result that goes on: steps after a resumption, scores of further metrics.

    Args:
        record: of what is there; None: nothing is.
        current: `origin` of the unit that goes on.
        kind: of the unit.

    Returns:
        The current origin with the plug-ins and packages of what was there; parts that other code made are kept as
        `earlier`, so that the whole stays stale.
    """
    if record is None:
        return dict(current)
    fields = ("code", "code_rule", "plug_ins", "packages", "versions")
    last = {name: record[name] for name in fields if name in record}
    used = record.get("plug_ins", current["plug_ins"])  # scores of other metrics have other plug-ins
    common = {name: value for name, value in current["plug_ins"].items() if name in used}
    parts = [*record.get("earlier", ()), last]
    others = [part for part in parts if any(_changes(part, {**current, "plug_ins": common}, kind))]
    distinct = [part for n, part in enumerate(others) if part not in others[:n]]
    merged = {name: {**(record.get(name) or {}), **current[name]} for name in ("plug_ins", "packages")}
    return {**current, **merged, **({"earlier": distinct} if distinct else {})}


def _registered(names: Names) -> Iterator[tuple[Registry[Any], str]]:
    yield models, names.model
    if names.scheme is not None:
        yield schemes, names.scheme
    yield from ((kernels, spec.partition(":")[0].strip()) for spec in names.kernels)
    yield from ((metrics, metric) for metric in names.metrics)
    yield from ((losses, loss) for loss in names.losses)


def _plug_ins(names: Names) -> Iterator[tuple[str, plug_ins.PlugIn]]:
    packages = (registry.plug_in(name) for registry, name in _registered(names))
    yield from sorted(plug_ins.plug_in(package) for package in dict.fromkeys(packages) if package)


def _packages(names: Names) -> Iterable[str]:
    used = [*ALWAYS]
    with contextlib.suppress(UsageError):  # of a name that is unknown here: another machine may know it
        used += models.get(names.model).packages
        used += schemes.get(names.scheme).packages if names.scheme is not None else ()
        used += (package for spec in names.kernels for package in parse(spec).packages)
        used += (package for name in names.metrics for package in metrics.get(name).packages)
        used += (package for name in names.losses for package in losses.get(name).packages)
    return dict.fromkeys(used)
