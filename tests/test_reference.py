"""`results/reference`: the committed scores of studies on real test sets give the committed tables, byte for byte."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from drnbench.cli import main

REFERENCE = Path(__file__).parents[1] / "results" / "reference"
REPORTS = sorted(path.parent for path in REFERENCE.rglob("report.json"))
PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".html", ".pt"}
"""None of test sets without a licence, and no weights."""


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    store = tmp_path_factory.mktemp("copy") / "reference"
    shutil.copytree(REFERENCE, store)
    return store


@pytest.mark.real
@pytest.mark.parametrize("committed", REPORTS, ids=lambda path: "-".join(path.relative_to(REFERENCE).parts[:-1]))
def test_the_stored_scores_give_the_committed_tables(committed, copy, capsys):
    written = copy / committed.relative_to(REFERENCE)
    tables = [path.name for path in committed.iterdir() if path.suffix in {".csv", ".md", ".tex"}]
    for name in tables:
        (written / name).unlink()
    assert (
        main(["report", committed.parent.name, "--profile", committed.name, "--results", str(written.parents[1])]) == 0
    )
    headline = capsys.readouterr().out
    assert "Holm" in headline or "tested alone" in headline
    assert len(tables) > 3
    for name in tables:
        assert (written / name).read_bytes() == (committed / name).read_bytes(), name


def test_reference_holds_no_picture_and_no_weights():
    assert [path for path in REFERENCE.rglob("*") if path.suffix in PICTURES] == []
