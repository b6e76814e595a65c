"""LR images in the cache belong to the code that made them: edited degradations and other plug-ins have files of their own."""

import pytest

from drnbench.data import cache
from drnbench.data.packed import ImageInfo
from drnbench.degradations import kernels
from drnbench.store import plug_ins
from drnbench.store.code import code_fingerprint


@pytest.fixture
def name(tmp_path):
    """Return a function that gives the name of the file of an LR image."""
    image = ImageInfo("a", tmp_path / "a.png", "0" * 64, 8, 8)
    return lambda kernel: cache.lr_files([image], kernel, 2, tmp_path).files[0].file.name


def test_the_recorded_fingerprint_is_that_of_the_degradations():
    """Where this fails, raise `CACHE_VERSION` if a kernel makes other pixels than before; then set `CODE` to the new one."""
    assert code_fingerprint("degradation") == cache.CODE


def test_edited_degradations_have_files_of_their_own(name, monkeypatch):
    before = name("bicubic")
    monkeypatch.setattr(cache, "CODE", "0" * 64)
    assert name("bicubic") != before


def test_a_kernel_of_a_plug_in_has_files_for_each_of_its_versions(name, monkeypatch, tmp_path):
    before = name("bicubic")
    (tmp_path / "outside_kernel.py").write_text("X = 1\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(kernels, "plug_in", lambda name: "outside_kernel")
    monkeypatch.setattr(plug_ins, "_taken", {})  # of this process: later tests would find the plug-in edited
    first = name("bicubic")
    assert first != before
    assert name("bicubic") == first
    (tmp_path / "outside_kernel.py").write_text("X = 2\n", encoding="utf-8")
    assert plug_ins.edited() == ["outside_kernel"]
    assert name("bicubic") == first  # this process computes with what it has loaded


def test_jpeg_has_files_for_each_version_of_pillow(name, monkeypatch):
    plain, coded = name("bicubic"), name("bicubic:jpeg=70")
    monkeypatch.setattr(cache, "version", lambda package: "0.1" if package == "pillow" else None)
    assert name("bicubic") == plain
    assert name("bicubic:jpeg=70") != coded
