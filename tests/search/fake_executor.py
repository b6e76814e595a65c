"""A fake executor, whose stages learn as a function of λ and ρ, a validation at a time."""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch

from drnbench.config.units import StageUnit, Unit
from drnbench.execution.base import Event, Executor
from drnbench.store import Status, Store, read_json, write_json
from drnbench.training.history import History
from drnbench.training.loop import validation_steps


def quality(unit: StageUnit) -> float:
    """Best at λ = 0.1 and ρ = 0.5; a little better with every seed."""
    return 30 - 4 * abs(unit.stage.rho - 0.5) - abs(unit.stage.lam - 0.1) + 0.01 * unit.seed


class FakeExecutor(Executor):
    """Ends stages after their last validation, and scores in one go.

    Attributes:
        most: the largest number of units that ran at once.
        trained: keys of stages that ended, in order.
        stopped: keys that were asked to stop.

    """

    def __init__(self, store: Store, slots: int = 1, fate: Any = None) -> None:
        self.store, self.slots, self.fate = store, slots, fate
        self.most, self.trained, self.stopped, self.scored, self.begun = 0, [], [], [], []
        self._running: dict[str, tuple[Unit, list[int], History]] = {}
        self._stop: set[str] = set()

    def submit(self, unit: Unit) -> None:
        steps = sorted(validation_steps(unit.stage)) if isinstance(unit, StageUnit) else []
        self._running[unit.key] = (unit, steps, History())
        if isinstance(unit, StageUnit):
            write_json(self.store.folder(unit) / "unit.json", unit.model_dump(mode="json"))
        self.begun.append(unit)
        self.most = max(self.most, len(self._running))

    def events(self, timeout: float) -> list[Event]:
        out = []
        for key, (unit, steps, history) in list(self._running.items()):
            if key in self._stop:
                out += self._end(unit, Status("interrupted"))
            elif self.fate is not None and (status := self.fate(unit)) is not None:
                out += self._end(unit, status)
            elif isinstance(unit, StageUnit) and steps:
                step = steps.pop(0)
                for kernel, off in (("bd", 0.0), ("bicubic", 5.0)):
                    value = quality(unit) * step / unit.stage.steps + off
                    history.put(step, f"val_psnr_y/{kernel}", value)
                    out.append(
                        Event(key, "message", {"step": step, "steps": unit.stage.steps, f"val_psnr_y/{kernel}": value})
                    )
                history.write(self.store.folder(unit) / "history.parquet")
            elif isinstance(unit, StageUnit):
                torch.save({}, self.store.folder(unit) / "checkpoint.pt")
                write_json(
                    self.store.folder(unit) / "stage.json", {"costs": {"seconds": 10.0 * unit.stage.rho, "macs": 5}}
                )
                self.trained.append(key)
                out += self._end(unit, Status("done"))
            else:
                out += self._end(unit, self._score(unit))
        return out

    def _end(self, unit: Unit, status: Status) -> list[Event]:
        self._stop.discard(unit.key)
        del self._running[unit.key]
        self.store.folder(unit).mkdir(parents=True, exist_ok=True)
        record = self.store.finish if status.state == "done" else self.store.write_status
        record(self.store.folder(unit), status)
        return [Event(unit.key, "ended", {"exitcode": int(status.state == "failed")})]

    def _score(self, unit: Any) -> Status:
        self.scored.append(unit.key)
        record = read_json(self.store.stage(unit.stage) / "unit.json") if unit.stage else None
        stage = StageUnit.model_validate(record) if record else None
        worth = quality(stage) if stage else 20.0
        rows = [
            (f"i{n}", e.dataset, e.kernel, unit.scale, e.metric, worth + n, e.key)
            for e in unit.wanted
            for n in range(8)
        ]
        columns = ["image", "dataset", "kernel", "scale", "metric", "value", "evaluation"]
        self.store.folder(unit).mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows, columns=columns).to_parquet(self.store.folder(unit) / "per_image.parquet", index=False)
        return Status("done", evaluations=[e.key for e in unit.wanted])

    def stop(self, key: str | None = None) -> None:
        for running in [key] if key else list(self._running):
            self.stopped.append(running)
            if running in self._running:
                self._stop.add(running)

    def close(self) -> None:
        pass
