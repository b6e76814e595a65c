"""The verb `reproduce`: the same again bit for bit, what differs where it is not, and what makes it impossible."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from drnbench.cli import main
from drnbench.models.weights import save_checkpoint
from drnbench.session.reproduction import compare_scores, compare_weights, differences, reasons
from drnbench.store import Status, Store, read_json, write_json, write_rows
from tests.fake_store import finish
from tests.helpers import call, write_study


def state(value=1.0):
    return {
        "model": {"a": torch.full((2, 3), value), "b": torch.tensor([0.0, float("nan")])},
        "extra": {"dual": {"c": torch.ones(2)}},
    }


def saved(path, content):
    torch.save(content, path)
    return path


def test_weights_tensor_by_tensor(tmp_path):
    saved_state = saved(tmp_path / "a.pt", state())
    same = compare_weights("w", saved_state, saved(tmp_path / "b.pt", {**state(), "step": 9}))
    assert same.identical
    assert same.count == 3
    changed = state()
    changed["model"]["a"][1, 2] += 0.25
    changed["extra"]["dual"]["c"][0] += 0.5
    comparison = compare_weights("w", saved_state, saved(tmp_path / "c.pt", changed))
    assert not comparison.identical
    assert (comparison.different, comparison.largest, comparison.where) == (2, 0.5, "extra.dual.c")


def test_bits_count_and_not_values(tmp_path):
    other = state()
    other["model"]["b"][0] = -0.0
    comparison = compare_weights("w", saved(tmp_path / "a.pt", state()), saved(tmp_path / "b.pt", other))
    assert comparison.different == 1


def test_other_networks_and_lost_checkpoints(tmp_path):
    saved_state = saved(tmp_path / "a.pt", state())
    other = state()
    other["model"]["a"] = torch.ones(3, 3)
    del other["model"]["b"]
    comparison = compare_weights("w", saved_state, saved(tmp_path / "b.pt", other))
    assert (comparison.different, comparison.largest) == (2, None)
    lost = compare_weights("w", tmp_path / "none.pt", saved_state)
    assert not lost.identical
    assert "cleaned away" in str(lost)


def rows(path, values, images=None):
    images = images or [f"img{n}" for n in range(len(values))]
    made = {
        "evaluation": "e1",
        "image": images,
        "metric": "psnr_y",
        "kernel": "bd",
        "value": np.array(values, dtype="float64"),
    }
    frame = pd.DataFrame(made)
    other = frame.assign(evaluation="not asked", value=0.0)
    pd.concat([frame, other]).to_parquet(path, index=False)
    return path


@pytest.mark.parametrize(
    ("old", "new", "different", "largest"),
    [
        ([1.0, float("inf"), float("nan")], [1.0, float("inf"), float("nan")], 0, None),
        ([1.0, 2.0, 3.0], [1.0, 2.5, 3.25], 2, 0.5),
        ([1.0, float("inf")], [1.0, 40.0], 1, float("inf")),
    ],
)
def test_scores_row_by_row(tmp_path, old, new, different, largest):
    comparison = compare_scores("scores", rows(tmp_path / "a.parquet", old), rows(tmp_path / "b.parquet", new), {"e1"})
    assert (comparison.count, comparison.different, comparison.largest) == (len(old), different, largest)
    assert comparison.identical is (different == 0)


def test_two_images_of_one_name_and_other_images(tmp_path):
    a = rows(tmp_path / "a.parquet", [1.0, 2.0], ["x", "x"])
    assert compare_scores("s", a, rows(tmp_path / "b.parquet", [1.0, 2.0], ["x", "x"]), {"e1"}).identical
    comparison = compare_scores("s", a, rows(tmp_path / "c.parquet", [1.0, 2.0], ["x", "y"]), {"e1"})
    assert "other images than before" in str(comparison)


def test_what_made_identity_unlikely():
    record = {
        "versions": {"torch": "1", "mlflow": "1"},
        "signature": {"threads": 1, "deterministic": True},
        "code": "a",
        "git": {"commit": "x"},
    }
    assert differences(record, record) == {}
    assert reasons(record, record) == []
    other = {**record, "versions": {"torch": "1", "mlflow": "2"}, "git": {"commit": "y"}}
    assert differences(record, other) == {"versions": "mlflow 1 -> 2", "git": "commit x -> y"}
    assert reasons(record, other) == []
    other = {
        **record,
        "versions": {"torch": "2", "mlflow": "1"},
        "signature": {"threads": 2, "deterministic": True},
        "code": "b",
    }
    assert reasons(record, other) == ["signature", "code", "version of torch"]
    loose = {**record, "signature": {"threads": 1, "deterministic": False}}
    assert reasons(loose, loose) == ["algorithms that are not deterministic"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A study on a folder of images of its own, filled without training."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "images").mkdir()
    for n in range(3):
        pixels = np.random.default_rng(n).integers(0, 255, (96, 96, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"p{n}.png")
    study = write_study(folder, rhos=(0.0,))
    text = study.read_text(encoding="utf-8").replace("photos/test", str(folder / "images"))
    study.write_text(text, encoding="utf-8")
    _, plan = finish(study, folder / "r")
    return folder, plan


@pytest.fixture
def refused(pictures, tmp_path, capsys):
    """Change a copy of the store; `reproduce` then refuses in one line."""
    shutil.copytree(pictures[0] / "r", tmp_path / "r")
    store = Store(tmp_path / "r")

    def call_it(key, *more):
        before = sorted(p for p in store.root.rglob("*") if "cache" not in p.parts)
        assert main(["reproduce", key, "--results", str(store.root), *more]) == 2
        line = capsys.readouterr().err
        assert line.startswith("drnbench: ")
        assert line.count("\n") == 1
        assert sorted(p for p in store.root.rglob("*") if "cache" not in p.parts) == before
        return line

    return store, call_it


def trained(plan):
    return next(t for t in plan.trials if t.stages)


def test_what_cannot_be_done(refused, pictures, tmp_path):
    store, no = refused
    trial = trained(pictures[1])
    last = trial.stages[-1]
    assert "no stage and no trial" in no("0000")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    assert "give a new folder" in no(last, "--keep", str(tmp_path / "full"))
    (store.stage(last) / "checkpoint.pt").unlink()
    assert "its checkpoint was cleaned away" in no(last)
    store.write_status(store.stage(last), Status("failed", kind="oom"))
    assert "cannot be reproduced: it is failed" in no(last)
    (store.stage(last) / "unit.json").unlink()
    assert "nothing tells what the stage is" in no(trial.unit.key)
    (store.trial(trial.unit.key) / "trial.json").unlink()
    assert "has no trial.json" in no(trial.unit.key)


def test_a_trial_without_scores(refused, pictures):
    store, no = refused
    trial = trained(pictures[1])
    store.write_status(store.trial(trial.unit.key), Status("interrupted"))
    assert "it is interrupted" in no(trial.unit.key)


def test_data_that_are_gone_or_changed(refused, pictures):
    _, no = refused
    folder, plan = pictures
    trial = trained(plan)
    image = folder / "images" / "p1.png"
    content = image.read_bytes()
    Image.fromarray(np.zeros((96, 96, 3), dtype=np.uint8)).save(image)
    assert f"the images of {folder / 'images'} have changed since" in no(trial.unit.key)
    image.write_bytes(content)
    (folder / "images").rename(folder / "elsewhere")
    assert str(folder / "images") in no(trial.unit.key)
    (folder / "elsewhere").rename(folder / "images")


@pytest.mark.real
def test_the_same_again_and_not_the_same(tmp_path):
    study, results = write_study(tmp_path, rhos=(0.0,), steps=4), tmp_path / "r"
    done = call("run", study, "--results", results, "--tracking-uri", "off")
    assert done.returncode == 0, done.stderr
    plan = read_json(results / "mini" / "quick" / "plan.json")
    trial = next(t for t in plan["trials"] if t["stages"])

    def here():
        return {p.relative_to(results): p.stat().st_mtime_ns for p in results.rglob("*") if "cache" not in p.parts}

    before = here()
    again = call("reproduce", trial["key"][:8], "--results", results)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "IDENTICAL bit for bit\n" in again.stdout
    assert "bit-identity was to be expected" in again.stdout
    assert "scores: identical (20 rows)" in again.stdout
    assert again.stdout.count("identical (") == 3
    assert here() == before

    # Weights and scores that another machine would have made.
    last = results / "stages" / trial["stages"][-1]
    content = torch.load(last / "checkpoint.pt", weights_only=True)
    name = min(content["model"])
    content["model"][name].view(-1)[0] += 0.5
    save_checkpoint(last / "checkpoint.pt", {key: value for key, value in content.items() if key != "crc32"})
    record = json.loads((last / "stage.json").read_text())
    record["signature"]["threads"] = 9
    write_json(last / "stage.json", record)
    path = results / "trials" / trial["key"] / "per_image.parquet"
    frame = pd.read_parquet(path)
    frame.loc[3, "value"] += 0.25
    write_rows(path, frame)
    for folder in (last, path.parent):
        Store(results).finish(folder, Store(results).status(folder))
    kept = tmp_path / "kept"
    other = call("reproduce", trial["key"], "--results", results, "--keep", kept)
    assert other.returncode == 1, other.stderr
    assert "NOT identical" in other.stdout
    assert "signature differ: threads 9 -> 1" in other.stdout
    assert "bit-identity was not to be expected: other signature" in other.stdout
    assert f"1 differ; largest difference 0.5 in model.{name}" in other.stdout
    assert "scores: 1 differ; largest difference 0.25" in other.stdout
    assert (kept / "stages" / last.name / "checkpoint.pt").exists()
    assert not (kept / "cache").exists()

    # A stage alone; the cleaned checkpoint of the one before is no hindrance.
    first = results / "stages" / trial["stages"][0]
    (first / "checkpoint.pt").unlink()
    stage = call("reproduce", last.name, "--results", results)
    assert stage.returncode == 1
    assert "its checkpoint was cleaned away" in stage.stdout
    assert "scores" not in stage.stdout
