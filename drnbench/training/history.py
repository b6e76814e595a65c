"""The history of a stage: step, name, value, time, in a parquet file that is rewritten at each checkpoint."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from drnbench.store import read_rows, write_rows

COLUMNS = ("step", "name", "value", "time")


@dataclass
class History:
    """Rows so far, and the running means of losses since the last row.

    Attributes:
        sums: name -> [sum, count]; part of the checkpoint, so that a resumed mean equals an uninterrupted one.
    """

    rows: list[tuple[int, str, float, float]] = field(default_factory=list)
    sums: dict[str, list[float]] = field(default_factory=dict)

    def add(self, values: dict[str, float]) -> None:
        """Count one step's losses into the running means."""
        for name, value in values.items():
            entry = self.sums.setdefault(name, [0.0, 0.0])
            entry[0] += value
            entry[1] += 1

    def flush(self, step: int) -> dict[str, float]:
        """Close the running means into rows at `step` (steps done) and return them."""
        means = {name: total / count for name, (total, count) in self.sums.items()}
        self.sums = {}
        for name, value in means.items():
            self.put(step, name, value)
        return means

    def put(self, step: int, name: str, value: float) -> None:
        """Add one row now."""
        # Milliseconds, as in MLflow: its mirror compares times.
        self.rows.append((step, name, value, round(time.time(), 3)))

    def write(self, path: Path) -> None:
        """Write all rows; the caller syncs them."""
        import pandas as pd

        frame = pd.DataFrame(self.rows, columns=list(COLUMNS)).astype(
            {"step": "int64", "value": "float64", "time": "float64"}
        )
        write_rows(path, frame, durable=False)

    @classmethod
    def read(cls, path: Path, up_to: int) -> History:
        """Read the rows up to a step, those that a checkpoint at that step includes.

        Raises:
            FileNotFoundError: there is no such file.
            Damaged: it is not whole.
        """
        rows = read_rows(path, list(COLUMNS)).to_pylist()
        return cls(rows=[tuple(row[name] for name in COLUMNS) for row in rows if row["step"] <= up_to])
