"""plan.json as data: what a study planned, as every later reader takes it from the store."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from drnbench.config.protocol import Protocol
from drnbench.config.settings import Settings
from drnbench.config.units import Evaluation
from drnbench.errors import UsageError
from drnbench.models import methods
from drnbench.results.locations import FILE, locate
from drnbench.store import Store, read_json, renew_json, write_text

VERSION = 1
"""Raised when plan.json changes its form; what `_upgraded` does to older ones says how. Before versions were kept: 0."""
UNREADABLE = (ValidationError, KeyError, TypeError, AttributeError)
"""The errors of reading a plan.json of another form."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class AxisRecord(_Record):
    """One axis of the grid."""

    path: str
    title: str
    values: list[Any]
    named: bool = False


class ExclusionRecord(_Record):
    """One seed of an arm that is left out, and why."""

    seed: int
    reason: str


class ArmRecord(_Record):
    """One arm, in table order; `values` are its axis values by path."""

    name: str
    kind: Literal["grid", "named", "reference"]
    values: dict[str, Any]
    excluded: list[ExclusionRecord] = Field(default_factory=list)


class StageRecord(_Record):
    """One trained stage: what progress calls it, the stage's own name, its state when the plan was made."""

    label: str
    name: str
    state: str
    stale: bool = False
    used_by: int = 0
    before: str | None = None


class TrialRecord(_Record):
    """One trial: its key and those of its stages, what is scored, its configuration.

    Attributes:
        measured: one line on how its metrics are measured.
        config: fields of the `Trial`; None in plans of the first versions.

    """

    key: str
    arm: str
    seed: int
    state: str
    stages: list[str]
    scale: int
    wanted: list[Evaluation]
    measured: str = ""
    config: dict[str, Any] | None = None

    @property
    def seedless(self) -> bool:
        """True if its seed moves no number: nothing is trained, and no method is fitted to the test images."""
        config = self.config or {}
        return not self.stages and not methods.is_fitted(config.get("method"), config.get("test_time"))


class PrimaryRecord(_Record):
    """The one comparison that a study declares in advance: the cell that is tested alone."""

    arm: str
    dataset: str
    kernel: str
    scale: int
    metric: str


class SeedsRecord(_Record):
    """The number of seeds of one arm in a study that adds seeds, and why it has no more; `open`: it may get more."""

    arm: str
    seeds: int
    reason: str
    open: bool = False
    half_width: float | None = None


class UntilRecord(_Record):
    """The rule that a study adds seeds by, and the arms; `target` is its half-width with metric and unit, as text."""

    half_width: float
    at_least: int
    at_most: int
    target: str
    arms: list[SeedsRecord]

    def lines(self) -> list[str]:
        """Return how many seeds each arm has, and why no more: a head, and a line an arm."""
        head = (
            f"seeds are added until each half-width is at most {self.target} ({self.at_least} to {self.at_most} seeds):"
        )
        return [head, *(f"  {arm.arm}: {arm.reason}" for arm in self.arms)]

    def caption(self) -> list[str]:
        """Return the same in sentences."""
        arms = "; ".join(f"{arm.arm}: {arm.reason}" for arm in self.arms)
        rule = f"Seeds are added until the half-width of Δ is at most {self.target} ({self.at_least} to {self.at_most} an arm)"
        return [
            f"{rule}{'; so far' if self._open else ''}: {arms}.",
            "Δ is paired by common seeds and means are over each arm's own, so arms compare by Δ.",
            "Intervals are those of 97 % and tests at 2 %, as seeds are added after looks at them.",
        ]

    def sentence(self) -> str:
        """Return how many arms reached the half-width, and what the others have."""
        left = [f"{arm.arm} not ({arm.reason})" for arm in self.arms if not self._reached(arm)]
        reached = f"{len(self.arms) - len(left)} of {len(self.arms)} arms"
        if self._open:
            parts = [f"so far {reached} reached it", *left]
            return f"Seeds are added until each half-width is at most {self.target}; {'; '.join(parts)}."
        return f"Seeds were added: {'; '.join([f'{reached} reached a half-width of {self.target}', *left])}."

    @property
    def _open(self) -> bool:
        return any(arm.open for arm in self.arms)

    def _reached(self, arm: SeedsRecord) -> bool:
        return not arm.open and arm.half_width is not None and arm.half_width <= self.half_width


class OverlapRecord(_Record):
    """Test and held-out images that are trained on, a clause each, and the reason why the study allows it.

    Attributes:
        sources: of the test sets that such images are in; empty in plans of earlier versions.

    """

    reason: str
    images: list[str]
    sources: list[str] = Field(default_factory=list)


class PlanRecord(_Record):
    """A study as it was planned.

    Attributes:
        overrides: path -> value on top of the profile; empty in plans of earlier versions, which did not record them.
        file: the study file, relative to the folder that holds the store; None: a program built it, or it is not recorded.
        data_roots: the folders where sets of images were looked for, from the folder that holds the store.
        margin: the margin of equivalence by metric.
        place: the folder of the store that it was read from; empty: it was just made.
        begun: when it was first recorded in a store, seconds since 1970; what was done before is of other plans.

    """

    version: int = VERSION
    study: str
    question: str
    profile: str
    overrides: dict[str, Any] = Field(default_factory=dict)
    file: str | None = None
    data_roots: list[str] = Field(default_factory=list)
    place: str = Field("", exclude=True)
    begun: float | None = None
    baseline: str | None
    baseline_values: dict[str, Any]
    control: str | None
    control_values: dict[str, Any]
    subject: dict[str, Any]
    primary: PrimaryRecord | None = None
    margin: dict[str, float] = Field(default_factory=dict)
    axes: list[AxisRecord]
    outputs: list[dict[str, Any]]
    protocol: Protocol
    measured: str = ""
    arms: list[ArmRecord]
    stages: dict[str, StageRecord]
    trials: list[TrialRecord]
    warnings: list[str] = Field(default_factory=list)
    displaced: list[str] = Field(default_factory=list)
    until: UntilRecord | None = None
    overlap: OverlapRecord | None = None
    images_left_out: list[str] = Field(default_factory=list)

    @property
    def settings(self) -> Settings:
        """The study with its profile and overrides."""
        return Settings.of(self.study, self.profile, self.overrides)

    @property
    def location(self) -> str:
        """The folder of the store that holds its report; that of a plan of an earlier version is `<study>`."""
        return self.place or self.settings.location

    def axis(self, path: str) -> AxisRecord:
        """Return the axis of a path."""
        return next(axis for axis in self.axes if axis.path == path)

    @property
    def keys(self) -> set[str]:
        """The keys of all trials."""
        return {trial.key for trial in self.trials}


def write_plan(record: PlanRecord, store: Store) -> None:
    """Write plan.json into the folder of the study's report, with a note beside it where its name does not tell all."""
    folder = store.study(record.location)
    begun = (read_json(folder / FILE) or {}).get("begun")
    renew_json(folder / FILE, {**record.model_dump(mode="json"), "begun": record.begun or begun or time.time()})
    if folder.name != record.profile:
        write_text(folder / "settings.txt", f"{record.study}, {record.settings.text}\n", durable=False)


def find_plan(store: Store, location: str) -> PlanRecord | None:
    """Return the plan of a location; None where there is none, or one that no version of this package wrote."""
    raw = read_json(store.study(location) / FILE)
    try:
        return None if raw is None else _record(raw, location)
    except UNREADABLE:
        return None


def read_plan(store: Store, name: str) -> PlanRecord:
    """Return the plan of a study, or of `<study>/<settings>`.

    Raises:
        UsageError: the store has none of that name, or several, or it is of a newer version or another form.

    """
    location = location_of(store, name)
    path = store.study(location) / FILE
    raw = read_json(path)
    if raw is None:
        raise UsageError(f"{path} is missing or not whole; `run` writes it again")
    _check_version(raw, path)
    try:
        return _record(raw, location)
    except UNREADABLE as error:
        reason = " ".join(str(error).split())[:160]
        raise UsageError(f"{path} is not a plan of this package ({reason}); `run` writes it again") from error


def location_of(store: Store, name: str) -> str:
    """Return the location of a study that has one report, or of `<study>/<settings>`.

    Raises:
        UsageError: the store has none of that name, or several.

    """
    return name if "/" in name and (store.study(name) / FILE).is_file() else locate(store, name)


def _record(raw: dict[str, Any], location: str) -> PlanRecord:
    return PlanRecord.model_validate({**_upgraded(raw), "place": location})


def _check_version(raw: dict[str, Any], path: Path) -> None:
    version = raw.get("version", 0)
    if isinstance(version, int) and version > VERSION:
        raise UsageError(f"{path} is of a newer drnbench (form {version}, this one reads up to {VERSION}): upgrade it")


def _upgraded(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a plan of any earlier form with what it does not say filled in."""
    values = {arm["name"]: arm["values"] for arm in raw["arms"]}
    defaults = {
        "baseline_values": values.get(raw["baseline"], {}),
        "control": None,
        "control_values": {},
        "subject": {},
    }
    filled = {"version": 0, **defaults, **raw}
    filled["protocol"] = _without_color(raw["protocol"])
    filled["trials"] = [
        {**trial, "config": {**config, "protocol": _without_color(config.get("protocol", {}))}}
        if (config := trial.get("config"))
        else trial
        for trial in raw["trials"]
    ]
    return filled


def _without_color(protocol: dict[str, Any]) -> dict[str, Any]:
    """Drop a field that early protocols had: the colour is in the metrics' names since."""
    return {name: value for name, value in protocol.items() if name != "color"}
