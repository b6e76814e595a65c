"""Options on devices that cannot be meant are refused before any work."""

import pytest

from drnbench.cli import main
from drnbench.errors import UsageError
from drnbench.session import evaluate_images
from drnbench.store import devices
from tests.helpers import write_study


def test_a_share_of_a_gpu_is_refused_on_a_machine_without_one(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(devices, "gpu_count", lambda: 0)
    study = write_study(tmp_path)
    for device in ("auto", "cpu"):
        assert main(["run", str(study), "--results", str(tmp_path / "r"), "--per-gpu", "2", "--device", device]) == 2
        assert "--per-gpu 2" in capsys.readouterr().err
    assert not (tmp_path / "r" / "stages").exists()


def test_units_share_the_gpus_that_are_there(monkeypatch):
    monkeypatch.setattr(devices, "gpu_count", lambda: 2)
    assert devices.pick_devices("auto", None, per_gpu=3) == (["cuda:0", "cuda:1"], 6)
    assert devices.pick_devices("cuda", None, gpus="1", per_gpu=2) == (["cuda:1"], 2)
    assert devices.pick_devices("cpu", 4) == (["cpu"], 4)


def test_several_processes_are_refused_where_a_gpu_scores(monkeypatch):
    monkeypatch.setattr(evaluate_images, "pick_devices", lambda device, jobs: (["cuda:0"], jobs))
    with pytest.raises(UsageError, match="--jobs 2: one process scores on a GPU"):
        evaluate_images.evaluate("bicubic", 4, "photos/test", jobs=2)
