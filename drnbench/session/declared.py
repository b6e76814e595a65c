"""A declared study with its name and question, and the plan that it makes of a store."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from drnbench.config.overrides import parse_value
from drnbench.config.plain import plain
from drnbench.config.search import Search
from drnbench.config.settings import DEFAULT_PROFILE, Settings
from drnbench.config.shipped import is_installed, locate
from drnbench.config.study import Study, Until
from drnbench.config.studyfile import file_digest, load
from drnbench.datasets import sources
from drnbench.errors import UsageError
from drnbench.planning import Plan
from drnbench.planning.adaptive import make_adaptive
from drnbench.planning.expand import Expanded, expand
from drnbench.planning.inputs import Inputs
from drnbench.results.locations import RESERVED
from drnbench.search import record
from drnbench.search.resolve import ResolvedSearch, expanded, resolve_search, signature
from drnbench.store import Store
from drnbench.training.prepare import check_trials_fit


@dataclass(frozen=True)
class Declared:
    """A study, read once, under one profile and set of overrides.

    Attributes:
        study: as its file declares it.
        name: the stem of its file.
        question: the first paragraph of its docstring.
        profile: tiny, quick, or one that the study declares.
        overrides: fields of every trial by path, as `--set` gives them; stronger than the profile.
        file: None: a program built the study.
        digests: sha256 (hex) of the file and of the modules that it imports from its folder, as they were read.
        inputs: files that its trials name, as they were read for an earlier plan; None: each plan reads them.

    """

    study: Study
    name: str
    question: str
    profile: str = DEFAULT_PROFILE
    overrides: Mapping[str, Any] = field(default_factory=dict)
    file: Path | None = None
    digests: Mapping[Path, str | None] = field(default_factory=dict)
    inputs: Inputs | None = None

    @property
    def settings(self) -> Settings:
        """Its name, profile and overrides, which its report is kept by."""
        return Settings.of(self.name, self.profile, self.overrides)

    @property
    def search(self) -> Search | None:
        """The search that it declares in place of axes."""
        return self.study.search

    def settled(self) -> ResolvedSearch:
        """Return its search under this profile and these overrides."""
        return resolve_search(self.study, self.name, self.question, self.profile, self.overrides)

    def expanded(self, store: Store) -> Expanded:
        """Return its arms; of a search those of the report, with what it selected as soon as it is over."""
        if self.search is None:
            return expand(self.study, self.name, self.question, self.profile, self.overrides)
        settled = self.settled()
        history = record.read(store, settled, signature(settled, store.cache, self.inputs))
        return expanded(settled, history["found"] if history and _is_over(settled, history) else ())

    def catalogued(self, store: Store) -> Declared:
        """Return it with standard sets that are not here as the catalogue states them: for a plan that nobody runs."""
        return replace(self, inputs=Inputs(store.cache, catalogue=True))

    def plan(self, store: Store, meanwhile: Callable[[], None] | None = None) -> Plan:
        """Return the plan against a store; every error that needs no work to be seen is raised here.

        Args:
            store: the results folder.
            meanwhile: called before images are read, which takes a while where they are new to the store.

        Raises:
            UsageError: what cannot be run, and why.

        """
        arms = replace(self.expanded(store), file=self._file(store), data_roots=self._data_roots(store))
        check_trials_fit((trial for arm in arms.arms for trial in arm.trials), store.cache)
        if meanwhile is not None:
            meanwhile()
        return make_adaptive(arms, store, self.inputs)

    def changed(self) -> list[str]:
        """Return what has changed on disk since it was read: its file, then the files that its trials name, in words."""
        edited = [path for path, digest in self.digests.items() if file_digest(path) != digest]
        names = [f"the study {path}" if path == self.file else f"{path.name} of the study" for path in edited]
        return [*names, *(self.inputs.changed() if self.inputs else [])]

    def _file(self, store: Store) -> str | None:
        """Return its file relative to the folder that holds the store, from where reports say that it is run.

        Of a study in an installed package it is the name, which commands take.
        """
        if self.file is None:
            return None
        return self.file.stem if is_installed(self.file) else _relative(self.file, store)

    @staticmethod
    def _data_roots(store: Store) -> tuple[str, ...]:
        return tuple(_relative(root, store) for root in sources.roots())


def _relative(path: Path, store: Store) -> str:
    # Reports go into papers, whose sources are public: they name no folder of a user.
    return Path(os.path.relpath(path, store.root.parent)).as_posix()


def declare(
    study: Study | Path | str,
    profile: str = DEFAULT_PROFILE,
    overrides: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> Declared:
    """Read a study file, once, or take a `Study` that a program has built.

    Args:
        study: a file that defines `study = Study(...)`, the name of one that comes with drnbench, or such an object.
        profile: named overrides of size.
        overrides: fields of every trial by path.
        name: of a study that no file names.

    Raises:
        UsageError: no such file, what is wrong with it, or a `Study` without a name.

    """
    overrides = dict(plain(overrides or {}))
    if isinstance(rule := overrides.get("seeds"), Until):  # by path, as the command line gives it
        del overrides["seeds"]
        overrides |= {f"seeds.{field}": value for field, value in rule}
    if isinstance(study, Study):
        if not name:
            raise UsageError(
                "a Study object has no file that names it: give name=..., which its reports are stored under"
            )
        return Declared(study, check_name(name), "", profile, overrides)
    file = locate(Path(study).expanduser())
    loaded, stem, question, digests = load(file)
    return Declared(loaded, check_name(name or stem), question, profile, overrides, file, digests)


def check_name(name: str) -> str:
    """Return the name of a study that names a folder of its own in a store, on every system.

    Raises:
        UsageError: any other name.
    """
    device = re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", name)
    plain_name = re.fullmatch(r"[^.\-\s/\\][^/\\]*(?<![.\s])", name) and name.isprintable() and name != "mlflow.db"
    if not plain_name or device or name.casefold() in RESERVED | {"reference"}:
        raise UsageError(f"a study cannot be called {name!r}: its reports are kept in a folder of that name; rename it")
    return name


def read_overrides(items: list[str], seeds: str | None = None, half_width: float | None = None) -> dict[str, Any]:
    """Read `--set path=value`, `--seeds` and `--half-width`.

    Args:
        items: of `--set`.
        seeds: a number; `until`, or a range such as 3-10: seeds are added until the half-width is reached.
        half_width: of the interval of a difference to the baseline.

    Raises:
        UsageError: one is written otherwise.

    """
    overrides: dict[str, Any] = {}
    for item in items:
        path, equals, value = item.partition("=")
        if not equals or not path:
            raise UsageError(f"--set {item!r}: write it as path=value, such as pretrain.steps=500")
        overrides[path.strip()] = parse_value(value.strip())
    return {**overrides, **_seeds(seeds, half_width)}


def _seeds(seeds: str | None, half_width: float | None) -> dict[str, Any]:
    number = re.fullmatch(r"(\d+)(?:-(\d+))?|until", seeds or "until")
    if number is None:
        raise UsageError(f"--seeds {seeds}: give a number such as 3, a range such as 3-10, or until")
    fewest, most = number.groups()
    if fewest and not most:
        if half_width is not None:
            most = max(10, 2 * int(fewest))
            raise UsageError(
                f"--half-width is for seeds that are added: --seeds until or {fewest}-{most}, not {fewest}"
            )
        return {"seeds": int(fewest)}
    limits = {"seeds.at_least": int(fewest), "seeds.at_most": int(most)} if most else {}
    target = {} if half_width is None else {"seeds.half_width": half_width}
    return {**({"seeds": "until"} if seeds == "until" and not target else {}), **limits, **target}


def _is_over(settled: ResolvedSearch, history: Mapping[str, Any]) -> bool:
    ended = [candidate for candidate in history["candidates"] if candidate["state"] != "running"]
    return bool(history["state"] == "done" and len(ended) >= settled.search.candidates)
