"""What tests of large sources share: a set, a cache, and the images that are decoded."""

from __future__ import annotations

from pathlib import Path

import pytest

from drnbench.data import build
from drnbench.data.images import read_rgb
from tests.data.packing import paint


@pytest.fixture
def folder(tmp_path):
    return paint(tmp_path / "set")


@pytest.fixture
def store(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def large(monkeypatch):
    """Every source is large."""
    monkeypatch.setenv("DRNBENCH_PACK_MB", "0")


@pytest.fixture
def decoded(monkeypatch):
    """Names of the files that were decoded, in order."""
    seen = []

    def spy(path, **options):
        seen.append(Path(path).name)
        return read_rgb(path, **options)

    monkeypatch.setattr(build, "read_rgb", spy)
    return seen
