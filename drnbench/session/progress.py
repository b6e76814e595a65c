"""What a person sees while a study runs: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table

from drnbench.config.units import StageUnit, Unit
from drnbench.parallel import PLAIN_S, clock
from drnbench.store import Status

T = TypeVar("T")


@dataclass
class _Live:
    label: str
    started: float
    first: tuple[int, float] | None = None
    step: int = 0
    steps: int = 0
    loss: float | None = None
    psnr: float | None = None
    note: str = ""

    def take(self, payload: dict[str, Any]) -> None:
        self.step, self.steps = payload.get("step", self.step), payload.get("steps", self.steps)
        self.loss = payload.get("loss", self.loss)
        self.note = payload.get("note", self.note)
        self.psnr = next((v for k, v in payload.items() if k.startswith("val_psnr_y")), self.psnr)
        if self.first is None and self.step:
            self.first = (self.step, time.monotonic())

    def left(self) -> float | None:
        if self.first is None or self.step <= self.first[0]:
            return None
        rate = (time.monotonic() - self.first[1]) / (self.step - self.first[0])
        return (self.steps - self.step) * rate


class Progress:
    """What both displays know: stages and trials done and left, steps done of all steps, the running units.

    Args:
        units: everything that is to run, in any order.

    """

    def __init__(self, units: Sequence[Unit]) -> None:
        self.stages = sum(isinstance(unit, StageUnit) for unit in units)
        self.trials = len(units) - self.stages
        self.stages_done = self.trials_done = 0
        self._steps = sum(unit.stage.steps for unit in units if isinstance(unit, StageUnit))
        self._steps_done = 0
        self._first: tuple[int, float] | None = None
        self._left: dict[str, int] = {}
        self.running: dict[str, _Live] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def started(self, unit: Unit, label: str) -> None:
        """See `Listener`."""
        steps = unit.stage.steps if isinstance(unit, StageUnit) else 0
        self.running[unit.key] = _Live(label, time.monotonic(), steps=steps)

    def message(self, unit: Unit, label: str, payload: dict[str, Any]) -> None:  # noqa: ARG002
        """See `Listener`."""
        live = self.running.get(unit.key)
        if live is not None:
            before = live.step
            live.take(payload)
            if isinstance(unit, StageUnit):
                self._steps_done += live.step - before
                if self._first is None:
                    self._first = (self._steps_done, time.monotonic())

    def ended(self, unit: Unit, label: str, status: Status, tail: Sequence[str] = ()) -> None:  # noqa: ARG002
        """See `Listener`."""
        live = self.running.pop(unit.key, None)
        if status.state == "done":
            if isinstance(unit, StageUnit):
                self.stages_done += 1
                self._steps_done += unit.stage.steps - (live.step if live else 0)
            else:
                self.trials_done += 1
            self._left[unit.key] = 0
        elif isinstance(unit, StageUnit):
            self._left[unit.key] = unit.stage.steps - (live.step if live else 0)

    def spare(self, units: Iterable[Unit]) -> None:
        """Count no longer what was to run and will not: what is left of these units."""
        for unit in units:
            done = self._left.get(unit.key) == 0
            if isinstance(unit, StageUnit):
                self.stages -= not done
                self._steps -= self._left.get(unit.key, unit.stage.steps)
            else:
                self.trials -= not done

    def counts(self) -> str:
        """How many trials and stages are done, of those to do."""
        return f"trials {self.trials_done}/{self.trials}, stages {self.stages_done}/{self.stages}"

    def share(self) -> float:
        """Steps done over all steps, 0..1; of trials where there is nothing to train."""
        return self._steps_done / self._steps if self._steps else self.trials_done / max(1, self.trials)

    def left(self) -> float | None:
        """Seconds left at the pace so far; None before there is a pace."""
        if self._first is None or self._steps_done - self._first[0] < 0.01 * self._steps:
            return None
        pace = (time.monotonic() - self._first[1]) / (self._steps_done - self._first[0])
        return (self._steps - self._steps_done) * pace


class RichProgress(Progress):
    """The live display: a bar over all steps, and a line for each running unit: step, loss, PSNR, time left."""

    def __init__(self, units: Sequence[Unit], console: Console) -> None:
        super().__init__(units)
        self._start = time.monotonic()
        self.console = console
        self._live = Live(get_renderable=self.render, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def render(self) -> Group:
        """Return what is shown now."""
        total = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=1.0, completed=self.share(), width=30)
        elapsed = clock(time.monotonic() - self._start)
        total.add_row(f"[bold]{self.counts()}[/bold]", bar, elapsed, f"left about {clock(self.left())}")
        table = Table.grid(padding=(0, 2))
        for live in list(self.running.values()):
            loss = f"loss {live.loss:.3f}" if live.loss is not None else live.note
            psnr = f"val {live.psnr:.2f} dB" if live.psnr is not None else ""
            table.add_row(
                f"  {escape(live.label)}", f"{live.step}/{live.steps}", loss, psnr, f"left {clock(live.left())}"
            )
        return Group(total, table)

    def ended(self, unit: Unit, label: str, status: Status, tail: Sequence[str] = ()) -> None:
        """See `Listener`; a failure is printed at once."""
        super().ended(unit, label, status)
        if status.state == "failed" or status.kind:
            colour = "red" if status.state == "failed" else "yellow"
            head = f"[{colour}]{status.state}[/{colour}] {escape(label)}: {status.kind}: {escape(status.message or '')}"
            self.console.print("\n".join([head, *(f"  [dim]{escape(line)}[/dim]" for line in tail)]), soft_wrap=True)


class PlainProgress(Progress):
    """A line when a unit starts, ends or fails, and one every half minute while it runs."""

    def __init__(self, units: Sequence[Unit]) -> None:
        super().__init__(units)
        self._told: dict[str, float] = {}

    def _say(self, text: str) -> None:
        print(f"[{self.counts()}, left about {clock(self.left())}] {text}", flush=True)

    def started(self, unit: Unit, label: str) -> None:
        """See `Listener`."""
        super().started(unit, label)
        self._told[unit.key] = time.monotonic()
        self._say(f"start {label}")

    def message(self, unit: Unit, label: str, payload: dict[str, Any]) -> None:
        """See `Listener`."""
        super().message(unit, label, payload)
        live = self.running.get(unit.key)
        if live is None or live.loss is None or time.monotonic() - self._told[unit.key] < PLAIN_S:
            return
        self._told[unit.key] = time.monotonic()
        psnr = f", val {live.psnr:.2f} dB" if live.psnr is not None else ""
        self._say(f"{label}: step {live.step}/{live.steps}, loss {live.loss:.3f}{psnr}, left {clock(live.left())}")

    def ended(self, unit: Unit, label: str, status: Status, tail: Sequence[str] = ()) -> None:
        """See `Listener`."""
        live = self.running.get(unit.key)
        super().ended(unit, label, status)
        if status.state == "failed" or status.kind:
            word = "FAILED" if status.state == "failed" else status.state
            self._say("\n  ".join([f"{word} {label}: {status.kind}: {status.message}", *tail]))
            return
        took = clock(time.monotonic() - live.started) if live else "?"
        psnr = f", val {live.psnr:.2f} dB" if live and live.psnr is not None else ""
        self._say(f"{status.state} {label} in {took}{psnr}")
