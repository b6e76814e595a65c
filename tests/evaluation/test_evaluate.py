"""The verb `evaluate` and the evaluator behind it."""

import json

import numpy as np
import pytest
import torch

from drnbench import models
from drnbench.cli import main
from drnbench.evaluation.evaluator import most_detailed_window

TABLE = {  # reference values of bicubic down and up, Y not rounded
    ("Set5", 2): (33.6734, 0.9303), ("Set5", 4): (28.4290, 0.8111), ("Set5", 8): (24.3972, 0.6581),
    ("Set14", 2): (30.3246, 0.8699), ("Set14", 4): (26.0884, 0.7048), ("Set14", 8): (23.1835, 0.5666),
    ("B100", 4): (25.9613, 0.6681), ("B100", 8): (23.6673, 0.5443),
}  # fmt: skip


def evaluate(tmp_path, *args):
    out = tmp_path / "scores.json"
    assert main(["evaluate", *map(str, args), "--json", str(out), "--device", "cpu"]) == 0
    return json.loads(out.read_text())


@pytest.mark.fast_variants(2)
@pytest.mark.parametrize(
    ("name", "scale"), [pytest.param(*k, marks=pytest.mark.real if k[0] == "B100" else ()) for k in TABLE]
)
def test_the_numbers_to_hit(shared_data, monkeypatch, tmp_path, name, scale):
    monkeypatch.setenv("DRNBENCH_DATA", str(shared_data))
    record = evaluate(tmp_path, "bicubic", "--scale", scale, "--data", name)
    psnr, ssim = TABLE[name, scale]
    assert record["mean"]["psnr_y"] == pytest.approx(psnr, abs=1e-3)
    assert record["mean"]["ssim_y"] == pytest.approx(ssim, abs=1e-4)


def test_the_json_has_its_promised_shape(tmp_path, capsys):
    record = evaluate(tmp_path, "bicubic", "--scale", 4, "--data", "photos/test", "--metrics", "psnr_y", "--y-round")
    assert (record["model"], record["scale"], record["kernel"]) == ("bicubic", 4, "bicubic")
    assert record["protocol"]["y_round"] is True
    assert [row["image"] for row in record["images"]] == ["astronaut", "camera", "chelsea", "coffee", "rocket"]
    assert record["mean"]["psnr_y"] == pytest.approx(np.mean([row["psnr_y"] for row in record["images"]]))
    out = capsys.readouterr().out
    assert "PSNR-Y" in out
    assert "rounded" in out


@pytest.mark.real
def test_weights_are_loaded_and_used(tmp_path):
    torch.manual_seed(0)
    net = models.create("drn", 4, n_blocks=1, n_feats=2)
    torch.save(net.state_dict(), tmp_path / "w.pt")
    args = (
        "drn",
        "--scale",
        4,
        "--data",
        "photos/unpaired",
        "--set",
        "n_blocks=1",
        "--set",
        "n_feats=2",
        "--weights",
        tmp_path / "w.pt",
    )
    plain = evaluate(tmp_path, *args)
    torch.save({"model": net.state_dict(), "step": 3}, tmp_path / "w.pt")
    checkpoint = evaluate(tmp_path, *args)
    assert checkpoint["images"] == plain["images"]
    assert checkpoint["weights_sha256"] != plain["weights_sha256"], "another file, the same weights"
    assert plain["mean"]["psnr_y"] < 30


def test_the_crop_is_where_hr_varies_most():
    hr = np.full((128, 160, 3), 100, np.uint8)
    hr[64:, 96:] = np.random.default_rng(0).integers(0, 256, (64, 64, 3))
    row, column = most_detailed_window(hr, 4, 48)
    assert row >= 60
    assert column >= 90
    assert row % 4 == column % 4 == 0
