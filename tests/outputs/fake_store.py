"""A store as a study leaves it, with seeded scores: the plan is the real one, only its keys and numbers are made up."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from drnbench.config.study import Study
from drnbench.config.trial import Data, Evaluate, Stage, Trial
from drnbench.config.units import EvaluateUnit, Evaluation, StageUnit
from drnbench.planning.expand import Arm, expand
from drnbench.planning.graph import Plan, PlannedTrial, StageNode
from drnbench.results.plan_record import write_plan
from drnbench.store import Status, Store, safe, write_json
from drnbench.training.history import History

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
    """The plan that `drnbench.planning.make` would give, with keys that need no data."""
    expanded = expand(study, name, question, profile)
    stages: dict[str, StageNode] = {}
    trials = []
    for arm in expanded.arms:
        for trial in arm.trials:
            units: list[StageUnit] = []
            for depth, stage in enumerate(trial.stages):
                before = units[-1].key if units else None
                unit = StageUnit(
                    key=key("stage", stage, trial.scale, trial.method, trial.model, trial.seed, before), model="drn", options={},
                    scale=trial.scale, seed=trial.seed, depth=depth, before=before, stage=stage, data_digest="d",
                )  # fmt: skip
                units.append(unit)
                stages.setdefault(unit.key, StageNode(unit, stage.name, "missing"))
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
                    count=e.count,
                    metric=metric,
                )
                for e in trial.evaluate
                for metric in e.metrics
                if metric != "dual_mae" or (trial.stages and trial.stages[-1].scheme != "supervised")
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
    if metric == "dual_mae":
        return float(1.5 - effect(arm, kernel) + 0.01 * image)
    return float(1 / (1 + np.exp(-(psnr - 20) / 4)) if metric == "ssim_y" else psnr)


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
    costs: bool = False,
    kernels: bool = False,
) -> Store:
    """Write plan.json, and for every trial that is `done` its scores, crops, histories, costs and kernels of D."""
    write_plan(plan.record(), store)
    for trial in plan.trials:
        if not done(trial):
            continue
        folder = store.trial(trial.unit.key)
        rows = pd.DataFrame(
            [
                (f"img{i:02d}", e.dataset, e.kernel, trial.trial.scale, e.metric,
                 value(trial.arm, trial.trial.seed, i, e.kernel, e.metric, effect), e.key)
                for e in trial.unit.wanted
                for i in range(min(images, e.count or images))
            ],
            columns=["image", "dataset", "kernel", "scale", "metric", "value", "evaluation"],
        )  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        rows, have = change(trial, rows), [e.key for e in trial.unit.wanted]
        if (folder / "per_image.parquet").exists():
            # Arms that differ in their test set alone share a trial, which keeps the rows of both.
            old = pd.read_parquet(folder / "per_image.parquet")
            rows = pd.concat([old[~old["evaluation"].isin(have)], rows], ignore_index=True)
            status = store.status(folder)
            have += [] if status is None else [k for k in status.evaluations if k not in have]
        rows.to_parquet(folder / "per_image.parquet", index=False)
        store.write_status(folder, Status("done", evaluations=have))
        if samples:
            _samples(folder, trial)
        if history:
            _history(store, trial)
        if costs:
            _costs(store, trial)
        if kernels and any(e.metric == "dual_mae" for e in trial.unit.wanted):
            learned, true = kernels_of(trial)
            arrays = {"learned": learned} if true is None else {"learned": learned, "true": true}
            kernel = next(e.kernel for e in trial.unit.wanted if e.metric == "dual_mae")
            (folder / "dual_kernel").mkdir(exist_ok=True)
            np.savez(folder / "dual_kernel" / f"{safe(kernel)}.npz", **arrays)
    return store


def seconds_of(trial: PlannedTrial, depth: int) -> float:
    """What a stage of a trial took."""
    return 100.0 * (depth + 1) + 10 * trial.trial.seed


def _costs(store: Store, trial: PlannedTrial) -> None:
    size = 1_530_000 if trial.trial.method == "edsr" else 4_800_000
    size = 0 if trial.arm.kind == "reference" else size * (1 + len(trial.arm.name) % 3)
    folder = store.trial(trial.unit.key)
    macs = None if trial.arm.kind == "reference" else 9216 * size
    write_json(folder / "scores.json", {"costs": {"parameters": size, "macs": macs, "lr_size": [96, 96]}})
    for depth, stage in enumerate(trial.stages):
        write_json(
            store.stage(stage) / "stage.json",
            {"costs": {"seconds": seconds_of(trial, depth), "macs": 40_000_000 * (depth + 1)}},
        )


def kernels_of(trial: PlannedTrial) -> tuple[np.ndarray, np.ndarray | None]:
    """A D that has learned a Gaussian a little too wide, with a negative ring; and the true Gaussian."""
    y, x = np.mgrid[0:32, 0:32] - 15.5
    own = np.random.default_rng([trial.trial.seed, *trial.arm.name.encode()])

    def gaussian(sigma: float) -> np.ndarray:
        weights = np.exp(-(x**2 + y**2) / (2 * sigma**2))
        return weights / weights.sum()

    kernel = trial.unit.wanted[0].kernel
    sigma = {"bicubic": 1.4, "bd": 1.6}.get(kernel, 2.4)
    learned = 1.2 * gaussian(1.1 * sigma) - 0.2 * gaussian(2 * sigma) + own.normal(0, 0.0006, (32, 32))
    return learned, None if kernel == "real" else gaussian(sigma)


def _samples(folder: Path, trial: PlannedTrial) -> None:
    y, x = np.mgrid[0:96, 0:96] / 96
    for e in trial.unit.wanted:
        here = folder / "samples" / e.dataset / re.sub(r"[^A-Za-z0-9._-]", "-", e.kernel)
        here.mkdir(parents=True, exist_ok=True)
        for n in range(3):
            hr = np.stack([np.sin(9 * (n + 1) * x * y), np.cos(20 * x + n), np.sin(15 * y)], 2)
            blur = np.random.default_rng([n, trial.trial.seed]).normal(0, 0.1, hr.shape)
            kinds = {"hr": hr, "sr": hr + blur, "lr": hr[::4, ::4]}
            if e.kernel == "real":
                del kinds["hr"]
            for kind, pixels in kinds.items():
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
