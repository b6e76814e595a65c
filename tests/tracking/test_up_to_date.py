"""A mirror that has everything of the store is recognised, without MLflow."""

from __future__ import annotations

import subprocess
import sys

import pytest

from drnbench.errors import DamageWarning
from drnbench.store import read_json, write_json
from drnbench.tracking import Mirror, up_to_date
from tests.tracking.stores import StoredStudy, status


class TestUpToDate:
    def test_follows_the_store(self, stored: StoredStudy) -> None:
        assert not up_to_date(stored.store, "unpaired")
        Mirror(stored.store).sync("unpaired", final=False)
        assert not up_to_date(stored.store, "unpaired")
        Mirror(stored.store).sync("unpaired")
        assert up_to_date(stored.store, "unpaired")
        assert not up_to_date(stored.store, "unpaired", "http://127.0.0.1:9")

    def test_states_in_the_plan_change_nothing(self, stored: StoredStudy) -> None:
        Mirror(stored.store).sync("unpaired")
        for trial in stored.trials:
            trial["state"] = "done"
        for stage in stored.stages.values():
            stage["stale"] = True
        stored.write_plan()
        assert up_to_date(stored.store, "unpaired")

    @pytest.mark.parametrize("change", ["table", "score", "status", "plan"])
    def test_sees_a_change(self, stored: StoredStudy, change: str) -> None:
        Mirror(stored.store).sync("unpaired")
        if change == "table":
            stored.report(text="other")
        elif change == "score":
            stored.score(stored.trials[0], gain=3)
        elif change == "status":
            stored.store.write_status(stored.store.stage(stored.trials[0]["stages"][0]), status("failed"))
        else:
            plan = stored.store.study("unpaired/tiny") / "plan.json"
            write_json(plan, {**read_json(plan), "profile": "quick"})
        assert not up_to_date(stored.store, "unpaired")

    def test_names_a_database_that_is_gone(self, stored: StoredStudy) -> None:
        Mirror(stored.store).sync("unpaired")
        (stored.store.root / "mlflow.db").unlink()
        with pytest.warns(DamageWarning, match="mlflow.db is missing"):
            assert not up_to_date(stored.store, "unpaired")

    def test_a_password_is_not_recorded(self, stored: StoredStudy) -> None:
        from drnbench.tracking import record

        record.remember(stored.store, stored.location, "http://me:secret@host:5000", "stamp")
        assert "secret" not in (stored.store.study("unpaired/tiny") / "mirror.json").read_text()

    def test_does_not_import_mlflow(self, stored: StoredStudy) -> None:
        Mirror(stored.store).sync("unpaired")
        code = (
            "import sys; from pathlib import Path; from drnbench.store import Store\n"
            "from drnbench.tracking import up_to_date\n"
            f"assert up_to_date(Store(Path({str(stored.store.root)!r})), 'unpaired')\n"
            "assert 'mlflow' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", code], check=True)
