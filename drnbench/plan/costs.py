"""What a stage will cost, from measured siblings: stages of the same shape that this store has trained."""

from __future__ import annotations

from typing import Any

from drnbench.store import Store, read_json
from drnbench.units import StageUnit


def shape(unit: StageUnit) -> tuple[Any, ...]:
    """Return what decides the seconds of a step: the network, the batch, the scheme, the numerics."""
    s = unit.stage
    return (
        unit.model,
        tuple(sorted(unit.options.items())),
        unit.scale,
        s.scheme,
        s.batch,
        s.patch,
        s.threads,
        s.precision,
    )


class Costs:
    """Seconds a step by shape, read from the store once and only when asked."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[tuple[Any, ...], list[float]] | None = None

    def seconds(self, unit: StageUnit) -> float | None:
        """Return the estimated seconds of a stage on one process, or None where nothing like it was measured."""
        if self._known is None:
            self._known = self._read()
        measured = self._known.get(shape(unit))
        return unit.stage.steps * sum(measured) / len(measured) if measured else None

    def _read(self) -> dict[tuple[Any, ...], list[float]]:
        known: dict[tuple[Any, ...], list[float]] = {}
        for path in sorted((self._store.root / "stages").glob("*/stage.json")):
            stored = read_json(path) or {}
            if "seconds_per_step" not in stored:
                continue
            try:
                unit = StageUnit.model_validate_json(path.with_name("unit.json").read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue  # written by another version: it can still be used, not compared
            known.setdefault(shape(unit), []).append(float(stored["seconds_per_step"]))
        return known
