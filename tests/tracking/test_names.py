from __future__ import annotations

import hashlib

import pytest

from drnbench.config.trial import Data, Evaluate, Stage, Trial
from drnbench.config.units import Evaluation
from drnbench.store import Store
from drnbench.tracking import names, record
from drnbench.tracking.quiet import SILENCE, connect, settings


def mlflow_takes(name: str) -> bool:
    from mlflow.utils.validation import _validate_metric_name

    _validate_metric_name(name)
    return True


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("psnr_y/Set5/bicubic", "psnr_y/Set5/bicubic"),
        ("psnr_y/Set5/bd:sigma=2.0", "psnr_y/Set5/bd:sigma_2.0"),
        ("ssim_y/a[1]/file:k.mat", "ssim_y/a_1_/file:k.mat"),
        ("/abs//twice/../up/", "abs/twice/up"),
        ("...", "_"),
        ("λ=0.1", "λ_0.1"),
    ],
)
def test_a_name_becomes_one_that_mlflow_takes(name: str, expected: str) -> None:
    assert names.safe(name) == expected
    assert mlflow_takes(expected)


def test_a_long_name_is_cut() -> None:
    assert mlflow_takes(names.safe("x" * 300 + "/y"))


def test_a_configuration_is_flattened_under_override_paths() -> None:
    stages = [
        Stage(name, data=Data("photos/train"), steps=40, rho=rho) for name, rho in (("pretrain", 0), ("adapt", 0.3))
    ]
    trial = Trial(model={"n_feats": 8}, stages=stages, evaluate=[Evaluate("Set5")], seed=1)
    config = trial.model_dump(mode="json")
    params = names.params(config, "ρ=0.3", {"adapt.rho": 0.3, "*.lam": 0.1})
    assert params["arm"] == "ρ=0.3"
    assert params["adapt.rho"] == "0.3"
    assert params["adapt.betas"] == "0.9, 0.999"
    assert params["adapt.data.kernel"] == "bicubic"
    assert params["model.n_feats"] == "8"
    assert params["all.lam"] == "0.1"
    assert not [name for name in params if name.startswith(("evaluate", "protocol", "stages"))]
    assert "adapt.unpaired" not in params
    assert all(mlflow_takes(name) for name in params)


def test_a_long_value_is_cut() -> None:
    assert len(names.params({"method": "m" * 900}, "a", {})["method"]) == names.PARAM_LENGTH


def wanted(**fields: object) -> dict[str, object]:
    key = hashlib.sha256(repr(fields).encode()).hexdigest()
    plain = {
        "source": "photos/test",
        "dataset": "photos",
        "images": "i",
        "kernel": "bd",
        "crop": None,
        "metric": "psnr_y",
    }
    return Evaluation(**{"key": key, **plain, **fields})


def test_evaluations_that_differ_keep_apart() -> None:
    evaluations = [
        wanted(),
        wanted(crop=64),
        wanted(crop=64, source="other"),
        wanted(kernel="a=1"),
        wanted(kernel="a_1"),
    ]
    metrics = list(names.scores(evaluations).values())
    assert metrics[:2] == ["psnr_y/photos whole/bd", "psnr_y/photos crop 64/bd"]
    assert len(set(metrics)) == len(evaluations)
    assert all(mlflow_takes(name) for name in metrics)
    assert [*names.datasets(evaluations).values()][:2] == ["photos whole", "photos crop 64"]
    places = {(e.metric, names.datasets(evaluations)[e.key], e.kernel) for e in evaluations}
    assert len(places) == len(evaluations)
    assert names.datasets(evaluations[-1:]) == {evaluations[-1].key: "photos"}


@pytest.mark.fast_variants(2)
@pytest.mark.parametrize("name", ["plain", "a b", "job_feature%2Fdual", "a?b#c", "100%", "ä&=;", "file:x"])
def test_a_store_in_any_folder_has_a_mirror_there_and_nowhere_else(tmp_path, name):
    store = Store(tmp_path / name)
    store.root.mkdir()
    uri = record.default_uri(store)
    assert record.database(uri) == store.root / "mlflow.db"
    with settings(**SILENCE):
        connect(uri).search_experiments()
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]
    assert (store.root / "mlflow.db").stat().st_size
