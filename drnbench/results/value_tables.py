"""The per-image values of a study as tables, seeds x images, one for each arm, condition and metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from drnbench.results.scores import Arm, Condition, TrialState
from drnbench.store import Store, stored_rows

if TYPE_CHECKING:
    import pandas as pd
    from pyarrow import Table

COLUMNS = ("arm", "kind", "seed", "dataset", "kernel", "scale", "image", "metric", "value")


class Target(NamedTuple):
    """The meaning of an evaluation in a study; `folder` is that of its samples."""

    condition: Condition
    metric: str
    folder: str
    source: str


Targets = Mapping[tuple[str, str], Mapping[str, Target]]
"""(arm, trial key) -> evaluation key -> meaning. Arms that differ in their test set alone share a trial."""


def value_tables(store: Store, arms: Sequence[Arm], targets: Targets) -> dict[tuple[str, Condition, str], pd.DataFrame]:
    """Return the values of each arm, condition and metric that has some, seeds x images, both sorted."""
    import numpy as np
    import pandas as pd

    frame = _frame(store, arms, targets)
    image, seed, value = (
        frame[name].to_numpy(kind) for name, kind in (("image", object), ("seed", int), ("value", float))
    )
    tables = {}
    key: Any
    for key, rows in frame.groupby(["arm", "dataset", "kernel", "scale", "metric"], sort=False).indices.items():
        arm, dataset, kernel, scale, metric = key
        seeds, down = np.unique(seed[rows], return_inverse=True)
        images, across = np.unique(image[rows], return_inverse=True)
        square = np.full((len(seeds), len(images)), np.nan)
        square[down, across] = value[rows]
        # Not `unstack`: it takes ten times as long, and a study may have a thousand of these.
        tables[arm, Condition(dataset, kernel, int(scale)), metric] = pd.DataFrame(
            square, pd.Index(seeds, name="seed"), pd.Index(images, name="image", dtype="str")
        )
    return tables


def _frame(store: Store, arms: Sequence[Arm], targets: Targets) -> pd.DataFrame:
    """Return every wanted score, a row each: trials in table order, rows in the order that they were scored in."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    # A recorded failure is believed, also where scores are left from before it.
    trials = [(arm, trial) for arm in arms for trial in arm.trials if trial.state not in {"failed", "damaged"}]
    parts = [(n, rows) for n, (_, trial) in enumerate(trials) if (rows := _per_image(store, trial.key)) is not None]
    if not sum(len(rows) for _, rows in parts):
        return pd.DataFrame(columns=list(COLUMNS))
    frame = pa.concat_tables([rows for _, rows in parts]).to_pandas()
    frame["trial"] = np.repeat([n for n, _ in parts], [len(rows) for _, rows in parts])
    # There are few different pairs of trial and evaluation: each is looked up once.
    codes, names = pd.factorize(frame["evaluation"])
    pairs, ids = np.unique(frame["trial"].to_numpy() * len(names) + codes, return_inverse=True)
    meanings = pd.DataFrame(
        [_meaning(*trials[int(pair) // len(names)], names[pair % len(names)], targets) for pair in pairs],
        columns=["arm", "kind", "seed", "dataset", "kernel", "scale", "metric"],
    )
    if frame.duplicated(["trial", "evaluation", "image"]).any():  # two images of one name stay two images
        again = frame.groupby(["trial", "evaluation", "image"]).cumcount()
        frame["image"] = frame["image"].where(again == 0, frame["image"] + "#" + (again + 1).astype(str))
    rows = meanings.take(ids).set_axis(frame.index).assign(image=frame["image"], value=frame["value"])
    rows = rows[rows["arm"].notna()]
    # A reference that stands for arms with few and with many images of one set has scored some twice.
    rows = rows.drop_duplicates(["arm", "seed", "dataset", "kernel", "scale", "image", "metric"])
    return rows.astype({"seed": "int64", "scale": "int64"})[list(COLUMNS)].reset_index(drop=True)


def _meaning(arm: Arm, trial: TrialState, evaluation: str, targets: Targets) -> tuple[object, ...]:
    """Return the meaning of one evaluation of a trial; nothing but None where it is stored and not wanted any more."""
    target = targets[arm.name, trial.key].get(evaluation)
    if target is None:
        return (None,) * 7
    return (arm.name, arm.kind, trial.seed, *target.condition, target.metric)


def _per_image(store: Store, trial: str) -> Table | None:
    """Return a trial's rows; None where it is not scored, or its scores are not whole."""
    return stored_rows(store.trial(trial) / "per_image.parquet", ["evaluation", "image", "value"])
