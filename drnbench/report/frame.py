"""From the store to tidy scores: what a study planned, what is there of it, and every per-image value.

Nothing but the store is read, so a report can be written while the sweep runs and on a machine that trained nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from drnbench.errors import UsageError, nearest
from drnbench.store import Store, read_json

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("arm", "kind", "seed", "dataset", "kernel", "scale", "image", "metric", "value")


class Place(NamedTuple):
    """Where something is scored: a test set under a degradation, at a scale."""

    dataset: str
    kernel: str
    scale: int

    @property
    def label(self) -> str:
        """How captions call it: `Set5, bd ×4`."""
        return f"{self.dataset}, {self.kernel} ×{self.scale}"


@dataclass(frozen=True)
class TrialState:
    """One planned trial as the store has it now.

    Attributes:
        state: done, missing, running, failed, interrupted, lost.
        message: of a failure, its kind and what it said.
        stages: keys of its stages, in order; empty for a method that nobody trains.

    """

    key: str
    seed: int
    state: str
    message: str | None
    stages: tuple[str, ...]


@dataclass(frozen=True)
class Arm:
    """One row of the study, in table order.

    Attributes:
        kind: "grid", "named" or "reference".
        values: axis values by path.
        seedless: nobody trains it, so one trial stands for every seed.
        excluded: (seed, reason) of what was left out on purpose.

    """

    name: str
    kind: str
    values: dict[str, Any]
    scale: int
    seedless: bool
    excluded: tuple[tuple[int, str], ...]
    trials: tuple[TrialState, ...]


@dataclass(frozen=True)
class Scores:
    """A study's plan and all its scores.

    Attributes:
        places: every (dataset, kernel, scale) that some arm is scored on, in evaluation order.
        metrics: of each place, in the order they were asked for.
        tables: (arm, place, metric) -> values, seeds x images (pandas DataFrame); absent where nothing is scored.
        names: (arm, place) -> the data set's folder among the samples.

    """

    plan: dict[str, Any]
    arms: tuple[Arm, ...]
    places: tuple[Place, ...]
    metrics: dict[Place, tuple[str, ...]]
    frame: pd.DataFrame
    tables: dict[tuple[str, Place, str], pd.DataFrame]
    names: dict[Place, str]

    def arm(self, name: str) -> Arm:
        """Return the arm of that name."""
        return next(arm for arm in self.arms if arm.name == name)

    @property
    def baseline(self) -> Arm | None:
        """The arm that all others are compared to, if the study declares one."""
        return self.arm(self.plan["baseline"]) if self.plan["baseline"] else None

    @property
    def control(self) -> Arm | None:
        """The positive control, if the study declares one."""
        return self.arm(self.plan["control"]) if self.plan["control"] else None

    @property
    def primary(self) -> tuple[Place, str]:
        """The first evaluation and metric of the baseline (or of the first arm): what the headline speaks of."""
        scale = (self.baseline or self.arms[0]).scale
        place = next((p for p in self.places if p.scale == scale), self.places[0])
        return place, self.metrics[place][0]

    @property
    def baseline_label(self) -> str:
        """How a caption calls what arms are compared to: `ρ=0`, or `ρ=0 at the same scale` where there are several."""
        compared = [self.baseline_of(arm) for arm in self.arms]
        bases = {base.name: base for base in compared if base is not None}
        if len(bases) < 2:
            return str(next(iter(bases), self.plan["baseline"]))
        titles = {axis["path"]: axis["title"] for axis in self.plan["axes"]}
        values = {path: {repr(base.values.get(path)) for base in bases.values()} for path in titles}
        one = next(iter(bases.values()))
        same = [f"{titles[path]}={one.values[path]}" for path in titles if len(values[path]) == 1]
        return f"{', '.join(same)} at the same {' and '.join(titles[p] for p in titles if len(values[p]) > 1)}"

    def baseline_of(self, arm: Arm) -> Arm | None:
        """Return what an arm is compared to, or None for a baseline itself.

        Differences between scales mean nothing, so an arm at another scale is compared to the cell that has the
        baseline's values on every other axis.
        """
        base = self.baseline
        if base is None:
            return None
        if arm.scale != base.scale:
            cell = {**base.values, "scale": arm.scale}
            base = next((a for a in self.arms if a.kind == "grid" and a.values == cell), None)
        return None if base is None or base.name == arm.name else base

    @property
    def counts(self) -> tuple[int, int]:
        """How many trials are done, and how many the study has."""
        states = [trial.state for arm in self.arms for trial in arm.trials]
        return states.count("done"), len(states)


def read(store: Store, name: str) -> Scores:
    """Read a study's plan and every score that the store has of it.

    Raises:
        UsageError: the store has no plan of that study.

    """
    plan = read_json(store.study(name) / "plan.json")
    if plan is None:
        known = sorted(p.parent.name for p in store.root.glob("*/plan.json"))
        others = f"; {nearest(name, known)}" if known else ""
        raise UsageError(f"no study {name!r} in {store.root}: run it first{others}")
    wanted = {t["key"]: _places(t) for t in plan["trials"]}
    stages = {key: _stage_failure(store, key) for key in plan["stages"]}
    arms = tuple(_arm(arm, plan, store, stages) for arm in plan["arms"])
    metrics: dict[Place, list[str]] = {}
    names: dict[Place, str] = {}
    for by_key in wanted.values():
        for place, metric, folder in by_key.values():
            listed = metrics.setdefault(place, [])
            names.setdefault(place, folder)
            if metric not in listed:
                listed.append(metric)
    frame = _frame(store, arms, wanted)
    tables: dict[tuple[str, Place, str], pd.DataFrame] = {}
    found: Any
    for found, rows in frame.groupby(["arm", "dataset", "kernel", "scale", "metric"], sort=False):
        arm, dataset, kernel, scale, metric = found
        square = rows.set_index(["seed", "image"])["value"].unstack("image")  # noqa: PD010
        tables[arm, Place(dataset, kernel, int(scale)), metric] = square.sort_index()
    return Scores(plan, arms, tuple(metrics), {p: tuple(m) for p, m in metrics.items()}, frame, tables, names)


def _places(trial: dict[str, Any]) -> dict[str, tuple[Place, str, str]]:
    """Evaluation key -> place, metric and sample folder; test sets that differ only in crop or source keep apart."""
    found: dict[str, tuple[Place, str, str]] = {}
    for e in trial["wanted"]:
        alike = [
            o
            for o in trial["wanted"]
            if (o["dataset"], o["kernel"], o["metric"]) == (e["dataset"], e["kernel"], e["metric"])
        ]
        label = e["dataset"]
        if len(alike) > 1:
            label += f" ({'whole' if e['crop'] is None else 'crop ' + str(e['crop'])})"
            if len({o["source"] for o in alike}) > 1:
                label = f"{label} of {e['source']}"
        found[e["key"]] = (Place(label, e["kernel"], int(trial["scale"])), e["metric"], e["dataset"])
    return found


def _stage_failure(store: Store, key: str) -> str | None:
    status = store.status(store.stage(key))
    return f"{status.kind or 'error'}: {status.message}" if status and status.state == "failed" else None


def _arm(arm: dict[str, Any], plan: dict[str, Any], store: Store, stages: dict[str, str | None]) -> Arm:
    mine = [t for t in plan["trials"] if t["arm"] == arm["name"]]
    excluded = tuple((e["seed"], e["reason"]) for e in arm["excluded"])
    # An arm that is excluded whole has no trial that tells its scale.
    scale = mine[0]["scale"] if mine else arm["values"].get("scale", plan["trials"][0]["scale"])
    seedless = bool(mine) and not any(t["stages"] for t in mine)
    trials = tuple(_trial(t, store, stages) for t in (mine[:1] if seedless else mine))
    return Arm(arm["name"], arm["kind"], arm["values"], int(scale), seedless, excluded, trials)


def _trial(trial: dict[str, Any], store: Store, stages: dict[str, str | None]) -> TrialState:
    folder = store.trial(trial["key"])
    status, state = store.status(folder), store.state(folder)
    message = None
    if status is not None and {e["key"] for e in trial["wanted"]} <= set(status.evaluations):
        state = "done"
    elif state == "failed" and status is not None:
        message = f"{status.kind or 'error'}: {status.message}"
    elif failures := [text for key in trial["stages"] if (text := stages.get(key))]:
        state, message = "failed", failures[0]
    elif state == "done":
        state = "missing"  # scored before, but not on everything that is wanted now
    return TrialState(trial["key"], int(trial["seed"]), state, message, tuple(trial["stages"]))


def _frame(store: Store, arms: tuple[Arm, ...], wanted: dict[str, dict[str, tuple[Place, str, str]]]) -> pd.DataFrame:
    import pandas as pd

    parts = []
    for arm in arms:
        for trial in arm.trials:
            path = store.trial(trial.key) / "per_image.parquet"
            if not path.exists():
                continue
            rows = pd.read_parquet(path)
            # A trial keeps the rows of evaluations that nobody wants today.
            rows = rows[rows["evaluation"].isin(list(wanted[trial.key]))]
            # Two images of one name stay two images.
            again = rows.groupby(["evaluation", "image"]).cumcount()
            image = (
                rows["image"].astype(str).where(again == 0, rows["image"].astype(str) + "#" + (again + 1).astype(str))
            )
            found = [wanted[trial.key][key] for key in rows["evaluation"]]
            parts.append(
                pd.DataFrame(
                    {
                        "arm": arm.name,
                        "kind": arm.kind,
                        "seed": trial.seed,
                        "dataset": [place.dataset for place, _, _ in found],
                        "kernel": [place.kernel for place, _, _ in found],
                        "scale": [place.scale for place, _, _ in found],
                        "image": image.to_numpy(),
                        "metric": [metric for _, metric, _ in found],
                        "value": rows["value"].to_numpy(dtype="float64"),
                    }
                )
            )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))
