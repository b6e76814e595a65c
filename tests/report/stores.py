"""A store as a study leaves it, with seeded scores: the plan is the real one, only its keys and numbers are made up."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from drnbench.plan.build import Plan, PlannedTrial, StageNode
from drnbench.store import Status, Store, write_json
from drnbench.study import Arm, Study, expand
from drnbench.training.history import History
from drnbench.trial import Data, Evaluate, Stage, Trial
from drnbench.units import EvaluateUnit, Evaluation, StageUnit

Effect = Callable[[Arm, str], float]

PRETRAIN = Stage("pretrain", scheme="paired", data=Data("photos/train"), steps=40)
ADAPT = Stage(
    "adapt",
    scheme="unpaired",
    data=Data("photos/train"),
    unpaired=Data("photos/unpaired", kernel="bd"),
    steps=20,
)


def base(**fields: Any) -> Trial:
    """The DRN trial of the design's example."""
    wanted = {
        "method": "drn",
        "scale": 4,
        "stages": [PRETRAIN, ADAPT],
        "evaluate": [Evaluate("photos/test", kernel="bd"), Evaluate("photos/test", kernel="bicubic")],
    }
    return Trial(**{**wanted, **fields})


def key(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def plan_of(
    study: Study, name: str = "unpaired", question: str = "Do unpaired images help?", profile: str = "quick"
) -> Plan:
    """The plan that `drnbench.plan.make` would give, with keys that need no data."""
    expanded = expand(study, name, question, profile)
    stages: dict[str, StageNode] = {}
    trials = []
    for arm in expanded.arms:
        for trial in arm.trials:
            units: list[StageUnit] = []
            for depth, stage in enumerate(trial.stages):
                before = units[-1].key if units else None
                unit = StageUnit(
                    key=key("stage", stage, trial.scale, trial.method, trial.seed, before), model="drn", options={},
                    scale=trial.scale, seed=trial.seed, depth=depth, before=before, stage=stage, data_digest="d",
                )  # fmt: skip
                units.append(unit)
                stages.setdefault(unit.key, StageNode(unit, stage.name, "missing", None))
            last = units[-1].key if units else None
            trial_key = key("trial", last, None if last else (trial.method, trial.scale))
            wanted = tuple(
                Evaluation(
                    key=key("evaluation", trial_key, e, metric),
                    source=e.source,
                    dataset=e.source.replace("/", "-"),
                    images="i",
                    kernel=e.kernel,
                    crop=e.crop,
                    metric=metric,
                )
                for e in trial.evaluate
                for metric in e.metrics
            )  # fmt: skip
            scored = EvaluateUnit(
                key=trial_key, stage=last, model="drn", options={}, scale=trial.scale, seed=trial.seed,
                protocol=trial.protocol, wanted=wanted,
            )  # fmt: skip
            trials.append(PlannedTrial(arm, trial, scored, [u.key for u in units], "missing"))
    return Plan(expanded, trials, stages)


def value(arm: Arm, seed: int, image: int, kernel: str, metric: str, effect: Effect) -> float:
    """A score with image, seed and seed-by-image effects around what the arm is worth."""
    noise = np.random.default_rng([image, len(kernel)])
    level = 25 + 3 * noise.standard_normal() - 2 * (kernel == "bd")
    if arm.kind == "reference":
        psnr = level - 1.2
    else:
        own = np.random.default_rng([seed, image, *arm.name.encode()])
        seeds = np.random.default_rng([seed, *arm.name.encode()])
        psnr = level + effect(arm, kernel) + 0.02 * seeds.standard_normal() + 0.03 * own.standard_normal()
    return float(psnr if metric == "psnr_y" else 1 / (1 + np.exp(-(psnr - 20) / 4)))


def fill(
    store: Store,
    plan: Plan,
    effect: Effect,
    *,
    images: int = 5,
    done: Callable[[PlannedTrial], bool] = lambda trial: True,
    change: Callable[[PlannedTrial, pd.DataFrame], pd.DataFrame] = lambda trial, rows: rows,
    samples: bool = False,
    history: bool = False,
) -> Store:
    """Write plan.json, and for every trial that is `done` its scores, crops and histories."""
    write_json(store.study(plan.study.name) / "plan.json", plan.to_json())
    for trial in plan.trials:
        if not done(trial):
            continue
        folder = store.trial(trial.unit.key)
        rows = pd.DataFrame(
            [
                (f"img{i:02d}", e.dataset, e.kernel, trial.trial.scale, e.metric,
                 value(trial.arm, trial.trial.seed, i, e.kernel, e.metric, effect), e.key)
                for e in trial.unit.wanted
                for i in range(images)
            ],
            columns=["image", "dataset", "kernel", "scale", "metric", "value", "evaluation"],
        )  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        change(trial, rows).to_parquet(folder / "per_image.parquet", index=False)
        store.write_status(folder, Status("done", evaluations=[e.key for e in trial.unit.wanted]))
        if samples:
            _samples(folder, trial)
        if history:
            _history(store, trial)
    return store


def _samples(folder: Path, trial: PlannedTrial) -> None:
    y, x = np.mgrid[0:96, 0:96] / 96
    for e in trial.unit.wanted:
        here = folder / "samples" / e.dataset / e.kernel
        here.mkdir(parents=True, exist_ok=True)
        for n in range(3):
            hr = np.stack([np.sin(9 * (n + 1) * x * y), np.cos(20 * x + n), np.sin(15 * y)], 2)
            blur = np.random.default_rng([n, trial.trial.seed]).normal(0, 0.1, hr.shape)
            for kind, pixels in (("hr", hr), ("sr", hr + blur), ("lr", hr[::4, ::4])):
                picture = np.clip(127 + 120 * pixels, 0, 255).astype(np.uint8)
                Image.fromarray(picture).save(here / f"img{n:02d}_{kind}.png")


def _history(store: Store, trial: PlannedTrial) -> None:
    for depth, stage in enumerate(trial.stages):
        path = store.stage(stage) / "history.parquet"
        if path.exists():
            continue
        own = np.random.default_rng([trial.trial.seed, depth, *trial.arm.name.encode()])
        rows = History()
        for step in range(5, 45, 5):
            rows.put(step, "total", float(30 * np.exp(-step / 15) + 4 + own.normal(0, 0.4)))
            rows.put(step, "val_psnr_y/bd", float(24 + depth + step / 60 + own.normal(0, 0.03)))
            rows.put(step, "val_psnr_y/bicubic", float(26 + depth + step / 90 + own.normal(0, 0.03)))
        rows.write(path)
        store.write_status(store.stage(stage), Status("done"))
