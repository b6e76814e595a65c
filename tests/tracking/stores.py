"""A store as a small study leaves it: ρ on two arms and two seeds that share a pretraining, and bicubic."""

from __future__ import annotations

import functools
import hashlib
import math
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from drnbench.store import Status, Store, write_json, write_text

T0 = 1_700_000_000.0
"""When it all began, in seconds since 1970."""
IMAGES = ("baby", "bird")
KERNELS = ("bicubic", "bd:sigma=2.0")


def key(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


@functools.cache
def empty_database() -> bytes:
    """An mlflow.db without runs, made once: MLflow takes seconds to migrate a new one through its whole past."""
    from drnbench.tracking.quiet import SILENCE, connect, settings

    with tempfile.TemporaryDirectory() as folder, settings(**SILENCE):
        connect(f"sqlite:///{folder}/mlflow.db").search_experiments()
        return (Path(folder) / "mlflow.db").read_bytes()


def stage_config(name: str, **fields: Any) -> dict[str, Any]:
    return {
        "name": name, "scheme": "paired", "data": {"source": "photos/train", "kernel": "bicubic", "crop": None},
        "unpaired": None, "steps": 40, "betas": [0.9, 0.999], "lr": 0.002, "lam": 0.1, "rho": 0.0, **fields,
    }  # fmt: skip


def status(state: str = "done", started: float = T0, seconds: float = 10.0, **fields: Any) -> Status:
    finished = None if state == "running" else started + seconds
    return Status(state, started=started, finished=finished, **fields)


class Written:
    """The study `unpaired` in a store, as files; every method writes one more thing."""

    def __init__(
        self,
        root: Path,
        rhos: tuple[float, ...] = (0.0, 0.5),
        seeds: int = 2,
        profile: str = "tiny",
        database: bool = True,
    ) -> None:
        if database and not (root / "mlflow.db").exists():
            root.mkdir(exist_ok=True)
            (root / "mlflow.db").write_bytes(empty_database())
        self.store, self.name, self.profile = Store(root), "unpaired", profile
        self.stages: dict[str, dict[str, Any]] = {}
        self.trials: list[dict[str, Any]] = []
        for rho in rhos:
            for seed in range(seeds):
                self._trial(f"ρ={rho:g}", seed, [stage_config("pretrain"), stage_config("adapt", rho=rho)])
        self._trial("bicubic", 0, [])
        self.arms = [{"name": f"ρ={r:g}", "kind": "grid", "values": {"adapt.rho": r}, "excluded": []} for r in rhos]
        self.arms.append({"name": "bicubic", "kind": "reference", "values": {}, "excluded": []})
        self.plan()

    def _trial(self, arm: str, seed: int, stages: list[dict[str, Any]]) -> None:
        keys: list[str] = []
        for stage in stages:
            before = keys[-1] if keys else None
            keys.append(key(self.profile, stage, seed, before))
            self.stages.setdefault(keys[-1], {"label": stage["name"], "name": stage["name"], "state": "missing",
                                              "before": before})  # fmt: skip
        trial = key("trial", keys, self.profile)
        wanted = [
            {"key": key("e", kernel, metric), "source": "photos/test", "dataset": "Set5", "kernel": kernel,
             "images": "i", "crop": None, "metric": metric}
            for kernel in KERNELS
            for metric in ("psnr_y", "ssim_y")
        ]  # fmt: skip
        config = {
            "method": "drn" if stages else "bicubic", "model": {"n_feats": 8} if stages else {}, "scale": 4,
            "stages": stages, "evaluate": [{"source": "photos/test"}], "protocol": {"border": None}, "seed": seed,
        }  # fmt: skip
        self.trials.append({"key": trial, "arm": arm, "seed": seed, "state": "missing", "stages": keys, "scale": 4,
                            "measured": "psnr_y v1: border=4", "wanted": wanted, "config": config})  # fmt: skip

    def plan(self) -> None:
        """Write plan.json."""
        write_json(
            self.store.study(self.name) / "plan.json",
            {"study": self.name, "question": "Do unpaired images help?", "profile": self.profile, "baseline": "ρ=0",
             "axes": [{"path": "adapt.rho", "title": "ρ", "values": [0.0, 0.5]}], "outputs": [],
             "protocol": {"border": None}, "measured": "psnr_y v1: border=scale", "arms": self.arms, "stages": self.stages,
             "trials": self.trials, "warnings": []},
        )  # fmt: skip

    def train(self, stage: str, steps: int = 40, state: str = "done", shift: float = 0.0, **fields: Any) -> None:
        """Write a stage's history up to `steps`, a loss every 10 and a validation every 20, and its status."""
        rows = []
        for step in range(10, steps + 1, 10):
            rows.append((step, "loss", 5 / step + shift, T0 + step / 8))
            if step % 20 == 0:
                rows.append((step, "psnr_y", 20 + step / 10 + shift, T0 + step / 8))
        folder = self.store.stage(stage)
        folder.mkdir(parents=True, exist_ok=True)
        frame = pd.DataFrame(rows, columns=["step", "name", "value", "time"])
        frame.to_parquet(folder / "history.parquet", index=False)
        self.store.write_status(folder, status(state, **fields))

    def score(self, trial: dict[str, Any], gain: float = 0.0, perfect: bool = False) -> None:
        """Write a trial's scores, samples and status; perfect: one image of the first kernel is the HR image."""
        rows = []
        for e in trial["wanted"]:
            for n, image in enumerate(IMAGES):
                value = (30.0 + n if e["metric"] == "psnr_y" else 0.9) + gain
                if perfect and n == 0 and e["kernel"] == KERNELS[0] and e["metric"] == "psnr_y":
                    value = math.inf
                rows.append((image, "Set5", e["kernel"], 4, e["metric"], value, e["key"]))
        folder = self.store.trial(trial["key"])
        (folder / "samples" / "Set5" / "bicubic").mkdir(parents=True, exist_ok=True)
        columns = ["image", "dataset", "kernel", "scale", "metric", "value", "evaluation"]
        pd.DataFrame(rows, columns=columns).to_parquet(folder / "per_image.parquet", index=False)
        for n, what in enumerate(("lr", "sr", "hr")):
            picture = Image.new("RGB", (48, 48), (80 * n, 120, 30 + 20 * trial["seed"]))
            picture.save(folder / "samples" / "Set5" / "bicubic" / f"baby_{what}.png")
        done = status(started=T0 + 20, seconds=5, evaluations=[e["key"] for e in trial["wanted"]])
        self.store.write_status(folder, done)

    def report(self, text: str = "\\begin{tabular}") -> None:
        """Write a table, a figure and the report."""
        folder = self.store.study(self.name)
        write_text(folder / "table_main.tex", text)
        write_text(folder / "report.html", "<h1>unpaired</h1>")
        Image.new("RGB", (64, 32), (200, 30, 30)).save(folder / "figure_curve.png")

    def finish(self) -> None:
        """Write everything, as a run without failures leaves it."""
        for stage in self.stages:
            self.train(stage)
        for n, trial in enumerate(self.trials):
            self.score(trial, gain=0.1 * n)
        self.report()


def runs(uri: str, name: str = "unpaired") -> list[Any]:
    """Every run of a study's experiment, read by a client of its own."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name(name)
    return [] if experiment is None else list(client.search_runs([experiment.experiment_id], max_results=1000))


def points(uri: str, name: str = "unpaired") -> int:
    """How many values of metrics the study's trials have."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    children = [run for run in runs(uri, name) if run.data.tags["drnbench.kind"] == "trial"]
    return sum(len(client.get_metric_history(run.info.run_id, m)) for run in children for m in run.data.metrics)


def child(uri: str, label: str) -> Any:
    """The run of that name."""
    return next(run for run in runs(uri) if run.info.run_name == label)
