"""Stores as studies leave them, without training: real plans with real keys, made-up weights, scores and pictures."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
from PIL import Image

from drnbench.config.study import Study
from drnbench.config.trial import Data, Evaluate, Stage, Trial
from drnbench.config.units import Evaluation
from drnbench.planning import Plan, PlannedTrial
from drnbench.planning.expand import Arm
from drnbench.results.plan_record import write_plan
from drnbench.session.declared import declare
from drnbench.session.recording import record
from drnbench.store import Status, Store, image_folder, safe, write_json
from drnbench.store.code import code_fingerprint
from drnbench.training.history import History

Effect = Callable[[Arm, str], float]
"""By how many dB an arm differs on a kernel."""
Score = Callable[[PlannedTrial, Evaluation, int], float]
"""The score of a trial in one metric on one image, by its number."""

FOLDERS = {"photos-train": 40, "photos-frames": 5, "Set5": 5}
"""Images of a size that a plan accepts, beside the embedded photographs; each folder with how many there are."""
SCORE_COLUMNS = ("image", "dataset", "kernel", "scale", "metric", "value", "evaluation")
STEP_SECONDS = 0.5
SCORING_SECONDS = 8.0

PRETRAIN = Stage("pretrain", scheme="paired", data=Data("photos/train"), steps=40)
ADAPT = Stage(
    "adapt", scheme="unpaired", data=Data("photos/train"), unpaired=Data("photos/unpaired", kernel="bd"), steps=20
)


def base(**fields: Any) -> Trial:
    """The DRN trial of the design's example."""
    defaults = {
        "method": "drn",
        "scale": 4,
        "stages": [PRETRAIN, ADAPT],
        "evaluate": [Evaluate("photos/test", kernel="bd"), Evaluate("photos/test", kernel="bicubic")],
    }
    return Trial(**{**defaults, **fields})


@functools.cache
def _scratch() -> Path:
    """A folder of this process with the images of FOLDERS and an empty store, whose fingerprints every plan shares."""
    folder = Path(tempfile.mkdtemp(prefix="drnbench-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name, count in FOLDERS.items():
        (folder / "data" / name).mkdir(parents=True)
        for n in range(count):
            Image.new("RGB", (96, 96), (n, 100, 200)).save(folder / "data" / name / f"img{n:02d}.png")
    return folder


def plan_of(
    study: Study | Path,
    name: str | None = None,
    question: str = "Do unpaired images help?",
    profile: str = "quick",
    store: Store | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Plan:
    """The plan of a study, or of a study file, against an empty store or the given one.

    Args:
        study: a `Study`, called `unpaired` unless `name` says otherwise, or a file, which names itself.
        name: under which its reports are stored.
        question: of a `Study`; a file has its own.
        profile: as `--profile`.
        store: whose stages and trials count as done.
        overrides: as `--set`.

    """
    declared = declare(study, profile, overrides, name=name or ("unpaired" if isinstance(study, Study) else None))
    declared = declared if isinstance(study, Path) else replace(declared, question=question)
    folder = _scratch()
    with mock.patch.dict(os.environ, DRNBENCH_DATA=str(folder / "data")):
        plan = declared.plan(Store(folder / "results"))
        if store is None:
            return plan
        # Fingerprints, keypoints and the pairs of sets that were compared, which plans look up.
        shutil.copytree(folder / "results" / "cache", store.cache, dirs_exist_ok=True)
        return declared.plan(store)


def value(arm: Arm, seed: int, image: int, kernel: str, metric: str, effect: Effect) -> float:
    """A score with image, seed and seed-by-image effects around what the arm is worth."""
    noise = np.random.default_rng([image, len(kernel)])
    level = 25 + 3 * noise.standard_normal() - 2 * (kernel == "bd")
    if arm.kind == "reference":
        psnr = level - 1.2
    else:
        own = np.random.default_rng([seed, image, *arm.name.encode("utf-8", "surrogatepass")])
        seeds = np.random.default_rng([seed, *arm.name.encode("utf-8", "surrogatepass")])
        psnr = level + effect(arm, kernel) + 0.02 * seeds.standard_normal() + 0.03 * own.standard_normal()
    if metric == "dual_mae":
        return float(1.5 - effect(arm, kernel) + 0.01 * image)
    return float(1 / (1 + np.exp(-(psnr - 20) / 4)) if metric == "ssim_y" else psnr)


def fill(
    store: Store,
    plan: Plan,
    effect: Effect = lambda arm, kernel: 0.0,
    *,
    images: int = 5,
    done: Callable[[PlannedTrial], bool] = lambda trial: True,
    change: Callable[[PlannedTrial, pd.DataFrame], pd.DataFrame] = lambda trial, rows: rows,
    samples: bool = False,
    sr_images: bool = False,
    history: bool = False,
    costs: bool = False,
    kernels: bool = False,
) -> Store:
    """Write plan.json, and for every trial that is `done` its scores, crops, histories, costs and kernels of D."""
    write_plan(plan.record(), store)

    def score(trial: PlannedTrial, evaluation: Evaluation, image: int) -> float:
        return value(trial.arm, trial.trial.seed, image, evaluation.kernel, evaluation.metric, effect)

    for trial in filter(done, plan.trials):
        folder = store.trial(trial.unit.key)
        rows, evaluations = change(trial, score_rows(trial, score, images)), [e.key for e in trial.unit.wanted]
        if (folder / "per_image.parquet").exists():
            # Arms that differ in their test set alone share a trial, which keeps the rows of both.
            old = pd.read_parquet(folder / "per_image.parquet")
            rows = pd.concat([old[~old["evaluation"].isin(evaluations)], rows], ignore_index=True)
            status = store.status(folder)
            evaluations += [] if status is None else [key for key in status.evaluations if key not in evaluations]
        write_scores(store, trial, rows, Status("done", evaluations=evaluations))
        if samples:
            _samples(folder, trial)
        if sr_images and trial.unit.sr_images:
            _sr_images(folder, trial, images)
        if history:
            _history(store, trial)
        if costs:
            _costs(store, trial)
        if kernels and any(e.metric == "dual_mae" for e in trial.unit.wanted):
            learned, true = kernels_of(trial)
            kernel = next(e.kernel for e in trial.unit.wanted if e.metric == "dual_mae")
            (folder / "dual_kernel").mkdir(exist_ok=True)
            np.savez(folder / "dual_kernel" / f"{safe(kernel)}.npz", learned=learned, true=true)
    return store


def finish(
    study: Path,
    results: Path,
    score: Score = lambda trial, evaluation, image: 30.0 + image,
    done: Callable[[PlannedTrial], bool] = lambda trial: True,
    **record_fields: object,
) -> tuple[Store, Plan]:
    """Write all that a run of a study file leaves of every trial that is `done`; return the store, and the plan after.

    Args:
        study: the file.
        results: folder of the store.
        score: of each image.
        done: the trials that have been run.
        record_fields: fields of every stage.json, in place of the usual ones or beside them.

    """
    store = Store(results)
    store.prepare()
    plan = plan_of(study, store=store)
    for trial in filter(done, plan.trials):
        for key in trial.stages:
            write_stage(store, plan, key, **record_fields)
        status = Status("done", evaluations=[e.key for e in trial.unit.wanted])
        status.finished = status.started + SCORING_SECONDS
        folder = write_scores(store, trial, score_rows(trial, score, 3), status)
        (folder / "samples").mkdir(exist_ok=True)
        (folder / "samples" / "img00_sr.png").write_bytes(b"p" * 900)
        (folder / "log.txt").write_text("".join(f"line {n}\n" for n in range(100)), encoding="utf-8")
        write_json(folder / "scores.json", {"code": code_fingerprint("evaluate"), "costs": {"parameters": 1321}})
    plan = plan_of(study, store=store)
    record(plan, store)
    return store, plan


def write_stage(store: Store, plan: Plan, key: str, **record_fields: object) -> None:
    """Write a stage with its checkpoint as training leaves it, unless its folder is there."""
    import torch

    unit, folder = plan.stages[key].unit, store.stage(key)
    if folder.exists():
        return
    fields = {
        "key": key, "code": code_fingerprint("stage"), "seconds_per_step": STEP_SECONDS, "peak_rss_mib": 500,
        "steps": unit.stage.steps, "costs": {"macs": 12345, "seconds": STEP_SECONDS * unit.stage.steps}, **record_fields,
    }  # fmt: skip
    write_json(folder / "unit.json", unit.model_dump(mode="json"))
    write_json(folder / "stage.json", fields)
    torch.save({"model": {"w": torch.zeros(1000)}, "extra": {}}, folder / "checkpoint.pt")
    store.write_status(folder, Status("done"))


def score_rows(trial: PlannedTrial, score: Score, images: int | Iterable[str]) -> pd.DataFrame:
    """The scores of a trial as per_image.parquet holds them, of images by name or of img00, img01, ..."""
    names = [f"img{n:02d}" for n in range(images)] if isinstance(images, int) else list(images)
    return pd.DataFrame(
        [
            (name, e.dataset, e.kernel, trial.trial.scale, e.metric, score(trial, e, n), e.key)
            for e in trial.unit.wanted
            for n, name in enumerate(names[: e.count])
        ],
        columns=list(SCORE_COLUMNS),
    )


def write_scores(store: Store, trial: PlannedTrial, rows: pd.DataFrame, status: Status) -> Path:
    """Write the scores and the status of a trial; return its folder."""
    folder = store.trial(trial.unit.key)
    folder.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(folder / "per_image.parquet", index=False)
    store.write_status(folder, status)
    return folder


def seconds_of(trial: PlannedTrial, depth: int) -> float:
    """Duration of the training of a stage of a trial."""
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


def kernels_of(trial: PlannedTrial) -> tuple[np.ndarray, np.ndarray]:
    """A D that has learned a Gaussian a little too wide, with a negative ring; and the true Gaussian."""
    y, x = np.mgrid[0:32, 0:32] - 15.5
    own = np.random.default_rng([trial.trial.seed, *trial.arm.name.encode()])

    def gaussian(sigma: float) -> np.ndarray:
        weights = np.exp(-(x**2 + y**2) / (2 * sigma**2))
        return weights / weights.sum()

    kernel = trial.unit.wanted[0].kernel
    sigma = {"bicubic": 1.4, "bd": 1.6}.get(kernel, 2.4)
    learned = 1.2 * gaussian(1.1 * sigma) - 0.2 * gaussian(2 * sigma) + own.normal(0, 0.0006, (32, 32))
    return learned, gaussian(sigma)


def _samples(folder: Path, trial: PlannedTrial) -> None:
    y, x = np.mgrid[0:96, 0:96] / 96
    for dataset, kernel in dict.fromkeys((e.dataset, e.kernel) for e in trial.unit.wanted):
        directory = folder / "samples" / dataset / safe(kernel)
        directory.mkdir(parents=True, exist_ok=True)
        for n in range(3):
            hr = np.stack([np.sin(9 * (n + 1) * x * y), np.cos(20 * x + n), np.sin(15 * y)], 2)
            blur = np.random.default_rng([n, trial.trial.seed]).normal(0, 0.1, hr.shape)
            kinds = {"hr": hr, "sr": hr + blur, "lr": hr[::4, ::4]}
            if kernel == "real":
                del kinds["hr"]
            for kind, pixels in kinds.items():
                picture = np.clip(127 + 120 * pixels, 0, 255).astype(np.uint8)
                Image.fromarray(picture).save(directory / f"img{n:02d}_{kind}.png")


def _sr_images(folder: Path, trial: PlannedTrial, images: int) -> None:
    """Write whole images of 96 x 128 pixels, LR by nearest; SR of each arm differs from HR in a place of its own."""
    y, x = np.mgrid[0:96, 0:128] / 96
    for evaluation in {image_folder(e): e for e in trial.unit.wanted}.values():
        place = folder / image_folder(evaluation)
        place.mkdir(parents=True, exist_ok=True)
        for n in range(images):
            hr = np.clip(
                127 + 120 * np.stack([np.sin(9 * (n + 1) * x * y), np.cos(20 * x + n), np.sin(15 * y)], 2), 0, 255
            )
            own = np.random.default_rng([n, *trial.arm.name.encode("utf-8", "surrogatepass")])
            sr, (row, column) = hr + own.normal(0, 2, hr.shape), own.integers(0, 64, 2)
            sr[row : row + 16, column : column + 16] += 60
            pictures = {
                "sr": sr,
                **({"hr": hr, "lr": hr[:: trial.unit.scale, :: trial.unit.scale]} if trial.unit.inputs else {}),
            }
            for kind, pixels in pictures.items():
                Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(place / f"img{n:02d}_{kind}.png")


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
