"""The fingerprint of the numeric code: changed by code that computes, and by no text."""

import shutil
from pathlib import Path

import pytest

import drnbench
from drnbench.store import code
from drnbench.store.code import RULE, code_fingerprint, fingerprint, modules, origin
from drnbench.store.integrity import decode

SCHEME = "schemes/dual.py"


@pytest.fixture(scope="module")
def before():
    return {kind: fingerprint(kind) for kind in code.ROOTS}


@pytest.fixture
def package(tmp_path):
    ignore = shutil.ignore_patterns("__pycache__", "*.csv", "*.j2")
    return shutil.copytree(Path(drnbench.__file__).parent, tmp_path / "drnbench", ignore=ignore)


def changed(package, before):
    return {kind for kind in before if fingerprint(kind, package) != before[kind]}


def edit(file, old, new):
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_a_copy_has_the_same_fingerprint(package, before):
    assert changed(package, before) == set()
    assert before == {kind: code_fingerprint(kind) for kind in before}
    assert before["stage"] != before["evaluate"]


@pytest.mark.parametrize("file", [SCHEME, "datasets/download.py", "data/images.py"])
def test_docstrings_comments_and_blank_lines_change_nothing(package, before, file):
    text = (package / file).read_text(encoding="utf-8")
    assert text.startswith('"""')
    text = text.replace('"""', '"""Other words. ', 1) + "\n\n# a comment\n\n"
    (package / file).write_text(text.replace("\n\n\n", "\n\n\n\n# another comment\n\n"), encoding="utf-8")
    assert changed(package, before) == set()


def test_docstrings_of_functions_and_constants_and_messages_of_errors_change_nothing(package, before):
    file = package / SCHEME
    file.write_text(file.read_text(encoding="utf-8") + '''
LIMIT = 3
"""An explanation."""


def check(number):
    """Refuse a number."""
    if number > LIMIT:
        raise ValueError(f"{number} is too large")
''')  # fmt: skip
    first = fingerprint("stage", package)
    assert first != before["stage"]
    edit(file, "An explanation.", "Another explanation.")
    edit(file, "Refuse a number.", "Refuse a number that is too large.")
    edit(file, 'is too large")', 'is above 3")')
    assert fingerprint("stage", package) == first
    edit(file, "LIMIT = 3", "LIMIT = 4")
    assert fingerprint("stage", package) != first


def test_code_outside_the_numeric_packages_changes_nothing(package, before):
    for file in ("datasets/download.py", "cli/app.py", "store/files.py"):
        (package / file).write_text("X = 1\n", encoding="utf-8")
    assert changed(package, before) == set()


@pytest.mark.parametrize(
    ("file", "kinds"),
    [
        (SCHEME, {"stage"}),
        ("training/loop.py", {"stage"}),
        ("models/drn.py", {"stage", "evaluate"}),
        ("degradations/resize.py", {"stage", "evaluate"}),
        ("evaluation/niqe.py", {"evaluate"}),
    ],
)
def test_a_changed_constant_changes_the_units_that_it_reaches(package, before, file, kinds):
    (package / file).write_text((package / file).read_text(encoding="utf-8") + "\nOTHER = 1\n", encoding="utf-8")
    assert changed(package, before) == kinds


@pytest.mark.parametrize("line", ["from drnbench.schemes.extra import X", "from drnbench.schemes import extra",
                                  "from . import extra", "import drnbench.schemes.extra"])  # fmt: skip
def test_a_new_import_pulls_its_module_in(package, line):
    (package / "schemes" / "extra.py").write_text("X = 1\n", encoding="utf-8")
    assert "schemes.extra" not in modules("stage", package)
    file = package / SCHEME
    file.write_text(file.read_text(encoding="utf-8") + f"\n\ndef late():\n    {line}\n", encoding="utf-8")
    assert "schemes.extra" in modules("stage", package)
    imported = fingerprint("stage", package)
    (package / "schemes" / "extra.py").write_text("X = 2\n", encoding="utf-8")
    assert fingerprint("stage", package) != imported


def test_networks_and_registered_modules_are_reached(before):
    assert {"models.drn", "models.gan", "schemes.cincgan", "degradations.blur", "training.feed"} <= set(
        modules("stage")
    )
    assert {"evaluation.niqe", "evaluation.dual", "models.drn", "degradations.blur"} <= set(modules("evaluate"))


def test_it_is_kept_in_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    expected = code_fingerprint("stage")
    code_fingerprint.cache_clear()
    assert code_fingerprint("stage") == expected
    (kept,) = decode((tmp_path / "drnbench" / "code-crc.json").read_bytes()).values()
    assert kept["stage"] == expected
    monkeypatch.setattr(code, "fingerprint", None)  # calling it would fail
    code_fingerprint.cache_clear()
    assert code_fingerprint("stage") == expected


def test_a_cache_that_is_broken_or_cannot_be_written_changes_nothing(tmp_path, monkeypatch):
    expected = code_fingerprint("stage")
    (tmp_path / "drnbench").mkdir()
    (tmp_path / "drnbench" / "code-crc.json").write_text("{", encoding="utf-8")
    for folder in (tmp_path, tmp_path / "drnbench" / "code-crc.json"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
        code_fingerprint.cache_clear()
        assert code_fingerprint("stage") == expected


def test_the_origin_of_a_stored_result():
    same = code_fingerprint("stage")
    assert origin({"code": same, "code_rule": RULE}, "stage") == "same"
    assert origin({"code": "0" * 64, "code_rule": RULE}, "stage") == "other"
    assert origin({"code": "0" * 64}, "stage") == "unknown"
    assert origin(None, "evaluate") == "unknown"
