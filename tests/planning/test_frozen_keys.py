"""Keys are what they were: a store that somebody trained under an earlier commit is still found, whole.

`tests/fixtures/keys.json` holds the keys of every study in every profile, over the sets of `tests/fixtures/make_sets.py`:
study -> profile -> rows of arm, seed, keys of stages, key of the trial, digest of the keys of its evaluations.

They were written when dual networks had 16 channels whatever the model. Since D follows the model (n_feats), a study finds
them with `dual_feats` = 16; those of networks with n_feats = 16 also without.
"""

from __future__ import annotations

import hashlib
import json
import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drnbench.evaluation.perceptual import LpipsAlex
from drnbench.planning.leaks import Leaks
from drnbench.schemes.losses import Perceptual
from drnbench.session.declared import declare
from drnbench.store import Store
from tests.conftest import REPOSITORY
from tests.fixtures.make_sets import PAPER_SETS, make_sets

FROZEN = json.loads((REPOSITORY / "tests" / "fixtures" / "keys.json").read_text(encoding="utf-8"))
CASES = [(study, profile) for study, profiles in FROZEN.items() for profile in profiles]
JPEGS = {
    "skimage/data": ("hubble_deep_field.jpg", "retina.jpg", "rocket.jpg"),
    "sklearn/datasets/images": ("china.jpg", "flower.jpg"),
    "matplotlib/mpl-data/sample_data": ("grace_hopper.jpg",),
}
CHANNELS = {"*.dual_feats": 16}
DECODED = "050656c8364b"
"""Digest of the embedded JPEGs as Pillow decoded them when the keys were written down."""


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    make_sets(root)
    make_sets(root / "paper", PAPER_SETS)
    return root


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    # One store for all: each set of images is decoded once.
    return Store(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def decoded():
    """Return the digest of the embedded JPEGs: another decoder makes other pixels of them, and so other keys."""
    digest = hashlib.sha256()
    for folder, files in JPEGS.items():
        package, _, inside = folder.partition("/")
        for file in files:
            path = Path(find_spec(package).submodule_search_locations[0]) / inside / file
            with Image.open(path) as image:
                digest.update(np.asarray(image.convert("RGB")).tobytes())
    return digest.hexdigest()[:12]


def rows(plan):
    return [
        [
            trial.arm.name,
            trial.trial.seed,
            [key[:12] for key in trial.stages],
            trial.unit.key[:12],
            hashlib.sha256("".join(evaluation.key for evaluation in trial.unit.wanted).encode()).hexdigest()[:12],
        ]
        for trial in plan.trials
    ]


def test_every_study_is_frozen():
    # A study that is added gets its keys written down too.
    assert set(FROZEN) == {path.stem for path in (REPOSITORY / "studies").glob("*.py")}
    assert all(set(profiles) - {"workstation"} == {"tiny", "quick", "small", "paper"} for profiles in FROZEN.values())


@pytest.mark.parametrize(
    ("study", "profile"),
    # Sets of thousands of images, through the same code as those of the other profiles.
    [pytest.param(*case, marks=pytest.mark.real if case[1] == "paper" else ()) for case in CASES],
)
def test_keys_are_what_they_were(study, profile, sets, store, decoded, monkeypatch):
    if profile in {"tiny", "quick"} and decoded != DECODED:
        pytest.skip("the embedded photographs have other pixels here: another JPEG decoder, or other files")
    roots = [sets / "paper", sets] if profile == "paper" else [sets]
    monkeypatch.setenv("DRNBENCH_DATA", os.pathsep.join(map(str, roots)))
    monkeypatch.setattr(Leaks, "check", lambda *_: None)  # takes most of the time, and no key depends on it
    for needs_weights in (LpipsAlex, Perceptual):
        monkeypatch.setattr(needs_weights, "check_available", lambda *_: None)
    monkeypatch.setenv("DRNBENCH_PACK_MB", "1e6")  # 3450 links to a few files need no room
    plan = declare(REPOSITORY / "studies" / f"{study}.py", profile, CHANNELS).plan(store)
    assert rows(plan) == FROZEN[study][profile]


@pytest.mark.parametrize(("profile", "equal"), [("small", True), ("quick", False)])
def test_only_networks_of_other_widths_have_moved(profile, equal, sets, store, monkeypatch):
    """lambda_sweep: n_feats is 16 in `small` and 8 in `quick`."""
    monkeypatch.setenv("DRNBENCH_DATA", str(sets))
    monkeypatch.setattr(Leaks, "check", lambda *_: None)
    study = REPOSITORY / "studies" / "lambda_sweep.py"
    declared = [declare(study, profile, channels).plan(store) for channels in ({}, CHANNELS)]
    assert (rows(declared[0]) == rows(declared[1])) is equal
