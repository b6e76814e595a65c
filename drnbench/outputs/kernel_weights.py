"""The degradation kernels of a study, as the weights of HR pixels in one LR pixel.

The weights are `Kernel.impulse`. Kernels are made with torch, whose import takes longer than all of the drawing, so the
weights of built-in kernels stay in the store's cache and a report reads them from there; at the end of a run the server of its workers
makes those that are missing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from drnbench import degradations
from drnbench.config.kernel_sets import kernels_of
from drnbench.degradations import canonical, parse
from drnbench.errors import UsageError
from drnbench.parallel import call_beside_torch
from drnbench.results.plan_record import TrialRecord
from drnbench.results.scores import Scores
from drnbench.store import Damaged, Fault, Store, atomic, read_arrays
from drnbench.store.integrity import report

if TYPE_CHECKING:
    from drnbench.degradations.kernel import Kernel

Array = NDArray[np.float64]
ROLES = ("train", "unpaired", "test")
PARAMETERS = {"sigma": "σ={}", "sigma_x": "σx={}", "sigma_y": "σy={}", "angle": "angle={}°"}
AFTER = {"noise": "noise\N{NO-BREAK SPACE}σ={}", "jpeg": "JPEG\N{NO-BREAK SPACE}{}"}
"""Parameters that are no part of the weights."""


@dataclass(frozen=True)
class Panel:
    """One kernel at one scale.

    Attributes:
        spec: canonical, so that two spellings of a kernel are one panel.
        roles: which of "train", "unpaired", "test" the study gives it.
        weights: `Kernel.impulse(scale)`: float64 K x K in HR pixels, sum 1, the centre of the LR pixel in the middle;
            None where the kernel is not drawn.
        parameters: its parameters as text, defaults included.
        after: noise and JPEG, which follow the kernel, as text; empty where there are none.
        why: the reason why it is not drawn; empty where it is.

    """

    spec: str
    scale: int
    roles: tuple[str, ...]
    weights: Array | None
    parameters: tuple[str, ...]
    after: str
    why: str

    @property
    def largest(self) -> float:
        """The largest absolute weight; 0 where there are none."""
        return float(np.abs(self.weights).max()) if self.weights is not None else 0.0


class _Description(NamedTuple):
    """The kernel of a spec; `weights` is 0 x 0 where there are none."""

    spec: str
    parameters: list[str]
    after: str
    why: str
    weights: Array


def panels(scores: Scores, store: Store) -> list[Panel]:
    """Return the kernels that the planned trials train on, adapt to or are tested on, by scale, in the plan's order.

    Nothing needs to have run. What cannot be drawn (`real`, a kernel that does not state its weights, one that this
    machine lacks) is in the list with the reason.
    """
    cache = store.cache / "impulses"
    pairs = dict.fromkeys((spec, trial.scale) for trial in scores.plan.trials for spec, _ in _uses(trial))
    missing = [(spec, scale) for spec, scale in pairs if not (cache / f"{_key(spec, scale)}.npz").exists()]
    if missing:
        call_beside_torch(_describe, missing, cache)
    roles: dict[tuple[int, str], set[str]] = {}
    descriptions: dict[tuple[int, str], _Description] = {}
    spelt: dict[tuple[int, str], str] = {}
    for trial in scores.plan.trials:
        for spec, role in _uses(trial):
            if (trial.scale, spec) not in spelt:
                description = _described(spec, trial.scale, cache)
                spelt[trial.scale, spec] = description.spec
                descriptions[trial.scale, description.spec] = description
            roles.setdefault((trial.scale, spelt[trial.scale, spec]), set()).add(role)
    order = list(dict.fromkeys(spec for _, spec in roles))
    return [
        _panel(descriptions[key], key[0], roles[key]) for key in sorted(roles, key=lambda k: (k[0], order.index(k[1])))
    ]


def _panel(kernel: _Description, scale: int, roles: set[str]) -> Panel:
    weights = kernel.weights if kernel.weights.size else None
    ordered = tuple(role for role in ROLES if role in roles)
    return Panel(kernel.spec, scale, ordered, weights, tuple(kernel.parameters), kernel.after, kernel.why)


def _uses(trial: TrialRecord) -> Iterator[tuple[str, str]]:
    """Yield every kernel of a planned trial with its role; plans of earlier versions state those of evaluations alone."""
    config = trial.config or {}
    for stage in config.get("stages", ()):
        yield stage["data"]["kernel"], "train"
        if stage.get("unpaired"):
            yield stage["unpaired"]["kernel"], "unpaired"
    declared = [scored["kernel"] for scored in config.get("evaluate", ())] or [e.kernel for e in trial.wanted]
    for kernel in declared:
        yield from ((spec, "test") for spec in kernels_of(kernel, trial.scale))


def _describe(pairs: Sequence[tuple[str, int]], cache: Path) -> None:
    """Fill the cache."""
    for spec, scale in pairs:
        _described(spec, scale, cache)


def _described(spec: str, scale: int, cache: Path) -> _Description:
    """Return the kernel of a spec, from the cache or computed."""
    path = cache / f"{_key(spec, scale)}.npz"
    if path.exists():
        try:
            stored = read_arrays(path)
            return _Description(**json.loads(str(stored["about"])), weights=stored["weights"])
        except (Damaged, FileNotFoundError, KeyError, TypeError, ValueError):
            report(Fault(path, "is not whole"), "it is made again")
    kernel, lasting = _computed(spec, scale)
    if lasting:
        about = {name: value for name, value in kernel._asdict().items() if name != "weights"}
        with atomic(path, durable=False) as temporary, temporary.open("wb") as file:
            np.savez(file, about=np.array(json.dumps(about)), weights=kernel.weights)
    return kernel


def _key(spec: str, scale: int) -> str:
    """Return a digest of the spec, the code that makes and describes it, and, by size and time, a file that it names."""
    values = [part.partition("=")[2].strip() for part in spec.partition(":")[2].split(",")]
    files = [Path(value).expanduser() for value in values if value]
    stats = [(path.stat().st_size, path.stat().st_mtime_ns) for path in files if path.is_file()]
    code = [*sorted(Path(degradations.__file__).parent.glob("*.py")), Path(__file__)]
    total = hashlib.sha256(repr((spec, scale, stats)).encode())
    for path in code:
        total.update(path.read_bytes())
    return total.hexdigest()


def _computed(spec: str, scale: int) -> tuple[_Description, bool]:
    """Return the kernel of a spec, and whether it may be cached as long as the code of this package stays."""
    nothing = np.zeros((0, 0))
    try:
        kernel = parse(spec)
    except UsageError as error:
        return _Description(spec, [], "", str(error), nothing), False
    description = _Description(canonical(spec), *_parameters(kernel), "", nothing)
    if kernel.real:
        return description._replace(why="the images are LR already"), True
    try:
        weights = kernel.impulse(scale).numpy()
    except UsageError as error:
        return description._replace(why=str(error)), False
    except Exception as error:  # noqa: BLE001 - a plug-in's weights, for which nothing may have asked before
        return description._replace(why=f"its weights fail with {type(error).__name__}: {error}"), False
    if not np.isfinite(weights).all() or not weights.any():
        return description._replace(why="its weights are not finite, or all zero"), False
    # The code of a plug-in may change at any time, and nothing would notice.
    return description._replace(weights=weights), type(kernel).__module__.startswith("drnbench.")


def _parameters(kernel: Kernel) -> tuple[list[str], str]:
    """Write every parameter that is set, defaults included (of a file the title has the name), and what comes after."""
    values = {k: v for k, v in kernel.model_dump().items() if v is not None and k != "path"}
    shown = {k: f"{v:g}" if isinstance(v, float) else str(v) for k, v in values.items()}
    parameters = [PARAMETERS.get(k, k + "={}").format(v) for k, v in shown.items() if k not in AFTER]
    after = [template.format(shown[k]) for k, template in AFTER.items() if k in shown]
    return parameters, f"then {' and '.join(after)}" if after else ""


def fit(kernel: Array, shape: tuple[int, ...]) -> Array:
    """Return the kernel with its middle on the middle of another shape, zeros around it or its edges cut."""
    fitted = np.zeros(shape)
    target, source = [], []
    for size, wanted in zip(kernel.shape, shape, strict=True):
        # Sizes of one parity have one middle; of two, the middles lie half a pixel apart.
        before, shared = (wanted - size) // 2, min(size, wanted)
        target.append(slice(max(before, 0), max(before, 0) + shared))
        source.append(slice(max(-before, 0), max(-before, 0) + shared))
    fitted[tuple(target)] = kernel[tuple(source)]
    return fitted


def weight_rows(kernel: Array) -> list[list[float]]:
    """Return x and y, in HR pixels from the middle to the right and down, and the weight where it is not zero, six digits."""
    middle = (np.array(kernel.shape) - 1) / 2
    return [
        [float(column - middle[1]), float(row - middle[0]), float(f"{kernel[row, column]:.6g}")]
        for row, column in np.argwhere(kernel)
    ]
