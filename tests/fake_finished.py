"""A store as a finished study leaves it, without training: real plan and keys, made-up weights and scores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch

from drnbench.planning import Plan, PlannedTrial
from drnbench.session.declared import declare
from drnbench.session.recording import record
from drnbench.store import Status, Store, write_json
from drnbench.store.code import code_fingerprint

SECONDS = 0.5
"""Of a step of every stage."""


def fill(
    study: Path,
    results: Path,
    value: Callable[[PlannedTrial, int], float] = lambda trial, image: 30.0 + image,
    done: Callable[[PlannedTrial], bool] = lambda trial: True,
    **record_more: object,
) -> tuple[Store, Plan]:
    """Write plan.json, and of every trial that is `done` its stages, checkpoints and scores."""
    store = Store(results)
    store.prepare()
    plan = declare(study, "quick").plan(store)
    for trial in plan.trials:
        if not done(trial):
            continue
        for key in trial.stages:
            train(store, plan, key, **record_more)
        folder = store.trial(trial.unit.key)
        folder.mkdir(parents=True, exist_ok=True)
        rows = [
            (f"img{i}", e.dataset, e.kernel, trial.trial.scale, e.metric, value(trial, i), e.key)
            for e in trial.unit.wanted
            for i in range(3)
        ]
        names = ["image", "dataset", "kernel", "scale", "metric", "value", "evaluation"]
        pd.DataFrame(rows, columns=names).to_parquet(folder / "per_image.parquet", index=False)
        (folder / "samples").mkdir(exist_ok=True)
        (folder / "samples" / "img0_sr.png").write_bytes(b"p" * 900)
        (folder / "log.txt").write_text("".join(f"line {n}\n" for n in range(100)), encoding="utf-8")
        write_json(folder / "scores.json", {"code": code_fingerprint("evaluate"), "costs": {"parameters": 1321}})
        status = Status("done", evaluations=[e.key for e in trial.unit.wanted])
        status.finished = status.started + 8.0
        store.write_status(folder, status)
    plan = declare(study, "quick").plan(store)
    record(plan, store)
    return store, plan


def train(store: Store, plan: Plan, key: str, **record_more: object) -> None:
    """Write one stage as training leaves it."""
    node, folder = plan.stages[key], store.stage(key)
    if folder.exists():
        return
    record = {
        "key": key, "code": code_fingerprint("stage"), "seconds_per_step": SECONDS, "peak_rss_mib": 500,
        "steps": node.unit.stage.steps, "costs": {"macs": 12345, "seconds": SECONDS * node.unit.stage.steps}, **record_more,
    }  # fmt: skip
    write_json(folder / "unit.json", node.unit.model_dump(mode="json"))
    write_json(folder / "stage.json", record)
    torch.save({"model": {"w": torch.zeros(1000)}, "extra": {}}, folder / "checkpoint.pt")
    store.write_status(folder, Status("done"))
