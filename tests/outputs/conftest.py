from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from drnbench import Curve, Table
from drnbench.config.study import Axis, Study
from drnbench.outputs import compose, report
from drnbench.outputs.base import Output, StudyResults
from drnbench.outputs.stored_report import Report
from drnbench.planning import PlannedTrial
from drnbench.results import reading
from drnbench.store import Status, Store
from tests.fake_store import base, fill, plan_of
from tests.helpers import PIXEL

RHO = [0, 0.1, 0.3, 1.0]


def rho_study(**fields: Any) -> Study:
    wanted: dict[str, Any] = {
        "base": base(),
        "axes": [Axis("adapt.rho", RHO, label="ρ")],
        "arms": {"true pairs": {"adapt.scheme": "paired", "adapt.data.kernel": "bd"}},
        "seeds": 3,
        "baseline": {"adapt.rho": 0},
        "control": "true pairs",
        "outputs": [Table(rows="adapt.rho"), Curve(x="adapt.rho", y="psnr_y")],
    }
    return Study(**{**wanted, **fields})


def gain(arm: Any, kernel: str) -> float:
    """True pairs help on bd, ρ = 1 collapses, the rest does nothing."""
    if arm.name == "true pairs":
        return 0.21 if kernel == "bd" else -0.3
    return -9.8 if arm.values.get("adapt.rho") == 1.0 else 0.0


def composed(store: Store, name: str = "unpaired") -> tuple[StudyResults, list[Output]]:
    """The results of a study and its outputs, as a report reads them."""
    study = compose.results_of(reading.read(store, name), store)
    return study, compose.outputs_of(study.scores.plan)[0]


def headline(store: Store, study: Study, effect: Any, **options: Any) -> str:
    """The headline of a study that is filled with scores."""
    fill(store, plan_of(study, "unpaired"), effect, **options)
    return compose.headline(*composed(store))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def filled(store: Store) -> Store:
    return fill(store, plan_of(rho_study()), gain)


@pytest.fixture
def unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn and saved as one pixel: fonts in PDFs take longer than all else that a report does."""
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **options: Path(path).write_bytes(PIXEL))


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports have no figures, whose drawing takes most of the time: for tests of sentences and tables."""
    monkeypatch.setattr(compose, "figures", lambda study, shown: [])


def failing(*arms: str, seeds: tuple[int, ...]) -> Callable[[PlannedTrial], bool]:
    return lambda trial: trial.arm.name in arms and trial.trial.seed in seeds


def written(
    store: Store,
    study: Study,
    effect: Any = gain,
    failed: Any = lambda trial: False,
    kind: str = "diverged",
    **options: Any,
) -> tuple[Report, str]:
    """The report of a study some of whose trials failed, and its table."""
    plan = plan_of(study)
    fill(store, plan, effect, done=lambda trial: not failed(trial), **options)
    for trial in filter(failed, plan.trials):
        store.write_status(store.stage(trial.stages[-1]), Status("failed", kind=kind, message="the loss is not finite"))
    made = report.write(store, "unpaired")
    return made, (store.study("unpaired/quick") / "table_rho.md").read_text(encoding="utf-8")


def row(table: str, label: str) -> str:
    return next(line for line in table.splitlines() if line.startswith(f"| {label} "))


def notes_of(table: Path) -> str:
    """The notes below a table in Markdown."""
    return re.split(r"\n\n(?!\|)", table.read_text(encoding="utf-8"), maxsplit=1)[1].partition("\n[//]")[0]
