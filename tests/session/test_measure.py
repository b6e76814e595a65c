"""The verb `measure`: latency and memory beside the scores, in tables, figures, macros and MLflow, never among results."""

import csv

import pytest
import torch
from torch import nn

from drnbench import Table, Tradeoff
from drnbench.cli import main
from drnbench.outputs import report
from drnbench.results.costs import MEASUREMENT
from drnbench.results.plan_record import read_plan
from drnbench.session.measure import Conditions, measured_network
from drnbench.store import Store, read_json, write_json
from drnbench.tracking import reading
from tests.fake_store import fill, plan_of
from tests.outputs.shapes import adapt_study

CONDITIONS = Conditions("cpu", 2, (8, 12), "fp32", 1)


def test_a_record_says_what_was_measured_and_on_what():
    threads = torch.get_num_threads()
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 3, 3, padding=1))
    record = measured_network(network, CONDITIONS, lambda: 3)
    assert record["latency_ms"] > 0
    assert record["quartiles_ms"][0] <= record["latency_ms"] <= record["quartiles_ms"][1]
    assert record["activations"] == (4 + 3) * 8 * 12  # of one image, whatever the batch
    assert (record["batch"], record["lr_size"], record["precision"], record["threads"]) == (2, (8, 12), "fp32", 1)
    assert record["running_units"] == 3
    assert {"hardware", "torch", "date", "busy_cores", "passes", "warm_up"} <= record.keys()
    assert torch.get_num_threads() == threads


class Chain(nn.Module):
    """Layers whose outputs the next one replaces, or all of which are kept."""

    def __init__(self, keep):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(3, 3, 1, bias=False) for _ in range(6))
        self.keep = keep

    def forward(self, x):
        outputs = [x]
        for layer in self.layers:
            outputs = [*(outputs if self.keep else []), layer(outputs[-1])]
        return tuple(outputs)


@pytest.mark.parametrize(("keep", "images"), [(False, 2), (True, 6)])
def test_peak_memory_is_that_of_the_tensors_alive_at_once(keep, images):
    record = measured_network(Chain(keep), Conditions("cpu", 1, (64, 64), "fp32", 1), lambda: 0)
    weights, image = 6 * 9 * 4, 3 * 64 * 64 * 4
    assert record["memory_mib"] * 2**20 == weights + images * image


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "r")
    study = adapt_study(
        outputs=[Table(rows="training", costs=("activations", "latency", "memory")), Tradeoff(x="latency")]
    )
    fill(store, plan_of(study, "a"), lambda arm, kernel: 0.0, costs=True)
    return store


def put(store, arms, **fields):
    record = {
        "latency_ms": 12.5, "memory_mib": 34.0, "activations": 5_000_000, "batch": 1, "lr_size": [96, 96],
        "precision": "fp32", "threads": 2, "device": "cpu", "hardware": "Example CPU", "torch": "2.14.1",
        "date": "2026-11-26T09:00:00+00:00", "running_units": 0, "busy_cores": 0.1, **fields,
    }  # fmt: skip
    for trial in read_plan(store, "a").trials:
        if arms(trial.arm):
            write_json(store.trial(trial.key) / MEASUREMENT, record)


def rows(store):
    with (store.study("a/quick") / "costs.csv").open() as file:
        return {row["arm"]: row for row in csv.DictReader(file)}


def test_without_a_measurement_nothing_is_shown_but_that(store):
    report.write(store, "a")
    assert "latency" not in next(iter(rows(store).values()))
    assert "not measured yet" in (store.study("a/quick") / "table_training.md").read_text()
    assert not list(store.study("a/quick").glob("*against_latency*"))


@pytest.mark.real
def test_a_report_shows_it_with_its_conditions_in_table_figure_and_macros(store):
    put(store, lambda arm: arm != "bicubic", running_units=2)
    names = {path.name for path in report.write(store, "a").files}
    row = rows(store)["adapted, bd"]
    assert (float(row["latency"]), float(row["memory"]), int(row["activations"])) == (12.5, 34.0, 5_000_000)
    text = (store.study("a/quick") / "table_training.md").read_text()
    for words in ("Latency (ms)", "Memory (MiB)", "Acts (M)", "batch 1", "96×96 pixels", "fp32", "Example CPU (2 threads)",
                  "torch 2.14.1", "2026-11-26", "beside 2 running units", "12.5", "5.00"):  # fmt: skip
        assert words in text
    assert "figure_psnr_y_against_latency.pdf" in names
    assert r"\drnLatencyAdaptedBd}{\ensuremath{12.5}}" in (store.study("a/quick") / "macros.tex").read_text()


@pytest.mark.real
def test_latencies_of_other_conditions_are_not_compared(store):
    put(store, lambda arm: arm.startswith("adapted"))
    put(store, lambda arm: not arm.startswith("adapted"), hardware="Old CPU", date="2025-01-01T00:00:00+00:00")
    report.write(store, "a")
    latencies = {arm: row["latency"] for arm, row in rows(store).items()}
    assert latencies["adapted, bd"] == "12.5"
    assert set(latencies.values()) == {"12.5", ""}
    text = (store.study("a/quick") / "table_training.md").read_text()
    assert "Dashes: not measured there." in text
    assert "Old CPU" not in text


def test_no_mirror_and_no_other_file_of_a_result_depends_on_it_but_metrics_show_it(store):
    plan = read_plan(store, "a")
    view = next(view for view in reading.trials(store, plan) if view.plan.stages)
    before, stamp = {point.name for point in reading.costs(view)}, reading.stamp(view)
    files = {path: path.read_bytes() for path in store.trial(view.plan.key).iterdir() if path.is_file()}
    put(store, lambda arm: True)
    after = {point.name: point.value for point in reading.costs(view)}
    assert before == {"cost/parameters", "cost/macs", "cost/training_seconds"}
    assert after["cost/latency_ms"] == 12.5
    assert after["cost/memory_mib"] == 34.0
    assert reading.stamp(view) != stamp
    assert all(path.read_bytes() == content for path, content in files.items())


def test_the_verb_measures_each_network_once_and_says_when_nothing_is_scored(store, tmp_path, capsys):
    for trial in read_plan(store, "a").trials:
        config = {"method": "edsr", "scale": 2, "model": {"n_blocks": 1, "n_feats": 2}}
        write_json(store.trial(trial.key) / "trial.json", {"stages": [], "config": config})
    arguments = ["measure", "a.py", "--results", str(store.root), "--lr-size", "8x12", "--device", "cpu"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "edsr x2 (n_blocks = 1, n_feats = 2" in out
    records = {read_json(store.trial(t.key) / MEASUREMENT)["latency_ms"] for t in read_plan(store, "a").trials}
    assert len(records) == 1
    assert main([*arguments[:5], "8"]) == 2
    assert "give height and width" in capsys.readouterr().err
    for trial in read_plan(store, "a").trials:
        (store.trial(trial.key) / "scores.json").unlink(missing_ok=True)
    assert main(arguments) == 2
    assert "has no scored trial" in capsys.readouterr().err
