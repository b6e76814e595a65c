"""`bench` measures real work; the sizes and times here are small, and no speed is asserted."""

import json

import pytest

from drnbench.cli import main
from drnbench.session import bench


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(bench, "SECONDS", 0.01)
    monkeypatch.setattr(bench, "XGA", (64, 96))
    monkeypatch.setattr(bench, "DIV2K", (96, 64))
    for name, count in (("PLANNED", 20), ("SWEPT", 1), ("STEPS", 3)):
        monkeypatch.setattr(bench, name, count)


@pytest.mark.parametrize(
    ("part", "unit"),
    [
        ("score", "images/s"),
        ("degrade", "images/s"),
        pytest.param("train", "steps/s", marks=pytest.mark.real),
        pytest.param("sweep", "s", marks=pytest.mark.real),
    ],
)
def test_every_part_is_measured(part, unit, tmp_path):
    out = tmp_path / "bench.json"
    assert main(["bench", "--only", part, "--device", "cpu", "--json", str(out)]) == 0
    record = json.loads(out.read_text())
    assert record["speeds"]
    for speed in record["speeds"]:
        assert speed["what"].startswith(part)
        assert speed["rate"] > 0
        assert speed["unit"] == unit
    assert record["torch"]


def test_an_unknown_part_is_refused(capsys):
    assert main(["bench", "--only", "scoring"]) == 2
    assert "did you mean 'score'" in capsys.readouterr().err
