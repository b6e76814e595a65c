"""`bench` measures real work; the sizes and times here are small, and no speed is asserted."""

import json
from types import SimpleNamespace

import pytest

from drnbench.cli import main
from drnbench.session import bench, bench_steps, bench_sweep


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(bench, "SECONDS", 0.01)
    monkeypatch.setattr(bench, "XGA", (64, 96))
    monkeypatch.setattr(bench, "DIV2K", (96, 64))
    monkeypatch.setattr(bench_steps, "ROUNDS", 2)
    monkeypatch.setattr(bench_steps, "SECONDS", 0.01)
    monkeypatch.setattr(bench_steps, "MAPPED", 2)
    monkeypatch.setattr(bench_steps, "MAPPED_SIZE", (200, 210))
    monkeypatch.setattr(bench_steps, "STAND_IN_S", 0.001)
    for name, count in (("PLANNED", 20), ("SWEPT", 1), ("STEPS", 3)):
        monkeypatch.setattr(bench_sweep, name, count)


@pytest.mark.parametrize(
    ("part", "unit"),
    [
        ("score", "images/s"),
        ("degrade", "images/s"),
        ("feed", "patches/s %"),
        pytest.param("train", "steps/s", marks=pytest.mark.real),
        pytest.param("sweep", "s trials/min", marks=pytest.mark.real),
    ],
)
def test_every_part_is_measured(part, unit, tmp_path):
    out = tmp_path / "bench.json"
    assert main(["bench", "--only", part, "--device", "cpu", "--json", str(out)]) == 0
    record = json.loads(out.read_text())
    assert record["speeds"]
    for speed in record["speeds"]:
        assert speed["what"].startswith({"feed": "cut"}.get(part, part))
        assert speed["rate"] > 0
        assert speed["unit"] in unit.split()
    assert record["torch"]


@pytest.mark.real
def test_the_variants_of_a_step_are_measured_and_drawn(tmp_path, monkeypatch):
    """All but the compiled one, which takes a minute."""
    monkeypatch.setattr(bench_steps, "CPU", {k: v for k, v in bench_steps.CPU.items() if k != "compiled"})
    monkeypatch.setattr(bench_steps, "PEAK_SIDES", {"cpu": 8})
    out, figure = tmp_path / "bench.json", tmp_path / "bench.pdf"
    assert main(["bench", "--only", "step", "--device", "cpu", "--json", str(out), "--figure", str(figure)]) == 0
    plain, *_, recomputed = speeds = json.loads(out.read_text())["speeds"]
    assert all(speed["unit"] == "steps/s" and min(speed["ratio"], speed["peak"]) > 0 for speed in speeds)
    assert plain["what"].endswith(bench_steps.PLAIN)
    assert recomputed["what"].endswith("recomputed")
    assert recomputed["kept_mib"] < plain["kept_mib"]
    assert figure.read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("words", [["--only", "feed", "--figure", "x.png"], ["--only", "step", "--figure", "x.txt"]])
def test_a_figure_of_nothing_or_of_an_unknown_kind_is_refused(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["bench", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_rates_stand_beside_those_of_an_earlier_run(tmp_path, capsys):
    earlier = tmp_path / "earlier.json"
    assert main(["bench", "--only", "feed", "--json", str(earlier)]) == 0
    record = json.loads(earlier.read_text())
    for speed in record["speeds"]:
        speed["rate"] = 1e-9
    earlier.write_text(json.dumps(record))
    capsys.readouterr()
    assert main(["bench", "--only", "feed", "--compare", str(earlier)]) == 0
    assert capsys.readouterr().out.count("times the earlier") == len(record["speeds"])


def test_an_interrupted_run_keeps_what_it_measured(tmp_path, monkeypatch, capsys):
    out = tmp_path / "bench.json"

    def rates(folder):
        yield bench_steps.Feeding("cut patches", 2.0)
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "data_rates", rates)
    assert main(["bench", "--only", "feed", "--json", str(out), "--device", "cpu"]) == 130
    assert [speed["rate"] for speed in json.loads(out.read_text())["speeds"]] == [2.0]
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "[]", '{"speeds": [{"what": 1}]}'])
def test_a_file_that_bench_did_not_write_is_refused(tmp_path, capsys, content):
    (tmp_path / "x.json").write_text(content)
    assert main(["bench", "--only", "feed", "--compare", str(tmp_path / "x.json")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_sweep_whose_trials_fail_has_no_time(monkeypatch, capsys):
    failed = SimpleNamespace(run=lambda: SimpleNamespace(failed=["train, seed 0: killed"], interrupted=False))
    monkeypatch.setattr(bench_sweep, "Coordinator", lambda *_: failed)
    assert main(["bench", "--only", "sweep", "--device", "cpu"]) == 2
    assert "train, seed 0: killed" in capsys.readouterr().err


def test_a_sweep_that_is_stopped_has_no_time_of_what_was_cut_off(tmp_path, monkeypatch):
    out = tmp_path / "bench.json"
    stopped = SimpleNamespace(run=lambda: SimpleNamespace(failed=[], interrupted=True))
    monkeypatch.setattr(bench_sweep, "Coordinator", lambda *_: stopped)
    assert main(["bench", "--only", "sweep", "--device", "cpu", "--json", str(out)]) == 130
    assert ["plan" in speed["what"] for speed in json.loads(out.read_text())["speeds"]] == [True]


def test_an_unknown_part_is_refused(capsys):
    assert main(["bench", "--only", "scoring"]) == 2
    assert "did you mean 'score'" in capsys.readouterr().err
