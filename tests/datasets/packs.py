"""Archives of images for a loopback server, and what a fetch leaves of them."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from drnbench.datasets.catalogue import Remote


def picture(seed: int) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


IMAGES = {f"{name}.png": picture(seed) for seed, name in enumerate(("a", "b", "c"))}
MEMBERS = {
    **{f"pack/HR/{name}": content for name, content in IMAGES.items()},
    "pack/LR/a.png": b"not wanted",
    "pack/HR/.hidden.png": b"not wanted",
    "pack/HR/deeper/d.png": b"not wanted",
    "pack/readme.txt": b"not wanted",
}


def zipped(members=MEMBERS, method=zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def taped(members=MEMBERS, mode="w:gz", extra=()) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in extra:
            archive.addfile(info)
    return buffer.getvalue()


def remote(server, content: bytes, **changes) -> Remote:
    server.content = content
    checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
    entry = Remote("Pack", server.url, checksum, size=len(content), folder="pack/HR", images=3, limit=1_000_000)
    return entry._replace(**changes)


def files(root: Path) -> dict[str, bytes]:
    """Everything under a root but the locks, which stay."""
    return {
        str(file.relative_to(root)): file.read_bytes()
        for file in root.rglob("*")
        if file.is_file() and file.suffix != ".lock"
    }


WHOLE = {f"Pack/HR/{name}": content for name, content in IMAGES.items()}


def part_of(root: Path) -> Path:
    return root / ".fetch/pack.bin/pack.bin.part"
