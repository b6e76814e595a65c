"""Archives that are hostile, broken or of no known kind: refused, and nothing of them stays."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile

import pytest

from drnbench.datasets.fetch import fetch
from drnbench.errors import DataError
from tests.datasets.packs import IMAGES, MEMBERS, files, remote, taped, zipped
from tests.datasets.serving import serving


@pytest.fixture
def server():
    with serving() as server:
        yield server


def member(name, kind, link="", size=0):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


def zipped_mode(name, mode):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for other, content in MEMBERS.items():
            archive.writestr(other, content)
        info = zipfile.ZipInfo(name)
        info.create_system, info.external_attr = 3, (mode | 0o644) << 16
        archive.writestr(info, "/etc/passwd")
    return buffer.getvalue()


def plus(name):
    return {**MEMBERS, name: b"evil"}


TRICKS = {
    "zip ..": (lambda: zipped(plus("pack/HR/../../../evil.png")), "a path out of its folder"),
    "zip absolute": (lambda: zipped(plus("/tmp/evil.png")), "an absolute path"),
    "zip drive": (lambda: zipped(plus("C:/evil.png")), "an absolute path"),
    "zip backslash": (lambda: zipped(plus("pack\\HR\\evil.png")), "a path that systems read differently"),
    "zip back ..": (lambda: zipped(plus("..\\evil.png")), "a path out of its folder"),
    "zip link": (lambda: zipped_mode("pack/HR/evil.png", stat.S_IFLNK), "a link"),
    "zip device": (lambda: zipped_mode("pack/HR/evil.png", stat.S_IFCHR), "a device"),
    "zip case": (lambda: zipped(plus("pack/HR/A.PNG")), "one name on some disks"),
    "tar ..": (lambda: taped(plus("pack/HR/../../../evil.png")), "a path out of its folder"),
    "tar absolute": (lambda: taped(plus("/tmp/evil.png")), "an absolute path"),
    "tar link": (lambda: taped(extra=[member("pack/HR/e.png", tarfile.SYMTYPE, "/etc/passwd")]), "a link"),
    "tar link elsewhere": (lambda: taped(extra=[member("else", tarfile.SYMTYPE, "..")]), "a link"),
    "tar hard link": (lambda: taped(extra=[member("pack/HR/e.png", tarfile.LNKTYPE, "pack/HR/a.png")]), "a link"),
    "tar device": (lambda: taped(extra=[member("pack/HR/e.png", tarfile.CHRTYPE)]), "a device"),
    "tar pipe": (lambda: taped(extra=[member("pack/HR/e.png", tarfile.FIFOTYPE)]), "a device"),
    "tar case": (lambda: taped(plus("pack/HR/A.png")), "one name on some disks"),
    "tar twice": (lambda: taped(plus("./pack/HR/a.png")), "one name on some disks"),
}


@pytest.mark.parametrize("trick", TRICKS)
def test_dangerous_archives_are_refused_and_leave_nothing(server, tmp_path, trick):
    make, message = TRICKS[trick]
    root = tmp_path / "deep/root"
    with pytest.raises(DataError, match=f"pack.bin is refused: .*{message}") as caught:
        fetch(remote(server, make()), root)
    assert "\n" not in str(caught.value)
    assert files(tmp_path) == {}


BOMB = bytes(40_000_000)
OTHERS = {
    "zip bomb": (lambda: zipped({**MEMBERS, "pack/HR/z.png": BOMB}), {"limit": 10**9}, "claim to hold more than"),
    "tar bomb": (lambda: taped({**MEMBERS, "pack/z": BOMB}), {"limit": 10**9}, "claim to hold more than"),
    "too large": (zipped, {"limit": 100}, "its images claim .*, and 100 bytes are the most"),
    "cut zip": (lambda: zipped()[:-30], {}, "is broken or no archive"),
    "cut tar": (lambda: taped()[:-500], {}, "is broken or no archive"),
    "html": (lambda: b"<html>login</html>", {}, "is broken or no archive"),
    "wrong bytes": (
        # Stored, so that the bytes of an image stand in the archive as they are.
        lambda: zipped(method=zipfile.ZIP_STORED).replace(IMAGES["b.png"][100:110], bytes(10)),
        {},
        "is broken or no archive",
    ),
    "no folder": (lambda: zipped({"x/a.png": b"a"}), {}, "holds no images in pack/HR"),
    "too few": (zipped, {"images": 4}, "holds 3 images in pack/HR, and Pack has 4"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_other_archives_that_cannot_be_used(server, tmp_path, case):
    make, changes, message = OTHERS[case]
    with pytest.raises(DataError, match=message) as caught:
        fetch(remote(server, make(), **changes), tmp_path)
    assert "\n" not in str(caught.value)
    assert files(tmp_path) == {}
