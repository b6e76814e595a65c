"""A small study in a store, written step by step as a run would, and what MLflow has of it."""

from __future__ import annotations

import functools
import math
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from drnbench.config.settings import Settings
from drnbench.config.study import Axis, Study
from drnbench.config.trial import Evaluate
from drnbench.config.units import Evaluation
from drnbench.planning import PlannedTrial
from drnbench.store import Status, Store, write_json, write_text
from tests.fake_store import base, plan_of, score_rows, write_scores

T0 = 1_700_000_000.0
"""Start of everything, in seconds since 1970."""
IMAGES = ("baby", "bird")
KERNELS = ("bicubic", "bd:sigma=2.0")


@functools.cache
def empty_database() -> bytes:
    """An mlflow.db without runs, made once: MLflow takes seconds to migrate a new one through its whole past."""
    from drnbench.tracking.quiet import SILENCE, connect, settings

    with tempfile.TemporaryDirectory() as folder, settings(**SILENCE):
        connect(f"sqlite:///{folder}/mlflow.db").search_experiments()
        return (Path(folder) / "mlflow.db").read_bytes()


def status(state: str = "done", started: float = T0, seconds: float = 10.0, **fields: Any) -> Status:
    finished = None if state == "running" else started + seconds
    return Status(state, started=started, finished=finished, **fields)


class StoredStudy:
    """The study `unpaired` in a store: ρ on two arms and two seeds that share a pretraining, and bicubic.

    Attributes:
        plan: plan.json as plain data, which a test may change before it calls `write_plan`.
        trials: those of the plan, as plain data.
        stages: those of the plan by key, as plain data.

    """

    def __init__(
        self,
        root: Path,
        rhos: tuple[float, ...] = (0.0, 0.5),
        seeds: int = 2,
        profile: str = "tiny",
        database: bool = True,
        **trial_fields: Any,
    ) -> None:
        if database and not (root / "mlflow.db").exists():
            root.mkdir(exist_ok=True)
            (root / "mlflow.db").write_bytes(empty_database())
        self.store, self.name = Store(root), "unpaired"
        self.location = Settings.of(self.name, profile).location
        study = Study(
            base=base(evaluate=[Evaluate("Set5", kernel=kernel) for kernel in KERNELS], **trial_fields),
            axes=[Axis("adapt.rho", rhos, label="ρ")], seeds=seeds, baseline={"adapt.rho": 0.0},
            # Profiles are other sizes, hence other keys.
            profiles={profile: {"pretrain.steps": 40 + len(profile), "seeds": seeds}},
        )  # fmt: skip
        planned = plan_of(study, self.name, profile=profile)
        self._planned = {trial.unit.key: trial for trial in planned.trials}
        self.plan = planned.record().model_dump(mode="json")
        self.trials: list[dict[str, Any]] = self.plan["trials"]
        self.stages: dict[str, dict[str, Any]] = self.plan["stages"]
        self.write_plan()

    def write_plan(self) -> None:
        """Write plan.json as it is now."""
        write_json(self.store.study(self.location) / "plan.json", self.plan)

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

        def value(_: PlannedTrial, evaluation: Evaluation, image: int) -> float:
            psnr = evaluation.metric == "psnr_y"
            if perfect and psnr and image == 0 and evaluation.kernel == KERNELS[0]:
                return math.inf
            return (30.0 + image if psnr else 0.9) + gain

        planned = self._planned[trial["key"]]
        evaluations = [e.key for e in planned.unit.wanted]
        done = status(started=T0 + 20, seconds=5, evaluations=evaluations)
        folder = write_scores(self.store, planned, score_rows(planned, value, IMAGES), done)
        samples = folder / "samples" / "Set5" / "bicubic"
        samples.mkdir(parents=True, exist_ok=True)
        for n, kind in enumerate(("lr", "sr", "hr")):
            picture = Image.new("RGB", (48, 48), (80 * n, 120, 30 + 20 * trial["seed"]))
            picture.save(samples / f"baby_{kind}.png")

    def report(self, text: str = "\\begin{tabular}") -> None:
        """Write a table, a figure and the report."""
        folder = self.store.study(self.location)
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
    """Number of values of metrics that the study's trials have."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    children = [run for run in runs(uri, name) if run.data.tags["drnbench.kind"] == "trial"]
    return sum(len(client.get_metric_history(run.info.run_id, m)) for run in children for m in run.data.metrics)


def child(uri: str, label: str) -> Any:
    """The run of that name."""
    return next(run for run in runs(uri) if run.info.run_name == label)
