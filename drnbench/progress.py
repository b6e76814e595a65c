"""What a person sees while a study runs: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from drnbench.store import Status
from drnbench.units import StageUnit, Unit

PLAIN_S = 30.0
"""Seconds between plain lines about one unit."""


def clock(seconds: float | None) -> str:
    """Return `1:02:03` or `2:03`; a question mark where nothing is known."""
    if seconds is None:
        return "?"
    minutes, s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{s:02}" if hours else f"{minutes}:{s:02}"


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


class RichProgress:
    """Units done and left with the time, and a line for each running unit: step, loss, PSNR, time left.

    Args:
        seconds: estimated seconds of work for one process, None where unknown.

    """

    def __init__(self, total: int, slots: int, seconds: float | None, console: Console) -> None:
        self._running: dict[str, _Live] = {}
        self._bar = Progress(
            TextColumn("[bold]units"), BarColumn(bar_width=30), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"), console=console,
        )  # fmt: skip
        self._task: TaskID = self._bar.add_task("units", total=total, left="")
        self._start, self._slots, self._seconds = time.monotonic(), slots, seconds
        self._console = console
        self._live = Live(get_renderable=self.render, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def render(self) -> Group:
        """Return what is shown now."""
        table = Table.grid(padding=(0, 2))
        for live in list(self._running.values()):
            loss = f"loss {live.loss:.3f}" if live.loss is not None else live.note
            psnr = f"val {live.psnr:.2f} dB" if live.psnr is not None else ""
            table.add_row(
                f"  {escape(live.label)}", f"{live.step}/{live.steps}", loss, psnr, f"left {clock(live.left())}"
            )
        return Group(self._bar, table)

    def started(self, unit: Unit, label: str) -> None:
        """See `Listener`."""
        self._running[unit.key] = _Live(
            label, time.monotonic(), steps=unit.stage.steps if isinstance(unit, StageUnit) else 0
        )

    def message(self, unit: Unit, label: str, payload: dict[str, Any]) -> None:  # noqa: ARG002
        """See `Listener`."""
        if unit.key in self._running:
            self._running[unit.key].take(payload)

    def ended(self, unit: Unit, label: str, status: Status) -> None:
        """See `Listener`."""
        self._running.pop(unit.key, None)
        if status.state == "failed":
            self._console.print(
                f"[red]failed[/red] {escape(label)}: {status.kind}: {escape(status.message or '')}", soft_wrap=True
            )
        left = ""
        if self._seconds is not None:
            rest = self._seconds / self._slots - (time.monotonic() - self._start)
            left = f"about {clock(max(0.0, rest))} left"
        self._bar.update(self._task, advance=1, left=left)


class PlainProgress:
    """A line when a unit starts, ends or fails, and one every half minute while it runs."""

    def __init__(self, total: int) -> None:
        self._total, self._ended = total, 0
        self._running: dict[str, _Live] = {}
        self._told: dict[str, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def _say(self, text: str) -> None:
        print(f"[{self._ended}/{self._total}] {text}", flush=True, file=sys.stdout)

    def started(self, unit: Unit, label: str) -> None:
        """See `Listener`."""
        self._running[unit.key] = _Live(label, time.monotonic())
        self._told[unit.key] = time.monotonic()
        self._say(f"start  {label}")

    def message(self, unit: Unit, label: str, payload: dict[str, Any]) -> None:
        """See `Listener`."""
        live = self._running.get(unit.key)
        if live is None:
            return
        live.take(payload)
        if time.monotonic() - self._told[unit.key] >= PLAIN_S and live.loss is not None:
            self._told[unit.key] = time.monotonic()
            psnr = f", val {live.psnr:.2f} dB" if live.psnr is not None else ""
            self._say(
                f"       {label}: step {live.step}/{live.steps}, loss {live.loss:.3f}{psnr}, left {clock(live.left())}"
            )

    def ended(self, unit: Unit, label: str, status: Status) -> None:
        """See `Listener`."""
        self._ended += 1
        live = self._running.pop(unit.key, None)
        took = clock(time.monotonic() - live.started) if live else "?"
        if status.state == "failed":
            self._say(f"FAILED {label}: {status.kind}: {status.message}")
        else:
            psnr = f", val {live.psnr:.2f} dB" if live and live.psnr is not None else ""
            self._say(f"{status.state:6} {label} in {took}{psnr}")
