"""The verb `show`: what the store knows of one stage or trial."""

import json

import pandas as pd
import pytest

from drnbench.cli import main
from drnbench.store import Status
from tests.fake_store import finish
from tests.helpers import write_study


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("filled")
    more = {"versions": {"torch": "2.99"}, "signature": {"threads": 1}, "data": {"paired": "abc"}}

    def value(trial, evaluation, image):
        return float("inf") if image == 0 else 30.0 + image

    return finish(write_study(folder, seeds=2), folder / "r", score=value, **more)


@pytest.fixture
def show(filled, capsys):
    def call(key, *more, code=0):
        assert main(["show", key, "--results", str(filled[0].root), *more]) == code
        out, err = capsys.readouterr()
        return out if code == 0 else err

    return call


def trial_of(plan, arm="ρ=0.5", seed=0):
    return next(t for t in plan.trials if t.arm.name == arm and t.trial.seed == seed)


def rows(out):
    """Lines as lists of words, so that widths of columns do not matter."""
    return [line.split() for line in out.splitlines()]


def test_a_stage(filled, show):
    first, last = trial_of(filled[1]).stages
    out = show(last)
    assert out.startswith(f"stage {last}\n")
    lines = rows(out)
    assert any(row[:2] == ["state", "done,"] for row in lines)
    assert ["used", "by", "mini/quick:", "ρ=0.5,", "seed", "0"] in lines
    assert ["starts", "from", "stage", first[:12]] in lines
    assert ["stage.rho", "0.5"] in lines
    assert ["stage.unpaired.source", "photos/unpaired"] in lines
    assert ["versions.torch", "2.99"] in lines
    assert ["data.paired", "abc"] in lines
    assert "0.5 s a step" in out
    assert "peak memory 500 MiB" in out
    assert "12,345 MACs" in out
    assert "1,000 parameters" in out
    assert any(row[:1] == ["checkpoint.pt"] for row in lines)


def test_a_shared_stage_names_every_arm(filled, show):
    out = show(trial_of(filled[1]).stages[0])
    assert "mini/quick: ρ=0, seed 0" in out
    assert "mini/quick: true pairs, seed 0" in out
    assert "seed 1" not in out


def test_a_trial_with_its_scores(filled, show):
    trial = trial_of(filled[1])
    out = show(trial.unit.key[:10])
    lines = rows(out)
    assert ["psnr_y", "photos-test", "bd", "x2", "31.5000", "3", "1"] in lines
    assert ["adapt.rho", "0.5"] in lines
    assert ["evaluate.0.kernel", "bd"] in lines
    assert "training 0:03" in out
    assert ["samples/", "(1", "files)", "900", "B"] in lines
    assert "log, last 20 lines" in out
    assert "line 80\n" in out
    assert "line 79\n" not in out


def test_length_of_the_log(filled, show):
    key = trial_of(filled[1]).unit.key
    assert "log, last" not in show(key, "--log", "0")
    assert show(key, "--log", "2").endswith("log, last 2 lines\n  line 98\n  line 99\n")
    assert "log, last 100 lines" in show(key, "--log", "1000")


def test_json_has_all_of_it(filled, show):
    trial = trial_of(filled[1])
    report = json.loads(show(trial.unit.key, "--json"))
    assert (report["kind"], report["key"], report["state"]) == ("trial", trial.unit.key, "done")
    assert report["used_by"] == [{"study": "mini", "report": "mini/quick", "arm": "ρ=0.5", "seed": 0}]
    assert report["stages"] == dict.fromkeys(trial.stages, "done")
    assert report["configuration"]["seed"] == 0
    score = report["scores"][0]
    assert (score["mean"], score["images"], score["infinite"]) == (31.5, 3, 1)
    assert report["files"]["samples/img00_sr.png"] == 900
    assert len(report["log"]) == 20


def test_what_never_was_finite_has_no_mean(filled, show):
    store, plan = filled
    path = store.trial(trial_of(plan, seed=1).unit.key) / "per_image.parquet"
    pd.read_parquet(path).assign(value=float("inf")).to_parquet(path, index=False)
    report = json.loads(show(path.parent.name, "--json"))
    assert report["scores"][0]["mean"] is None
    assert ["psnr_y", "photos-test", "bd", "x2", "-", "3", "3"] in rows(show(path.parent.name))


def test_a_failure_and_a_bare_folder(filled, show):
    store, _ = filled
    store.write_status(store.stage("f" * 64), Status("failed", kind="diverged", message="the loss is not finite"))
    out = show("ffff")
    assert ["failure", "diverged:", "the", "loss", "is", "not", "finite"] in rows(out)
    assert ["used", "by", "no", "study", "that", "is", "planned", "in", "this", "store"] in rows(out)
    (store.trial("9" * 64)).mkdir()
    assert ["state", "missing"] in rows(show("9999"))


def test_wrong_keys_are_one_line(filled, show):
    store, _ = filled
    for end in ("1", "2"):
        (store.stage("abcdabcd" + end * 56)).mkdir(exist_ok=True)
    for key, words in (("abcdabcd", "begins 2 keys"), ("0000000000", "no stage and no trial"), ("abc", "is not a key")):
        line = show(key, code=2)
        assert words in line
        assert line.count("\n") == 1
