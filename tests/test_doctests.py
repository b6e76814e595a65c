"""Examples in docstrings give what they show."""

from __future__ import annotations

import doctest
import importlib

import pytest

from tests.conftest import REPOSITORY

MODULES = sorted(
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")
    for path in (REPOSITORY / "drnbench").rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


def test_public_functions_have_examples():
    expected = {"config.keys", "config.overrides", "data.sampling", "datasets.pairing", "degradations", "errors"}
    assert {f"drnbench.{name}" for name in expected} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted
    assert not results.failed, "see the captured output"
