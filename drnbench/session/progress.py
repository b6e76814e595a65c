"""The display of a running study: live on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table

from drnbench.config.units import StageUnit, Unit
from drnbench.parallel import PLAIN_S, clock
from drnbench.store import Status

PATIENCE_S = 2.0
"""Seconds of waiting for another process before that is shown."""


@dataclass
class _Running:
    """A running unit: its last step, loss and validation PSNR, and its first step with its time, for the pace."""

    label: str
    started: float
    first: tuple[int, float] | None = None
    step: int = 0
    steps: int = 0
    loss: float | None = None
    psnr: float | None = None
    note: str = ""

    def update(self, payload: dict[str, Any]) -> None:
        """Take the values of a message."""
        self.step, self.steps = payload.get("step", self.step), payload.get("steps", self.steps)
        self.loss = payload.get("loss", self.loss)
        self.note = payload.get("note", self.note)
        self.psnr = next((v for k, v in payload.items() if k.startswith("val_psnr_y")), self.psnr)
        if self.first is None and self.step:
            self.first = (self.step, time.monotonic())

    def left(self) -> float | None:
        """Return the seconds left at the pace so far; None before there is a pace."""
        if self.first is None or self.step <= self.first[0]:
            return None
        rate = (time.monotonic() - self.first[1]) / (self.step - self.first[0])
        return (self.steps - self.step) * rate


class Progress:
    """The state that both displays show: stages and trials done and left, steps done of all steps, the running units."""

    def __init__(self, units: Sequence[Unit]) -> None:
        self.stages = sum(isinstance(unit, StageUnit) for unit in units)
        self.trials = len(units) - self.stages
        self.stages_done = self.trials_done = 0
        self._steps = sum(unit.stage.steps for unit in units if isinstance(unit, StageUnit))
        self._steps_done = 0
        self._first: tuple[int, float] | None = None
        self._left: dict[str, int] = {}
        self.running: dict[str, _Running] = {}
        self._waits: float | None = None

    def waiting(self, line: str) -> None:
        """Show that nothing goes on here until other processes are done with what the line names; "": something does."""
        if not line:
            self._waits = None
        elif self._waits is None:
            self._waits = time.monotonic()
        self._show_waiting(line if self._waits is not None and time.monotonic() - self._waits >= PATIENCE_S else "")

    def _show_waiting(self, line: str) -> None:
        """Show a line for now; "": none."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def started(self, unit: Unit, label: str) -> None:
        """See `Listener`."""
        steps = unit.stage.steps if isinstance(unit, StageUnit) else 0
        self.running[unit.key] = _Running(label, time.monotonic(), steps=steps)

    def message(self, unit: Unit, label: str, payload: dict[str, Any]) -> None:  # noqa: ARG002
        """See `Listener`."""
        running = self.running.get(unit.key)
        if running is not None:
            before = running.step
            running.update(payload)
            if isinstance(unit, StageUnit):
                self._steps_done += running.step - before
                if self._first is None:
                    self._first = (self._steps_done, time.monotonic())

    def ended(self, unit: Unit, label: str, status: Status, tail: Sequence[str] = ()) -> None:  # noqa: ARG002
        """See `Listener`."""
        running = self.running.pop(unit.key, None)
        steps = running.step if running else 0
        if status.state == "done":
            if isinstance(unit, StageUnit):
                self.stages_done += 1
                self._steps_done += unit.stage.steps - steps
            else:
                self.trials_done += 1
            self._left[unit.key] = 0
        elif isinstance(unit, StageUnit):
            self._left[unit.key] = unit.stage.steps - steps

    def spare(self, units: Iterable[Unit]) -> None:
        """Take units off the counts that were to run and will not, without the steps that they did."""
        for unit in units:
            done = self._left.get(unit.key) == 0
            if isinstance(unit, StageUnit):
                self.stages -= not done
                self._steps -= self._left.get(unit.key, unit.stage.steps)
            else:
                self.trials -= not done

    def counts(self) -> str:
        """Return the numbers of trials and stages that are done, of those to do."""
        return f"trials {self.trials_done}/{self.trials}, stages {self.stages_done}/{self.stages}"

    def share(self) -> float:
        """Return steps done over all steps, 0..1; where there is nothing to train, trials over all trials."""
        return self._steps_done / self._steps if self._steps else self.trials_done / max(1, self.trials)

    def left(self) -> float | None:
        """Return the seconds left at the pace so far; None before there is a pace."""
        if self._first is None or self._steps_done - self._first[0] < 0.01 * self._steps:
            return None
        pace = (time.monotonic() - self._first[1]) / (self._steps_done - self._first[0])
        return max(0.0, (self._steps - self._steps_done) * pace)  # more than planned where weights are made again


class RichProgress(Progress):
    """The live display: a bar over all steps, and a line for each running unit: step, loss, PSNR, time left.

    Drawn from the state by rich's `Live`: rich's `Progress` has one kind of row, a bar, and would have to be kept up to date.
    """

    def __init__(self, units: Sequence[Unit], console: Console) -> None:
        super().__init__(units)
        self._start = time.monotonic()
        self.console, self._note = console, ""
        self._live = Live(get_renderable=self.render, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # of a terminal that was closed
            self._live.stop()

    def _show_waiting(self, line: str) -> None:
        self._note = line

    def render(self) -> Group:
        """Return the display as it is now."""
        total = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=1.0, completed=self.share(), width=30)
        elapsed = clock(time.monotonic() - self._start)
        total.add_row(f"[bold]{self.counts()}[/bold]", bar, elapsed, f"left about {clock(self.left())}")
        table = Table.grid(padding=(0, 2))
        for unit in list(self.running.values()):
            loss = f"loss {unit.loss:.3f}" if unit.loss is not None else unit.note
            psnr = f"val {unit.psnr:.2f} dB" if unit.psnr is not None else ""
            left = f"left {clock(unit.left())}"
            table.add_row(f"  {escape(unit.label)}", f"{unit.step}/{unit.steps}", loss, psnr, left)
        return Group(total, escape(self._note), table) if self._note else Group(total, table)

    def ended(self, unit: Unit, label: str, status: Status, tail: Sequence[str] = ()) -> None:
        """See `Listener`; a failure is printed at once."""
        super().ended(unit, label, status)
        if status.state == "failed" or status.kind:
            colour = "red" if status.state == "failed" else "yellow"
            line = f"[{colour}]{status.state}[/{colour}] {escape(label)}: {status.kind}: {escape(status.message or '')}"
            self.console.print("\n".join([line, *(f"  [dim]{escape(text)}[/dim]" for text in tail)]), soft_wrap=True)


class PlainProgress(Progress):
    """A line when a unit starts, ends or fails, and one every half minute while it runs."""

    def __init__(self, units: Sequence[Unit]) -> None:
        super().__init__(units)
        self._printed: dict[str, float] = {}
        self._is_broken = False
        self._reminded = -PLAIN_S

    def _print(self, text: str) -> None:
        """Print a line; where that fails, say so once: the units that run are still saved, and reported here."""
        if self._is_broken:
            return
        try:
            print(f"[{self.counts()}, left about {clock(self.left())}] {text}", flush=True)
        except OSError:
            self._is_broken = True
            raise

    def _show_waiting(self, line: str) -> None:
        if line and time.monotonic() - self._reminded >= PLAIN_S:
            self._reminded = time.monotonic()
            self._print(line)

    def started(self, unit: Unit, label: str) -> None:
        """See `Listener`."""
        super().started(unit, label)
        self._printed[unit.key] = time.monotonic()
        self._print(f"start {label}")

    def message(self, unit: Unit, label: str, payload: dict[str, Any]) -> None:
        """See `Listener`."""
        super().message(unit, label, payload)
        running = self.running.get(unit.key)
        if running is None or running.loss is None or time.monotonic() - self._printed[unit.key] < PLAIN_S:
            return
        self._printed[unit.key] = time.monotonic()
        psnr = f", val {running.psnr:.2f} dB" if running.psnr is not None else ""
        self._print(
            f"{label}: step {running.step}/{running.steps}, loss {running.loss:.3f}{psnr}, left {clock(running.left())}"
        )

    def ended(self, unit: Unit, label: str, status: Status, tail: Sequence[str] = ()) -> None:
        """See `Listener`."""
        running = self.running.get(unit.key)
        super().ended(unit, label, status)
        if status.state == "failed" or status.kind:
            word = "FAILED" if status.state == "failed" else status.state
            self._print("\n  ".join([f"{word} {label}: {status.kind}: {status.message}", *tail]))
            return
        took = clock(time.monotonic() - running.started) if running else "?"
        psnr = f", val {running.psnr:.2f} dB" if running and running.psnr is not None else ""
        self._print(f"{status.state} {label} in {took}{psnr}")
