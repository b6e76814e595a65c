"""Resumable download of one file over HTTP, as a downloader for pooch.

Bytes go to a `.part` file until the file is complete. An interrupted download leaves it, and the next one asks the server
for the rest; a server that cannot give a part of a file starts again from its first byte.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from rich.filesize import decimal

from drnbench.errors import UsageError

TIMEOUT_S = 60.0
"""Seconds without an answer after which a server is given up."""
BLOCK = 1 << 20
SCHEMES = ("http", "https", "file")


class _ConnectionBrokenError(Exception):
    """The connection ended before the file did."""


class ResumingDownloader(NamedTuple):
    """Callable that pooch uses to download a URL into a file of its own.

    Attributes:
        part: file of the bytes that have arrived.
        size: bytes of the official file; None: not published. A server that announces another size is refused.
        spare: bytes that must stay free on the disk beyond the file itself.
        advice: end of the error message where the server cannot be reached: what to do by hand.
    """

    part: Path
    size: int | None
    spare: int
    advice: str

    def __call__(self, url: str, output_file: str, _pooch: object) -> None:
        """Download until the file is whole; every attempt must bring more than the one before.

        Raises:
            UsageError: no server, no such file, no room, or a connection that ends again and again.
        """
        if urllib.parse.urlsplit(url).scheme not in SCHEMES:
            raise UsageError(f"{url}: an address begins with http://, https:// or file://")
        while True:
            before = _size(self.part)
            try:
                self._attempt(url)
                break
            except _ConnectionBrokenError as error:
                if _size(self.part) <= before:
                    raise UsageError(f"{url}: {error}; what arrived is kept: run the same command again") from None
        self.part.replace(output_file)

    def _attempt(self, url: str) -> None:
        have = _size(self.part)
        reply = self._open(url, have)
        if reply is None:
            return
        with reply:
            start = self._start(url, reply, have)
            length = reply.headers.get("Content-Length", "")
            total = start + int(length) if length.isdecimal() else None
            if total is not None and self.size is not None and total != self.size:
                raise UsageError(f"{url} has {total:,} bytes, and the official file {self.size:,}; {self.advice}")
            check_free_space(self.part.parent, (total - have if total is not None else 0) + self.spare, url)
            done = start
            with self.part.open("ab" if start else "wb") as out, _progress(url, start, total) as update:
                while block := _read(reply):
                    out.write(block)
                    out.flush()  # so that the next process goes on from here, however this one ends
                    done += len(block)
                    update(done)
            if total is not None and done != total:
                raise _ConnectionBrokenError(f"the connection ended after {done:,} of {total:,} bytes")

    def _open(self, url: str, have: int) -> Any:
        """Return the server's reply; None if the file is complete already."""
        # Compressing on the way would change the bytes that the checksum was taken of.
        headers = {"User-Agent": f"drnbench/{version('drnbench')}", "Accept-Encoding": "identity"}
        request = urllib.request.Request(url, headers=headers | ({"Range": f"bytes={have}-"} if have else {}))  # noqa: S310
        try:
            return urllib.request.urlopen(request, timeout=TIMEOUT_S)  # noqa: S310
        except urllib.error.HTTPError as error:
            error.close()
            if have and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                # The part is complete, or longer than the file: then it is of another file.
                whole = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range", ""))
                if whole and int(whole[1]) == have:
                    return None
                self.part.unlink()
                return self._open(url, 0)
            raise UsageError(f"{url}: the server says {error.code} {error.reason}; {self.advice}") from None
        except (OSError, http.client.HTTPException) as error:
            raise UsageError(f"{url} cannot be reached ({getattr(error, 'reason', error)}); {self.advice}") from None

    def _start(self, url: str, reply: Any, have: int) -> int:
        if reply.status != http.HTTPStatus.PARTIAL_CONTENT:
            return 0
        offset = re.match(r"bytes (\d+)-", reply.headers.get("Content-Range", ""))
        if not offset or int(offset[1]) != have:
            raise UsageError(f"{url}: the server sent another part than it was asked for; {self.advice}")
        return have


def check_free_space(folder: Path, needed: int, purpose: str) -> None:
    """Refuse a purpose that needs more bytes than are free on the disk of a folder.

    Raises:
        UsageError: fewer than `needed` bytes are free.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UsageError(
            f"{purpose} needs {decimal(needed)} in {folder}, where {decimal(free)} are free: make room, or choose with "
            "--to"
        )


def _read(reply: Any) -> bytes:
    try:
        return bytes(reply.read1(BLOCK))
    except (http.client.HTTPException, OSError) as error:
        raise _ConnectionBrokenError(f"the connection broke ({error})") from None


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


@contextmanager
def _progress(url: str, start: int, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on a terminal, and one line elsewhere."""
    name = os.path.basename(urllib.parse.urlsplit(url).path)  # noqa: PTH119 - a part of an address
    if not sys.stderr.isatty():
        size = decimal(total) if total is not None else "a file of unknown size"
        resumed = f", {decimal(start)} are here" if start else ""
        print(f"{name}: {size} from {url}{resumed}", file=sys.stderr, flush=True)
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=total, completed=start)
        yield lambda done: bar.update(task, completed=done)
