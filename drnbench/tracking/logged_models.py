"""Trained networks as MLflow's logged models, on request: with their signature, loaded by `mlflow.pyfunc` and `mlflow.pytorch`."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drnbench.models import models, on_demand
from drnbench.store import Store, read_json
from drnbench.store.environment import version
from drnbench.store.unit_files import CHECKPOINT
from drnbench.tracking.reading import TrialView
from drnbench.tracking.runs import Run

if TYPE_CHECKING:
    from torch import nn

SUBJECT = "model"


def log_model(store: Store, experiment: str, run: Run, view: TrialView) -> None:
    """Log the network of a trial that is done as `<model>_x<scale>`, once; nothing where it trains none or weights are gone.

    Args:
        store: of the study.
        experiment: id of its experiment.
        run: of the trial.
        view: of the trial.

    """
    if view.state != "done" or not view.plan.stages:
        return
    key = view.plan.stages[-1]
    folder = store.stage(key)
    unit = read_json(folder / "unit.json")
    if unit is None or not (folder / CHECKPOINT).is_file() or run.mirrored.get(SUBJECT) == key:
        return
    from mlflow.entities import LoggedModelOutput

    network = models.get(unit["model"]).make(unit["scale"], **unit["options"])
    network.load_state_dict(on_demand.weights.read_safely(folder / CHECKPOINT)["model"])
    name = f"{unit['model']}_x{unit['scale']}"
    tags = {"drnbench.key": key, "drnbench.arm": view.plan.arm}
    logged = run.client.create_logged_model(experiment, name, run.id, tags, model_type="super-resolution")
    # Importing and writing, MLflow warns of its own type hints.
    with tempfile.TemporaryDirectory() as temporary, warnings.catch_warnings(action="ignore"):
        _save(network.eval(), Path(temporary) / "model")
        run.client.log_model_artifacts(logged.model_id, str(Path(temporary) / "model"))
    run.client.finalize_logged_model(logged.model_id, "READY")
    run.client.log_outputs(run.id, [LoggedModelOutput(logged.model_id, step=0)])
    run.remember(**{SUBJECT: key})


def _save(network: nn.Module, path: Path) -> None:
    """Write a network in MLflow's format; it takes and gives N x 3 x H x W float32 RGB in 0..255."""
    import mlflow.pytorch
    import numpy as np
    import torch
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    class SuperResolution(torch.nn.Module):
        """The last of a network's outputs: SR alone."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, lr: Any) -> Any:
            return self.network(lr)[-1].clamp(0, 255)

    images = Schema([TensorSpec(np.dtype("float32"), (-1, 3, -1, -1))])
    requirements = [f"{name}=={version(name)}" for name in ("drnbench", "torch", "numpy")]
    mlflow.pytorch.save_model(
        SuperResolution().eval(), str(path), signature=ModelSignature(images, images), pip_requirements=requirements,
        serialization_format="pickle",
    )  # fmt: skip
