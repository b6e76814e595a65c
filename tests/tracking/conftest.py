from __future__ import annotations

from pathlib import Path

import pytest

from tests.tracking.stores import StoredStudy


@pytest.fixture
def stored(tmp_path: Path) -> StoredStudy:
    stored = StoredStudy(tmp_path / "the results")
    stored.finish()
    return stored
