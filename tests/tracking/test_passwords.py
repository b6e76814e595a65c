"""Passwords in URIs: neither printed nor stored, wherever an error carries them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drnbench.cli import main
from drnbench.errors import DrnbenchError, UsageError, one_line, redacted
from drnbench.store import Store
from drnbench.tracking import record
from tests.fake_store import fill, plan_of
from tests.outputs.conftest import gain, rho_study

PASSWORDS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=8).map(lambda text: f"s3cret{text}")
SCHEMES = st.sampled_from(["http", "https", "postgresql", "mysql+pymysql", "mssql+pyodbc", "ray", "ftp"])


@given(
    SCHEMES,
    PASSWORDS,
    st.sampled_from(["", "@", "/", ":", "#"]),
    st.sampled_from(["{}", "could not reach '{}': no", "a {} b"]),
)
def test_no_message_holds_a_password(scheme, password, sign, sentence):
    text = sentence.format(f"{scheme}://ann:{sign}{password}{sign}x@host:5000/db?password={password}&a=1")
    for shown in (redacted(text), one_line(text), str(UsageError(text)), str(DrnbenchError(text)), record.public(text)):
        assert password not in shown
        assert "host:5000/db" in shown


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:5000",
        "sqlite:////tmp/a b/mlflow.db",
        "see http://a.b/c: x@y",
        "sqlite:////tmp/a@b/m.db",
        "ρ=0.3: a",
    ],
)
def test_other_texts_stay(text):
    assert redacted(text) == text
    assert record.public(text) == text


@pytest.mark.parametrize("uri", ["postgresql://ann:s3cret/x@127.0.0.1:9/db", "nothing://ann:s3cret@127.0.0.1:9/db"])
def test_a_mirror_that_cannot_be_reached_says_no_password_and_stores_none(tmp_path, capsys, uri):
    store = Store(tmp_path / "r")
    fill(store, plan_of(rho_study(), "unpaired"), gain)
    assert main(["sync", "--results", str(store.root), "--tracking-uri", uri]) == 2
    assert main(["--debug", "sync", "--results", str(store.root), "--tracking-uri", uri]) == 2
    out, err = capsys.readouterr()
    assert "s3cret" not in out + err
    assert "127.0.0.1:9" in err
    assert not [path for path in store.root.rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()]
