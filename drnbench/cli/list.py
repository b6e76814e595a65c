"""The verb `list`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

from typer import Argument

from drnbench.cli.options import DataRootOpt, use_data_roots
from drnbench.config.shipped import question, shipped
from drnbench.datasets.sources import absent, datasets
from drnbench.degradations import kernels
from drnbench.errors import UsageError, nearest
from drnbench.evaluation import metrics
from drnbench.execution import executors
from drnbench.models import methods, models, on_demand
from drnbench.outputs import outputs
from drnbench.registry import Registry
from drnbench.schemes import schemes
from drnbench.schemes.losses import losses

Rows = Iterable[tuple[str, str]]


def _methods() -> Rows:
    for name in methods.names():
        method = methods.get(name)
        model = models.get(method.model)
        scales = ", ".join(map(str, model.scales)) if model.scales else "any"
        yield name, f"{method.summary} (scale {scales}; scheme {method.scheme or model.scheme or 'none'})"


def _summaries(registry: Registry[Any]) -> Rows:
    return ((name, registry.get(name).summary) for name in registry.list())


def _metrics() -> Rows:
    for name in metrics.list():
        metric = metrics.get(name)
        better = "higher" if metric.higher_is_better else "lower"
        yield name, f"{metric.label}{f' in {metric.unit}' if metric.unit else ''}, {better} is better"


def _outputs() -> Rows:
    for name in outputs.list():
        output = outputs.get(name)
        yield name, f"{output.summary}{' (in every report)' if output.automatic else ''}"


def _datasets() -> Rows:
    for name, where, count in datasets():
        yield name, f"{count} images in {where}" if count else where
    yield from absent()


def _costs() -> Rows:
    height, width = on_demand.costs.LR_SIZE
    for name in methods.names():
        model = models.get(methods.get(name).model)
        if model.files:  # the network is in a file that nobody has named
            continue
        for scale in model.scales or (4,):
            cost = on_demand.costs.costs(name, scale)
            work = "not a network"
            if cost.macs is not None and cost.activations is not None:
                counts = f"{cost.macs / 1e9:.1f} GMACs, {cost.activations / 1e6:.1f} M activations"
                work = f"{counts} at {width}x{height} LR pixels"
            yield f"{name} x{scale}", f"{cost.parameters:,} parameters, {work}"


def _studies() -> Rows:
    by_name = shipped()
    listed = {path.resolve() for path in by_name.values()}
    yield from ((name, question(path)) for name, path in by_name.items())
    yield from (
        (str(path), question(path)) for path in sorted(Path("studies").glob("*.py")) if path.resolve() not in listed
    )


KINDS: dict[str, Callable[[], Rows]] = {
    "methods": _methods, "models": lambda: _summaries(models), "schemes": lambda: _summaries(schemes),
    "losses": lambda: _summaries(losses), "kernels": lambda: _summaries(kernels), "datasets": _datasets, "metrics": _metrics,
    "outputs": _outputs, "executors": lambda: _summaries(executors), "studies": _studies, "costs": _costs,
}  # fmt: skip
SLOW = {"costs"}
"""Kinds that are measured while one waits: shown where they are named, not with all the others."""


def command(
    kind: Annotated[
        str | None, Argument(help=f"{', '.join(list(KINDS)[:-1])} or {list(KINDS)[-1]}", show_default=False)
    ] = None,
    data_root: DataRootOpt = None,
) -> int:
    """Show what there is, one line each."""
    use_data_roots(data_root)
    if kind is not None and kind not in KINDS:
        raise UsageError(f"cannot list {kind!r}: {nearest(kind, KINDS)}")
    for shown in [kind] if kind else [every for every in KINDS if every not in SLOW]:
        rows = list(KINDS[shown]())
        if kind is None:
            print(f"{shown}:")
        width = max((len(name) for name, _ in rows), default=0)
        for name, text in rows:
            print(f"{'  ' if kind is None else ''}{name:<{width}}  {text}")
    return 0
