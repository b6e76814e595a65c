from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from drnbench.models import models
from drnbench.planning import Plan
from drnbench.session.mirroring import update_mirror
from drnbench.store import Status, Store, write_json
from drnbench.tracking import Mirror
from tests.fake_store import base, fill, plan_of
from tests.outputs.conftest import rho_study
from tests.tracking.stores import empty_database, runs


@pytest.fixture
def trained(tmp_path: Path) -> tuple[Store, Plan]:
    """A trial with a small network, of weights as they are drawn."""
    (tmp_path / "mlflow.db").write_bytes(empty_database())
    store = Store(tmp_path)
    plan = plan_of(
        rho_study(
            base=base(model={"n_feats": 4, "n_blocks": 1}),
            axes=[],
            arms={"only": {}},
            baseline={},
            control=None,
            seeds=1,
            outputs=[],
        )
    )
    fill(store, plan, images=2)
    for key, stage in plan.stages.items():
        network = models.get(stage.unit.model).make(stage.unit.scale, **stage.unit.options)
        write_json(store.stage(key) / "unit.json", stage.unit.model_dump(mode="json"))
        torch.save({"model": network.state_dict(), "extra": {}}, store.stage(key) / "checkpoint.pt")
        store.write_status(store.stage(key), Status("done"))
    return store, plan


@pytest.mark.real
def test_a_network_is_a_model_of_its_run_with_a_signature(
    trained: tuple[Store, Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    store, plan = trained
    mirror = Mirror(store, log_models=True)
    update_mirror(store, "unpaired", None, log_models=True)  # what `run --log-models` ends with
    mirror.sync("unpaired")
    run = next(run for run in runs(mirror.uri) if run.info.run_name.startswith("only"))
    (output,) = run.outputs.model_outputs
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mirror.uri)
    model = mlflow.pyfunc.load_model(f"models:/{output.model_id}")
    lr = np.full((1, 3, 16, 16), 100, np.float32)
    assert model.predict(lr).shape == (1, 3, 64, 64)
    assert "float32" in str(model.metadata.signature)
    key = next(trial.stages[-1] for trial in plan.trials if trial.stages)
    assert mlflow.get_logged_model(output.model_id).tags["drnbench.key"] == key
