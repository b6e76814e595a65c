"""Options of a run that are refused before any work."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from drnbench.errors import UsageError
from drnbench.session import request
from drnbench.session.request import check_tracking


@pytest.mark.parametrize(
    "uri",
    [
        None, "off", "http://127.0.0.1:9", "HTTPS://host/mlflow", "sqlite:////tmp/mlflow.db", "mysql+pymysql://host/db",
        "postgresql://user:word@host/db", "databricks", "databricks://profile", "file:///tmp/mlruns", "/tmp/mlruns",
        "C:\\mlruns",
    ],
)  # fmt: skip
def test_addresses_that_mlflow_may_have_a_store_for(uri):
    check_tracking(uri)


@pytest.mark.parametrize(("uri", "message"), [
    ("foo://x", "MLflow has no store for foo://"),
    ("htps://host", "did you mean 'https'"),
    ("ftp://user:secret@host", "`off` does without a mirror"),
])  # fmt: skip
def test_addresses_that_it_has_none_for(uri, message):
    with pytest.raises(UsageError, match=message) as error:
        check_tracking(uri)
    assert "secret" not in str(error.value)


def test_a_store_of_a_plug_in_is_one(monkeypatch):
    plug_in = EntryPoint("ours", "package:Store", "mlflow.tracking_store")
    monkeypatch.setattr(request, "entry_points", lambda group: [plug_in] * (group == plug_in.group))
    check_tracking("ours://x")
