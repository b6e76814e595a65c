"""Images are made before the units that read them, and batches do not depend on how pixels are kept."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from drnbench import Data, Evaluate, Stage, Trial
from drnbench.data import build
from drnbench.data.images import read_rgb
from drnbench.degradations.kernel import Kernel
from drnbench.errors import UsageError
from drnbench.planning.keys import Keys
from drnbench.store import Store
from drnbench.training.feed import Feed
from drnbench.training.prepare import check_trials_fit, pending_summary, prepare
from tests.helpers import STORE_ONLY, call, same, scores, weights

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    home = tmp_path_factory.mktemp("sources")
    rng = np.random.default_rng(7)
    for name, count in {"train": 5, "other": 4, "test": 2}.items():
        (home / name).mkdir()
        for i in range(count):
            pixels = rng.integers(0, 256, (41 + 3 * i, 50 - i, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(home / name / f"{i}.png")
    return home


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


@pytest.fixture
def large(monkeypatch):
    monkeypatch.setenv("DRNBENCH_PACK_MB", "0")


@pytest.fixture
def work(monkeypatch):
    """Return the list of decoded files and degrading kernels, in order."""
    done, degrade = [], Kernel.degrade

    def decoding(path):
        done.append(path)
        return read_rgb(path)

    def degrading(kernel, *args):
        done.append(kernel)
        return degrade(kernel, *args)

    monkeypatch.setattr(build, "read_rgb", decoding)
    monkeypatch.setattr(Kernel, "degrade", degrading)
    return done


def trial(sources, scheme="unpaired", kernel="bd:noise=3", **fields):
    data = {
        "data": Data(str(sources / "train"), crop=36),
        "unpaired": Data(str(sources / "other"), kernel=kernel, count=3),
    }
    stage = Stage("only", scheme=scheme, batch=4, patch=32, steps=6, validations=2, **data, **fields)
    sizes = {"n_blocks": 1, "n_feats": 2}
    test = Evaluate(str(sources / "test"), kernel="bicubic")
    method = {"method": "cyclegan"} if scheme == "cyclegan" else {"model": sizes}
    return Trial(scale=4, stages=[stage], evaluate=[test], **method)


def units(store, planned):
    keys = Keys(store.cache)
    stages = keys.stages(planned, "test")
    return [*stages, keys.evaluation(planned, stages, "test")]


def everything(unit, store):
    """All that a stage reads, as plain data."""
    feed = Feed(unit, store.cache, CPU)
    batches = [feed.batch(step) for step in range(unit.stage.steps)]
    held = {k: {f: [img.tolist() for img in stack] for f, stack in p.items()} for k, p in feed.heldout().items()}
    return [{"lr": b.lr, "hr": b.hr, "n": b.n_pairs, "pyramid": b.pyramid} for b in batches], held


MIXES = [
    {"rho": 0.5},
    {"rho": 0.5, "kernel": "real"},
    {"rho": 0.0, "augment": False},
    {"scheme": "cyclegan"},
    {"scheme": "paired", "holdout": 0},
]


@pytest.mark.parametrize("fields", MIXES, ids=lambda f: " ".join(map(str, f.values())))
def test_batches_are_the_same_with_and_without_files(sources, tmp_path, monkeypatch, fields):
    batches = {}
    for limit in ("0", "1e6"):
        monkeypatch.setenv("DRNBENCH_PACK_MB", limit)
        store = Store(tmp_path / limit)
        stage, evaluation = units(store, trial(sources, **fields))
        batches[limit] = (stage.key, evaluation.key, *everything(stage, store))
        assert (store.cache / "pixels").exists() == (limit == "0")
    assert same(batches["0"], batches["1e6"])


@pytest.mark.parametrize("fields", MIXES, ids=lambda f: " ".join(map(str, f.values())))
def test_prepare_makes_exactly_the_files_that_units_read(sources, store, large, work, fields):
    given = units(store, trial(sources, **fields))
    assert pending_summary(given, store.cache)
    prepare(given, store.cache)
    assert pending_summary(given, store.cache) is None
    made = {file: file.stat().st_mtime_ns for file in store.cache.rglob("*.npy")}
    work.clear()
    everything(given[0], store)
    assert not work
    assert {file: file.stat().st_mtime_ns for file in store.cache.rglob("*.npy")} == made
    # The stage by itself makes the same files, and the scores the rest.
    shutil.rmtree(store.cache / "lr", ignore_errors=True)
    everything(given[0], store)
    prepare(given[1:], store.cache)
    assert {file.name for file in store.cache.rglob("*.npy")} == {file.name for file in made}


def test_small_sources_are_left_to_the_workers(sources, store, work, capsys):
    given = units(store, trial(sources))
    work.clear()
    prepare(given, store.cache)
    assert pending_summary(given, store.cache) is None
    assert not work
    assert not (store.cache / "lr").exists()
    assert capsys.readouterr().err == ""


def test_the_size_of_missing_files_is_printed_first(sources, store, large, capsys):
    given = units(store, trial(sources, rho=0.5))
    capsys.readouterr()
    pending = pending_summary(given, store.cache)
    prepare(given, store.cache)
    assert capsys.readouterr().err == f"images of this run: {pending}\n"
    # 4 pairs at two factors, 1 held out with two kernels, 3 unpaired, 2 for the test.
    assert pending.startswith("15 images, ")
    next((store.cache / "lr").rglob("*.npy")).unlink()
    assert pending_summary(given, store.cache).startswith("1 image, ")


def room(monkeypatch, free):
    usage = type(shutil.disk_usage("/"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(2 * free, free, free))


def test_too_little_free_space_is_refused_before_any_image_is_decoded(sources, store, large, work, monkeypatch):
    planned = trial(sources, rho=0.5)
    # 11 decoded images of 2 blocks and 15 LR images of 1, of 4096 bytes each: 151552.
    room(monkeypatch, 151_551)
    with pytest.raises(UsageError, match=r"images of this run: 26 images would take .* make room"):
        check_trials_fit([planned, planned], store.cache)
    assert not work
    given = units(store, planned)
    check_trials_fit([planned], store.cache)  # all are known now: what follows knows exactly
    room(monkeypatch, 61_439)
    with pytest.raises(UsageError, match="images of this run: 15 images would take"):
        prepare(given, store.cache)
    assert not (store.cache / "lr").exists()
    room(monkeypatch, 61_440)
    prepare(given, store.cache)
    room(monkeypatch, 0)  # what is there needs none, also after the files of the source were copied anew
    for file in sources.rglob("*.png"):
        os.utime(file, ns=(1, 1))
    check_trials_fit([planned], store.cache)
    prepare(given, store.cache)


def test_faults_of_a_trial_are_left_to_the_plan(sources, store, large, tmp_path):
    for wrong in (
        trial(sources / "nowhere"),
        trial(sources).model_copy(update={"method": "drn-z"}),
        trial(sources, scheme="un-paired"),
        trial(sources, kernel="bi-cubic"),
    ):
        check_trials_fit([wrong], store.cache)


STUDY = '''"""Does it matter how pixels are kept?"""

from drnbench import Axis, Data, Evaluate, Stage, Study, Table, Trial

stage = Stage("adapt", scheme="unpaired", rho=0.5, data=Data("photos/train", crop=96), steps=2, batch=2, patch=32,
              unpaired=Data("photos/unpaired", kernel="bd", crop=96))
study = Study(
    base=Trial(model={"n_blocks": 1, "n_feats": 2}, scale=2, stages=[stage], evaluate=[Evaluate("photos/test", crop=48)]),
    axes=[Axis("adapt.rho", [0.5])], seeds=1, baseline={"adapt.rho": 0.5}, outputs=[Table(rows="adapt.rho")],
)
'''


@pytest.mark.real
def test_a_study_has_the_same_numbers_with_and_without_files(tmp_path):
    study, runs = tmp_path / "kept.py", []
    study.write_text(STUDY, encoding="utf-8")
    for limit in ("512", "0"):
        results, large = tmp_path / limit, limit == "0"
        args = (study, "--results", results)
        if large:
            plan = call("plan", *args, DRNBENCH_PACK_MB=limit)
            assert "made first by `run`: " in plan.stdout, plan.stderr
        run = call("run", *args, *STORE_ONLY, DRNBENCH_PACK_MB=limit)
        assert run.returncode == 0, run.stderr
        assert ("images of this run" in run.stderr) is large
        runs.append((weights(results), scores(results)))
    assert same(runs[0][0], runs[1][0])
    pd.testing.assert_frame_equal(runs[0][1], runs[1][1], check_exact=True)
