"""Origin of a report: when, by which versions, on which hardware, at which cost, by which command, and how arms differ."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from drnbench.config.settings import Settings, value_as_argument
from drnbench.results.plan_record import PlanRecord
from drnbench.results.recipes import recipe_lines
from drnbench.results.scores import Arm, Scores
from drnbench.store import Store, read_json

PACKAGES = ("drnbench", "python", "torch", "numpy", "pillow", "scikit-image", "lpips")
"""The packages whose versions are stated, as the store records them with every result."""


@dataclass(frozen=True)
class ArmDifference:
    """The fields in which an arm differs from its baseline.

    Attributes:
        arm: its name.
        baseline: the arm that it is compared with; None: the study has no baseline.
        fields: path -> its value and that of the baseline, None where a field is not set. Without a baseline: its values
            of all fields in which two arms of the study differ.

    """

    arm: str
    baseline: str | None
    fields: Mapping[str, tuple[Any, Any]]

    @property
    def text(self) -> str:
        """The fields: `adapt.rho=0.5 (0)`, with the baseline's value in brackets."""
        texts = []
        for path, (value, base) in self.fields.items():
            text = f"{path}={value_as_argument(value)}"
            texts.append(f"{text} ({value_as_argument(base)})" if self.baseline else text)
        return "; ".join(texts) or "nothing"


@dataclass(frozen=True)
class Provenance:
    """The origin of the results of one report, all of it read from the store.

    Attributes:
        settings: the study with its profile and overrides.
        command: makes the report again, from the folder that holds the store, quoted for a shell.
        folder: name of the store.
        trials: done and planned.
        date: end of the last trained trial that is done, UTC; None as long as none is, or where it was not recorded.
        versions: every version of each package by which a stage was trained or a trial scored.
        commits: of drnbench, with a plus sign where files had changed since.
        hardware: devices, with the processors they were in.
        seconds: of training, summed over all stages of the study, each counted once; None: not recorded.
        memory_mib, gpu_memory_mib: largest peak of a process; None: not recorded.
        seeds: of the trained arms.
        recipes: of training that are not the default, with their arms; one names the weights that are scored.
        tiles: test sets whose images were enlarged in tiles, as the network needs too much memory for a whole one, with the side
            in LR pixels and the arms: other numbers than of whole images for a network that averages over them.
        differences: of the arms that are trained or named, in table order.

    """

    settings: Settings
    command: str
    folder: str
    trials: tuple[int, int]
    date: str | None
    versions: Mapping[str, tuple[str, ...]]
    commits: tuple[str, ...]
    hardware: tuple[str, ...]
    seconds: float | None
    memory_mib: float | None
    gpu_memory_mib: float | None
    seeds: tuple[int, ...]
    recipes: tuple[str, ...]
    tiles: tuple[str, ...]
    differences: tuple[ArmDifference, ...]

    def facts(self) -> list[tuple[str, str]]:
        """Return pairs of a heading and what stands under it, for people; facts that are not recorded are left out."""
        done, planned = self.trials
        versions = ", ".join(f"{package} {' and '.join(texts)}" for package, texts in self.versions.items())
        memory = [
            f"{mib:.0f} MiB{kind}"
            for kind, mib in (("", self.memory_mib), (" of GPU memory", self.gpu_memory_mib))
            if mib is not None
        ]
        facts = [
            ("settings", f"{self.settings.study}, {self.settings.text}"),
            ("trials", f"{done} of {planned} done"),
            (f"made again, in the folder that holds {self.folder}, by", self.command),
            ("date of the results", self.date or ""),
            ("versions", versions),
            ("commit", ", ".join(self.commits)),
            ("hardware", "; ".join(self.hardware)),
            ("training", "" if self.seconds is None else f"{self.seconds:.0f} s of one process"),
            ("peak memory of a process", ", ".join(memory)),
            ("seeds", ", ".join(map(str, self.seeds))),
            ("recipes of training", "; ".join(self.recipes)),
            ("enlarged in tiles", "; ".join(self.tiles)),
        ]
        return [(heading, text) for heading, text in facts if text]

    def lines(self) -> list[str]:
        """Return all of it as lines of text, for comments and metadata; none holds a line end of any kind."""
        lines = [f"{heading}: {text}" for heading, text in self.facts()]
        for difference in self.differences:
            reference = f" differs from {difference.baseline!r} in" if difference.baseline else " has"
            lines.append(f"{difference.arm!r}{reference}: {difference.text}")
        return [_one_line(line) for line in lines]

    def record(self) -> dict[str, Any]:
        """Return all of it as plain data, for summary.json."""
        done, planned = self.trials
        return {
            "command": self.command,
            "trials_done": done,
            "trials_planned": planned,
            "date": self.date,
            "versions": {package: list(texts) for package, texts in self.versions.items()},
            "commits": list(self.commits),
            "hardware": list(self.hardware),
            "training_seconds": self.seconds,
            "peak_memory_mib": self.memory_mib,
            "peak_gpu_memory_mib": self.gpu_memory_mib,
            "seeds": list(self.seeds),
            "recipes": list(self.recipes),
            "tiles": list(self.tiles),
            "differences": [
                {
                    "arm": difference.arm,
                    "baseline": difference.baseline,
                    "fields": {path: {"value": v, "baseline": base} for path, (v, base) in difference.fields.items()},
                }
                for difference in self.differences
            ],
        }


def _one_line(text: str) -> str:
    """Return text in which everything that is not printed, line ends of any kind among it, is a space."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def read_provenance(scores: Scores, store: Store) -> Provenance:
    """Return the origin of a study's results."""
    plan = scores.plan
    stages = [record for key in plan.stages if (record := read_json(store.stage(key) / "stage.json"))]
    scored = [record for key in sorted(plan.keys) if (record := read_json(store.trial(key) / "scores.json"))]
    # Untrained methods are scored once for every study and setting: another run may have done that since.
    trained = {trial.key for trial in plan.trials if trial.stages} or plan.keys
    statuses = [status for key in trained if (status := store.status(store.trial(key)))]
    ends = [status.finished for status in statuses if status.state == "done" and status.finished]
    seconds = [value for record in stages if (value := (record.get("costs") or {}).get("seconds")) is not None]
    arms = [arm for arm in scores.arms if arm.kind != "reference" and arm.config]
    return Provenance(
        plan.settings,
        command(plan, store),
        store.root.name,
        scores.counts,
        time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(max(ends))) if ends else None,
        _versions([*stages, *scored]),
        _distinct(_commit(record.get("git")) for record in [*stages, *scored]),
        _distinct(_hardware(record) for record in [*stages, *scored]),
        sum(seconds) if seconds else None,
        _largest(record.get("peak_rss_mib") for record in [*stages, *scored]),
        _largest(record.get("peak_gpu_mib") for record in [*stages, *scored]),
        tuple(sorted({trial.seed for arm in arms for trial in arm.trials})),
        tuple(recipe_lines((arm.name, stage) for arm in arms for stage in (arm.config or {})["stages"])),
        _tiles(scores, store),
        tuple(_differences(scores, arms)),
    )


def _tiles(scores: Scores, store: Store) -> tuple[str, ...]:
    """Return where images were enlarged in tiles: `B100, bicubic in 512 LR pixels: rcan`."""
    arms: dict[str, list[str]] = {}
    for arm in scores.arms:
        records = (read_json(store.trial(trial.key) / "scores.json") or {} for trial in arm.trials)
        for condition, side in dict(item for record in records for item in (record.get("tiles") or {}).items()).items():
            arms.setdefault(f"{condition} in {side} LR pixels", []).append(arm.name)
    return tuple(f"{condition}: {', '.join(names)}" for condition, names in arms.items())


def command(plan: PlanRecord, store: Store) -> str:
    """Return the command that makes a report again, quoted for a shell; a call in Python where no file declares the study."""
    settings, name = plan.settings, store.root.name
    if plan.file is None and plan.place != plan.study:  # earlier versions recorded no file
        fields = {"name": settings.study, "profile": settings.profile, "overrides": dict(settings.overrides)}
        fields |= {"results": name} if name != "results" else {}
        return f"drnbench.run(study, {', '.join(f'{name}={value!r}' for name, value in fields.items() if value)})"
    folders = [
        *([("--results", name)] if name != "results" else []),
        *(("--data-root", root) for root in plan.data_roots),
    ]
    options = [settings.options, *(f"{option} {shlex.quote(folder)}" for option, folder in folders)]
    return f"python -m drnbench run {shlex.quote(plan.file or f'{settings.study}.py')} {' '.join(options)}"


def _versions(records: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    recorded = [record.get("versions") or {} for record in records]
    versions = {package: _distinct(versions.get(package) for versions in recorded) for package in PACKAGES}
    return {package: texts for package, texts in versions.items() if texts}


def _commit(git: Mapping[str, Any] | None) -> str | None:
    return f"{git['commit'][:12]}{'+' if git.get('dirty') else ''}" if git and git.get("commit") else None


def _hardware(record: Mapping[str, Any]) -> str | None:
    hardware = record.get("hardware") or {}
    device = (record.get("signature") or {}).get("device") or hardware.get("processor")
    if device is None:
        return None
    processor, cores, system = (hardware.get(name) for name in ("processor", "cores", "system"))
    parts = [
        *([str(processor)] if processor and str(processor) not in str(device) else []),
        *([f"{cores} cores"] if cores else []),
        *([str(system)] if system else []),
    ]
    return f"{device} ({', '.join(parts)})" if parts else str(device)


def _distinct(texts: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(sorted({text for text in texts if text}))


def _largest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def configurations(scores: Scores) -> dict[str, dict[str, str]]:
    """Return the fields of the configuration of each arm that has one, by path, as `--set` takes their values."""
    return {
        arm.name: {path: value_as_argument(value) for path, value in _flat(arm.config)}
        for arm in scores.arms
        if arm.config
    }


def _differences(scores: Scores, arms: Iterable[Arm]) -> Iterator[ArmDifference]:
    """Yield what differs from each arm's baseline; without any, every field in which two arms differ."""
    fields = {arm.name: dict(_flat(arm.config or {})) for arm in arms}
    if scores.baseline is None:
        paths = dict.fromkeys(path for own in fields.values() for path in own)
        moved = [path for path in paths if len({repr(own.get(path)) for own in fields.values()}) > 1]
        for name, own in fields.items() if moved else ():
            yield ArmDifference(name, None, {path: (own.get(path), None) for path in moved})
        return
    for name, own in fields.items():
        arm = scores.arm(name)
        condition = scores.primary_of(arm)
        baseline = scores.baseline_of(arm, condition) if condition else None
        if baseline is not None and baseline.name in fields:
            base = fields[baseline.name]
            moved = [path for path in {**base, **own} if own.get(path) != base.get(path)]
            yield ArmDifference(name, baseline.name, {path: (own.get(path), base.get(path)) for path in moved})


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield path and value of every field that is set, by the paths of overrides; the seed is left out."""
    for name, value in config.items():
        path = f"{prefix}{name}"
        if path == "seed":
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}.")
        elif isinstance(value, list) and value and all(isinstance(entry, Mapping) for entry in value):
            for n, entry in enumerate(value):
                # Overrides name a stage, and number an evaluation.
                stage = path == "stages" and "name" in entry
                own = {field: content for field, content in entry.items() if not (stage and field == "name")}
                yield from _flat(own, f"{entry['name']}." if stage else f"{path}.{n}.")
        elif value not in (None, [], {}):
            yield path, value
