"""The runs of one study under its settings in MLflow: looked up once, then written to by their ids."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import math
import shutil
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from drnbench.config.settings import Settings
from drnbench.errors import UsageError
from drnbench.tracking import names
from drnbench.tracking.reading import Picture, Point, contents

METRICS_A_BATCH = 800
TAGS_A_BATCH = 100
"""MLflow takes 1000 items in a call, of which 100 parameters and 100 tags."""
INPUTS_A_BATCH = 500
MIRRORED = "drnbench.mirrored"
SUPERSEDED = "superseded"
BEGUN = "drnbench.begun"
"""Tag: whether a trial's own work had begun when its run was made."""
KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Without it the UI opens an experiment among prompts and chats, where runs have neither charts nor nesting."""


@dataclass
class _Content:
    """Content of a run that is to be written."""

    points: list[Point] = field(default_factory=list)
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class Run:
    """One run as MLflow has it.

    Attributes:
        latest: newest value of each metric.
        points: every point by (name, step); None until it is needed.
        unwritten: content that is written at the end of `together`; None outside.

    """

    client: Any
    id: str
    status: str
    ended: int | None = None
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    latest: dict[str, float] = field(default_factory=dict)
    points: dict[tuple[str, int], float] | None = None
    unwritten: _Content | None = None

    @classmethod
    def of(cls, client: Any, run: Any) -> Run:
        """Take over a run that MLflow returned."""
        data = run.data
        return cls(
            client,
            run.info.run_id,
            run.info.status,
            run.info.end_time,
            dict(data.params),
            dict(data.tags),
            dict(data.metrics),
        )

    @property
    def mirrored(self) -> dict[str, str]:
        """Digests of the content that was written, by subject."""
        return dict(json.loads(self.tags.get(MIRRORED, "{}")))

    def describe(self, tags: Mapping[str, str], params: Mapping[str, str] | None = None) -> None:
        """Write tags that are new or changed, and new parameters: MLflow lets no parameter change."""
        tags = {name: names.clipped(value, names.TAG_LENGTH) for name, value in tags.items()}
        new_tags = {name: value for name, value in tags.items() if self.tags.get(name) != value}
        new_params = {name: value for name, value in (params or {}).items() if name not in self.params}
        self._log(_Content(params=new_params, tags=new_tags))
        self.tags.update(new_tags)
        self.params.update(new_params)

    def remember(self, **digests: str) -> None:
        """Record digests of the content that was written on the run."""
        self.describe({MIRRORED: json.dumps({**self.mirrored, **digests}, sort_keys=True)})

    def contradicts(self, points: Iterable[Point]) -> bool:
        """Return True if MLflow has another value at a step of these: the run shows an earlier computation of this key."""
        stored = self._stored(points)
        return any(not _same(stored.get((point.name, point.step), point.value), point.value) for point in points)

    def add(self, points: list[Point]) -> int:
        """Write the points whose (name, step) MLflow lacks; return their number."""
        stored = self._stored(points)
        return self._write([point for point in points if (point.name, point.step) not in stored])

    def update(self, points: list[Point]) -> int:
        """Write the points that differ from the newest value of their metric; return their number."""
        return self._write([p for p in points if p.name not in self.latest or not _same(self.latest[p.name], p.value)])

    def _stored(self, points: Iterable[Point]) -> dict[tuple[str, int], float]:
        if self.points is None:
            self.points = {}
            for name in sorted({point.name for point in points} & set(self.latest)):
                for metric in self.client.get_metric_history(self.id, name):
                    self.points[(name, metric.step)] = metric.value
        return self.points

    def _write(self, points: list[Point]) -> int:
        self._log(_Content(points))
        for point in points:
            self.latest[point.name] = point.value
            if self.points is not None:
                self.points[(point.name, point.step)] = point.value
        return len(points)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Write the tags, parameters and points of a block at its end: a call waits for the disk or the server several times."""
        self.unwritten = _Content()
        try:
            yield
        except BaseException:
            self.unwritten = None
            raise
        content, self.unwritten = self.unwritten, None
        self._log(content)

    def _log(self, content: _Content) -> None:
        from mlflow.entities import Metric, Param, RunTag

        if self.unwritten is not None:
            self.unwritten.points += content.points
            self.unwritten.params.update(content.params)
            self.unwritten.tags.update(content.tags)
            return
        metrics = [Metric(p.name, p.value, p.time, p.step) for p in content.points]
        params = [Param(*item) for item in sorted(content.params.items())]
        tags = [RunTag(*item) for item in sorted(content.tags.items())]
        parts = (_parts(metrics, METRICS_A_BATCH), _parts(params, TAGS_A_BATCH), _parts(tags, TAGS_A_BATCH))
        # Backwards, so that the last call has tags: they name what was written before.
        calls = list(zip_longest(*(reversed(list(part)) for part in parts), fillvalue=[]))
        for metric_part, param_part, tag_part in reversed(calls):
            self.client.log_batch(self.id, metrics=metric_part, params=param_part, tags=tag_part)

    def attach(self, subject: str, files: list[Path], root: Path, into: str | None = None) -> None:
        """Log files under their path relative to `root`, unless their contents equal those that were logged last.

        Args:
            subject: of the digest.
            files: the files.
            root: the folder that holds them.
            into: a folder for all of them instead.

        """
        digest = contents(files)
        if not files or self.mirrored.get(subject) == digest:
            return
        for path in files:
            folder = into or path.parent.relative_to(root).as_posix()
            self.client.log_artifact(self.id, str(path), None if folder == "." else folder)
        self.remember(**{subject: digest})

    def show(self, pictures: list[Picture], time: int) -> None:
        """Log images for the image view, unless their contents equal those that were logged last."""
        from PIL import Image

        digest = contents([picture.path for picture in pictures])
        if not pictures or self.mirrored.get("images") == digest:
            return
        for picture in pictures:
            with contextlib.suppress(FileNotFoundError), Image.open(picture.path) as image:
                # MLflow saves it as PNG, which it is: encoding whole images again takes longer than all else.
                image.save = functools.partial(shutil.copyfile, picture.path)  # type: ignore[method-assign]
                self.client.log_image(self.id, image, key=picture.name, step=picture.step, timestamp=time)
        self.remember(images=digest)

    def tabulate(self, name: str, table: Mapping[str, Any]) -> None:
        """Log a table artifact, which MLflow compares between runs, unless it equals the one that was logged last.

        `log_table` would add its rows to those that are there.
        """
        text = json.dumps(table, ensure_ascii=False)
        digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
        if not table["data"] or self.mirrored.get(name) == digest:
            return
        self.client.log_text(self.id, text, f"{name}.json")
        self.describe({"mlflow.loggedArtifacts": json.dumps([{"path": f"{name}.json", "type": "table"}])})
        self.remember(**{name: digest})

    def use(self, datasets: list[tuple[str, str, str]]) -> None:
        """Log image sets as inputs: name, fingerprint and purpose of each; unless they are those that were logged last."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        digest = hashlib.sha256(json.dumps(datasets).encode()).hexdigest()[:16]
        if not datasets or self.mirrored.get("datasets") == digest:
            return
        inputs = [
            DatasetInput(
                Dataset(name[:500], fingerprint, "local", json.dumps({"uri": name})),
                [InputTag("mlflow.data.context", purpose)],
            )
            for name, fingerprint, purpose in datasets
        ]
        for part in _parts(inputs, INPUTS_A_BATCH):
            self.client.log_inputs(self.id, part)
        self.remember(datasets=digest)

    def move(self, status: str, ended: int | None, *, again: bool = False) -> None:
        """Set the run's status.

        Args:
            status: in MLflow's terms.
            ended: milliseconds since 1970.
            again: also where only the end differs.

        """
        if status == self.status and not (again and ended is not None and ended != self.ended):
            return
        if status in {"FINISHED", "FAILED", "KILLED"}:
            self.client.set_terminated(self.id, status, ended)
            self.ended = ended
        else:
            self.client.update_run(self.id, status=status)
        self.status = status


class Experiment:
    """A study's experiment with the runs of one profile and set of overrides.

    Args:
        client: an MlflowClient.
        settings: the study with its profile and overrides.
        location: of the artifacts, as a URI; None lets the server decide.
        stored: the experiment as MLflow has it; None: it is created.

    Raises:
        UsageError: the experiment was deleted in MLflow.

    """

    def __init__(self, client: Any, settings: Settings, location: str | None, stored: Any) -> None:
        self.client, self.settings, study = client, settings, settings.study
        if stored is not None and stored.lifecycle_stage == "deleted":
            raise UsageError(
                f"experiment {study!r} was deleted in MLflow: restore it with `mlflow experiments restore -x "
                f"{stored.experiment_id}`, or remove it for good with `mlflow gc`"
            )
        self.id = stored.experiment_id if stored else client.create_experiment(study, location, tags=KIND)
        self.parent: Run | None = None
        self.children: dict[tuple[str, str], Run] = {}
        self.created = 0
        self._former: list[Run] = []
        self._doubles: list[tuple[Run, Run]] = []
        parents: list[Run] = []
        children: dict[tuple[str, str], list[Run]] = {}
        for run in self._search() if stored else ():
            if run.tags.get("drnbench.kind") == "study":
                parents.append(run)
            elif run.tags.get("drnbench.state") == SUPERSEDED:
                self._former.append(run)
            elif "drnbench.key" in run.tags:
                identity = (run.tags["drnbench.key"], run.tags.get("drnbench.arm", ""))
                children.setdefault(identity, []).append(run)
        if parents:
            self.parent = self._fullest(parents)
        self.children |= {identity: self._fullest(runs) for identity, runs in children.items()}

    def _fullest(self, runs: list[Run]) -> Run:
        """Return the run that shows the most of several of one subject, the same one to every process; note the others."""
        kept = min(runs, key=lambda run: (not run.mirrored, -len(run.latest), run.id))
        self._doubles += [(kept, run) for run in runs if run is not kept]
        return kept

    def merge(self) -> int:
        """Delete runs that show what another one shows, as two processes could make them; return their number.

        Tags and notes that users gave them go to the run that stays.
        """
        merged = len(self._doubles)
        while self._doubles:
            kept, double = self._doubles.pop()
            added = self.remove(double)
            kept.describe({name: text for name, text in added.items() if name not in kept.tags})
        return merged

    def _search(self) -> Iterable[Run]:
        # A quote would end the text in MLflow's filter; such a profile is picked out below.
        profile = self.settings.profile
        query = f"tags.`drnbench.profile` = '{profile}'" if "'" not in profile else ""
        token = None
        while True:
            page = self.client.search_runs([self.id], query, max_results=500, page_token=token)
            for run in page:
                tags = run.data.tags
                # Earlier versions kept one set of runs for a profile, whatever the overrides were.
                folder = tags.get("drnbench.settings", Settings.of(self.settings.study, profile).folder)
                if tags.get("drnbench.profile") == profile and folder == self.settings.folder:
                    yield Run.of(self.client, run)
            token = page.token
            if not token:
                return

    @property
    def tags(self) -> dict[str, str]:
        """The tags of all its runs, by which a later sync looks them up."""
        settings = self.settings
        return {
            "drnbench.study": settings.study,
            "drnbench.profile": settings.profile,
            "drnbench.settings": settings.folder,
        }

    def create(self, name: str, started: int | None, tags: dict[str, str]) -> Run:
        """Make a run; `started` is in milliseconds since 1970; None: now."""
        started = started or round(time.time() * 1000)
        tags = {tag: names.clipped(text, names.TAG_LENGTH) for tag, text in {**self.tags, **tags}.items()}
        run = self.client.create_run(
            self.id, start_time=started, tags=tags, run_name=names.clipped(name, names.NAME_LENGTH)
        )
        self.created += 1
        return Run(self.client, run.info.run_id, "RUNNING", tags=tags, points={})

    def supersede(self, run: Run, name: str) -> None:
        """Set a run aside that shows an earlier computation, and delete it as MLflow does: it can be restored."""
        run.describe({"drnbench.state": SUPERSEDED})
        self.client.update_run(run.id, name=f"{names.clipped(name, names.NAME_LENGTH - 13)} (superseded)")
        self.client.delete_run(run.id)

    def remove(self, run: Run) -> dict[str, str]:
        """Delete a run, as MLflow does; return the tags and the note that users gave it."""
        tags = self.client.get_run(run.id).data.tags  # as they are now
        self.client.delete_run(run.id)
        mirrored = ("drnbench.", "mlflow.")
        return {
            name: text for name, text in tags.items() if not name.startswith(mirrored) or name == "mlflow.note.content"
        }

    def retire(self, planned: Collection[tuple[str, str]]) -> None:
        """Delete the runs of trials that the plan no longer has, and earlier computations: a mean over arms leaves them out.

        They can be restored in MLflow, and the store keeps their trials.
        """
        for identity in [identity for identity in self.children if identity not in planned]:
            self.client.delete_run(self.children.pop(identity).id)
        while self._former:
            self.client.delete_run(self._former.pop().id)


def _same(a: float, b: float) -> bool:
    # A database may keep fewer digits than Python.
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-300)


def _parts(items: list[Any], size: int) -> Iterable[list[Any]]:
    return (items[i : i + size] for i in range(0, len(items), size))
