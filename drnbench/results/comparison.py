"""Which arms of a study are compared, and their paired differences by seed, from a plan and the store's scores.

The rule of who is compared to whom is the report's (`Scores.baseline_of`): the plan speaks of the same comparisons.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from drnbench.config.units import Evaluation
from drnbench.results.plan_record import PlanRecord
from drnbench.results.scores import Arm, Condition, Scores
from drnbench.store import Store, read_rows

Values = dict[tuple[str, int], float]
"""(image, how often the name came before) -> value."""


class Scored(NamedTuple):
    """One evaluation of a trial: its key, and what has to be equal for differences to mean something."""

    key: str
    images: tuple[Any, ...]


class Row(NamedTuple):
    """One trial: where it stands, whether it is trained, what it is scored on."""

    arm: str
    seed: int
    key: str
    method: str
    trained: bool
    scale: int
    wanted: Mapping[tuple[Condition, str], Scored]


@dataclass
class Compared:
    """A study as far as comparisons go.

    Attributes:
        scores: arms and conditions, without values. metrics: of each condition, in the order of the study.
        methods: of each arm. reads: files of scores read so far.

    """

    scores: Scores
    metrics: dict[Condition, tuple[str, ...]]
    methods: dict[str, str]
    rows: dict[str, dict[int, Row]]
    reads: int = 0
    _values: dict[tuple[str, str], Values] = field(default_factory=dict)

    @property
    def primary(self) -> Condition | None:
        """The first evaluation of the baseline; None without a baseline."""
        base = self.scores.baseline
        return self.scores.primary_of(base) if base is not None else None

    def methods_at(self, condition: Condition) -> frozenset[str]:
        """Return the methods of the arms that are compared on a condition."""
        return frozenset(self.methods[arm] for arm, _ in pairs_with(self, condition))

    def differences(self, arm: str, base: str, condition: Condition, metric: str, store: Store) -> list[float]:
        """Return the mean difference over images of each seed that both have, arm minus base; finite values only."""
        out = []
        for seed, row in self.rows[arm].items():
            base_row = self.rows[base].get(seed)
            score, base_score = (
                row.wanted.get((condition, metric)),
                base_row.wanted.get((condition, metric)) if base_row else None,
            )
            if base_row is None or score is None or base_score is None or score.images != base_score.images:
                continue
            a, b = self._read(store, row, score), self._read(store, base_row, base_score)
            common = [a[image] - b[image] for image in a if image in b]
            finite = [value for value in common if abs(value) < float("inf")]  # NaN is not
            if finite:
                out.append(sum(finite) / len(finite))
        return out

    def _read(self, store: Store, row: Row, scored: Scored) -> Values:
        key = (row.key, scored.key)
        if key not in self._values:
            self.reads += 1
            self._values[key] = _values(store, *key)
        return self._values[key]


def pairs_with(study: Compared, condition: Condition) -> list[tuple[str, str]]:
    """Return (arm, baseline) of every trained arm that is compared on a condition: the family that Holm is over."""
    pairs = [(arm, study.scores.baseline_of(arm, condition)) for arm in study.scores.arms if not arm.seedless]
    return [(arm.name, base.name) for arm, base in pairs if base is not None and not base.seedless]


def of_record(plan: PlanRecord) -> Compared:
    """Return the comparisons of a plan; what is not scored yet counts as absent."""
    rows = [
        Row(
            t.arm,
            t.seed,
            t.key,
            str((t.config or {}).get("method")),
            bool(t.stages),
            t.scale,
            _wanted(t.scale, t.wanted),
        )
        for t in plan.trials
    ]
    return _compared(plan, rows)


def _wanted(scale: int, evaluations: Iterable[Evaluation]) -> dict[tuple[Condition, str], Scored]:
    wanted: dict[tuple[Condition, str], Scored] = {}
    for e in evaluations:
        wanted.setdefault((Condition(e.dataset, e.kernel, scale), e.metric), Scored(e.key, (e.source, e.crop, e.lr)))
    return wanted


def _compared(plan: PlanRecord, rows: list[Row]) -> Compared:
    by_arm: dict[str, dict[int, Row]] = {arm.name: {} for arm in plan.arms}
    for row in rows:
        by_arm[row.arm][row.seed] = row
    metrics: dict[Condition, dict[str, None]] = {}
    for row in rows:
        for condition, metric in row.wanted:
            metrics.setdefault(condition, {})[metric] = None
    made = []
    for arm in plan.arms:
        own_rows = list(by_arm[arm.name].values())
        conditions = tuple(dict.fromkeys(condition for row in own_rows for condition, _ in row.wanted))
        scale = own_rows[0].scale if own_rows else arm.values.get("scale", rows[0].scale)
        seedless = bool(own_rows) and not any(row.trained for row in own_rows)
        made.append(Arm(arm.name, arm.kind, arm.values, int(scale), seedless, (), (), conditions))
    listed = {condition: tuple(names) for condition, names in metrics.items()}
    scores = Scores(plan, tuple(made), tuple(listed), listed, {}, {}, {})
    return Compared(scores, listed, {row.arm: row.method for row in rows}, by_arm)


def _values(store: Store, trial: str, evaluation: str) -> Values:
    """Return the values of one evaluation of a trial by image; empty where there are none."""
    from pyarrow import ArrowException

    try:
        table = read_rows(store.trial(trial) / "per_image.parquet", ["evaluation", "image", "value"])
    except (OSError, ArrowException, KeyError):
        return {}
    out: Values = {}
    seen: dict[str, int] = {}
    columns = (table.column(name).to_pylist() for name in ("evaluation", "image", "value"))
    for key, image, value in zip(*columns, strict=True):
        if key == evaluation:
            seen[image] = seen.get(image, -1) + 1
            out[image, seen[image]] = float("nan") if value is None else value
    return out
