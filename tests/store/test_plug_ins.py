"""Fingerprints of plug-ins: of the files that are loaded, the same however the distribution is installed."""

from importlib.metadata import Distribution

import pytest

from drnbench.store import plug_ins


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Return a function that lays out a package with its distribution, and gives its fingerprint."""

    def install(name, version="1.0", body="X = 1\n", *, editable=False):
        site = tmp_path / f"site{len(list(tmp_path.iterdir()))}"
        sources = site / "src" if editable else site
        package, info = sources / name, site / f"{name}-{version}.dist-info"
        package.mkdir(parents=True)
        info.mkdir()
        (package / "__init__.py").write_text(body, encoding="utf-8")
        (package / "notes.txt").write_text(str(site), encoding="utf-8")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
        (site / f"__editable___{name}_finder.py").write_text(f"MAPPING = {str(package)!r}\n", encoding="utf-8")
        listed = f"__editable___{name}_finder.py" if editable else f"{name}/__init__.py"
        (info / "RECORD").write_text(f"{listed},,\n{name}-{version}.dist-info/METADATA,,\n", encoding="utf-8")
        with monkeypatch.context() as patch:
            patch.syspath_prepend(sources)
            patch.setattr(plug_ins, "distribution", lambda package: Distribution.at(info))
            patch.setattr(plug_ins, "_taken", {})
            plug_ins._spec.cache_clear()
            return plug_ins.plug_in(name)

    return install


def test_an_editable_installation_has_the_fingerprint_of_its_files(installed):
    name, made = installed("outside_package")
    assert name == "outside_package"
    assert made["version"] == "1.0"
    assert installed("outside_package", editable=True) == (name, made)
    _, edited = installed("outside_package", body="X = 2\n", editable=True)
    assert edited["version"] == made["version"]
    assert edited["files"] != made["files"]


def test_another_version_of_the_same_files_is_another_plug_in(installed):
    _, first = installed("outside_package")
    _, second = installed("outside_package", "1.1")
    assert first != second
    assert first["files"] == second["files"]
