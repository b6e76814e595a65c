"""Histories of training: every recorded value of every stage of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drnbench.results.scores import Scores
from drnbench.store import Store, stored_rows

if TYPE_CHECKING:
    import pandas as pd

SHARED = "shared by several arms"
"""The arm of a stage that several arms start from."""


def read_histories(scores: Scores, store: Store) -> pd.DataFrame | None:
    """Return step, name, value, stage, key and arm (or SHARED) of every recorded value; None where there is none."""
    import numpy as np
    import pyarrow as pa

    owners: dict[str, set[str]] = {}
    for arm in scores.arms:
        for trial in arm.trials:
            for key in trial.stages:
                owners.setdefault(key, set()).add(arm.name)
    parts, origins = [], []
    for key, names in owners.items():
        rows = stored_rows(store.stage(key) / "history.parquet", ["step", "name", "value"])
        if rows is not None:
            parts.append(rows)
            origins.append((scores.plan.stages[key].name, next(iter(names)) if len(names) == 1 else SHARED, key))
    if not sum(map(len, parts)):
        return None
    frame: pd.DataFrame = pa.concat_tables(parts).to_pandas()
    part_numbers = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    columns = zip(("stage", "arm", "key"), zip(*origins, strict=True), strict=True)
    return frame.assign(**{name: np.array(values, dtype=object)[part_numbers] for name, values in columns})
