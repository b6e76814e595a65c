"""Video files as images: frames sampled evenly in time, decoded once into the cache.

`clip.mp4` means 32 frames, or all where it has fewer; `clip.mp4@8` means 8. For n frames the duration is cut into n equal
parts, and the frame shown in the middle of each is taken. Frames are converted to RGB of 8 bits as FFmpeg does; a
rotation that a player would apply is left out.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drnbench.errors import DataError
from drnbench.store.cache_files import load_record, lock, unwritable
from drnbench.store.integrity import compare, encode, report, stamp

EXTENSIONS = {".avi": "avi", ".mkv": "matroska", ".mov": "mov", ".mp4": "mov", ".webm": "matroska"}
"""Extensions of videos, and FFmpeg's names of the formats."""
FRAMES = 32
"""Number of frames where the name gives none."""
MAX_FRAMES = 9999
"""Files of frames have four digits."""

FRAMES_FILE = "frames.json"
"""Size and CRC-32 of each frame, beside them."""
FRAMES_VERSION = 1
"""Raised when the same file would give other frames."""


def split(name: str) -> tuple[str, int | None] | None:
    """Return path and number of frames (None: not given) of a name such as `clip.mp4@8`; None: not a video's name.

    >>> split("clip.mp4@8"), split("clip.MKV"), split("clip.png")
    (('clip.mp4', 8), ('clip.MKV', None), None)

    Raises:
        DataError: the part after the @ is not a number from 1 to 9999.
    """
    kinds = "|".join(sorted(EXTENSIONS)).replace(".", r"\.")
    match = re.fullmatch(rf"(.+(?:{kinds}))(?:@(.*))?", name, re.IGNORECASE | re.DOTALL)
    if match is None:
        return None
    path, count = match.groups()
    if count is None:
        return path, None
    if not re.fullmatch("[0-9]{1,9}", count) or not 1 <= int(count) <= MAX_FRAMES:
        raise DataError(f"{name}: after the @ comes a number of frames, 1 to {MAX_FRAMES}, as in {path}@8")
    return path, int(count)


def frames(path: Path, count: int | None, cache_dir: Path) -> list[Path]:
    """Return the files of a video's frames in order, PNG, decoding the video on the first call.

    They lie in `cache_dir/frames/<digest>/0001.png ...`, where the digest covers path, size and time of the file and
    `count` (None: 32 frames, or all of a shorter video); the folder appears whole, with size and CRC-32 of each frame, and is
    made again where one is missing or altered. Of two processes that ask at once, one decodes and the other waits.

    Raises:
        DataError: a video that cannot be read, is broken, truncated, of more than 8 bits or has fewer frames.
        UsageError: the cache cannot be written.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): check the path and its permissions") from None
    content = json.dumps([FRAMES_VERSION, str(path.resolve()), stat.st_size, stat.st_mtime_ns, count])
    digest = hashlib.sha256(content.encode()).hexdigest()
    folder = cache_dir / "frames" / digest
    if not _is_whole(folder):
        with lock(cache_dir, f"frames-{digest}"):
            if not _is_whole(folder):  # the process that held the lock has probably made it
                _decode(path, count, folder)
    return sorted(folder.glob("*.png"))


def _is_whole(folder: Path) -> bool:
    """Return True if a folder of frames is there and as it was written; those of earlier versions list no checksums."""
    if not folder.is_dir():
        return False
    if not (folder / FRAMES_FILE).exists():
        return True
    listed = load_record(folder / FRAMES_FILE).get("files")
    if not isinstance(listed, dict):
        return False
    faults = [fault for name, expected in listed.items() if (fault := compare(folder / name, tuple(expected)))]
    for fault in faults:
        report(fault, "it is made again")
    return not faults


def _decode(path: Path, count: int | None, folder: Path) -> None:
    """Fill a folder beside the wanted one, and rename it."""
    from PIL import Image

    part = folder.with_name(f".{folder.name}.tmp")
    try:
        shutil.rmtree(part, ignore_errors=True)  # of a process that died here
        part.mkdir(parents=True)
        for i, pixels in enumerate(_pick(path, count), 1):
            Image.fromarray(pixels).save(part / f"{i:04d}.png")
        files = {file.name: stamp(file) for file in sorted(part.glob("*.png"))}
        (part / FRAMES_FILE).write_text(encode({"files": files}), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)  # one that is not whole
        part.replace(folder)
    except OSError as error:
        raise unwritable(folder, error) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _pick(path: Path, count: int | None) -> Iterator[NDArray[np.uint8]]:
    """Yield the wanted frames, H x W x 3, in two passes: the first reads the time of each frame."""
    with _opened(path) as container:
        times = _times(path, container)
    total = len(times)
    if count is not None and total < count:
        raise DataError(f"{path} has {total} frames, not {count}: ask for {path.name}@{total} or fewer")
    wanted = _evenly_spaced(times, min(count or FRAMES, total))
    with _opened(path) as container:
        for i, frame in enumerate(container.decode(video=0)):
            if i in wanted:
                yield frame.to_ndarray(format="rgb24")
            if i == wanted[-1]:
                return


def _evenly_spaced(times: NDArray[np.float64], count: int) -> list[int]:
    """Return the indices of `count` different frames, evenly in time, of those shown from the given seconds on."""
    total = len(times)
    gap = (times[-1] - times[0]) / max(1, total - 1)  # the duration of the last one is often not stated
    middles = times[0] + (times[-1] - times[0] + gap) * (np.arange(count) + 0.5) / count
    indices = np.searchsorted(times, middles, side="right") - 1
    # Where one frame is shown through several middles, its neighbours are taken: first forwards, then back in bounds.
    steps = np.arange(count)
    indices = np.maximum.accumulate(indices - steps) + steps
    return [int(i) for i in np.minimum(indices, total - count + steps)]


def _times(path: Path, container: Any) -> NDArray[np.float64]:
    """Return the time at which each frame is shown, in seconds, rising; refuse a video that is damaged or cut short."""
    if not container.streams.video:
        raise DataError(f"{path} holds no video, or is truncated: check it, or export it again")
    video = container.streams.video[0]
    times: list[float] = []
    end, damaged = 0.0, False
    # Sound too: the duration in the header is that of the longest stream.
    for packet in container.demux():
        if packet.pts is not None and packet.time_base is not None:
            end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        if packet.stream.index != video.index:
            continue
        damaged |= bool(packet.is_corrupt)
        for frame in packet.decode():
            damaged |= bool(frame.is_corrupt)
            if max(component.bits for component in frame.format.components) > 8:
                raise DataError(f"{path} has more than 8 bits a channel ({frame.format.name}): convert it to 8 bits")
            times.append(np.nan if frame.time is None else frame.time)
    if not times:
        raise DataError(f"{path} holds no frames that can be read: fetch or export it again")
    rising = np.maximum.accumulate(times)
    if not rising[-1] > rising[0]:  # no times, or all the same: only the order is left
        rising = np.arange(len(times), dtype=np.float64)
    gap = (rising[-1] - rising[0]) / max(1, len(rising) - 1)
    declared = (container.duration or 0) / 1e6
    missing = declared - (end - (container.start_time or 0) / 1e6)
    # Matroska that was cut short ends without an error; headers round by up to two frames or 2 %.
    if damaged or missing > max(0.1, 0.02 * declared, 2 * gap):
        raise DataError(f"{path} is broken or truncated: {len(times)} frames can be read; fetch or export it again")
    return rising


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Yield PyAV's container, and turn every error inside into a one-line `DataError`."""
    try:
        import av
    except ImportError:
        raise DataError(f"{path} is a video, and PyAV is not installed: pip install 'drnbench[video]'") from None
    try:
        # The format is given by the name: by content FFmpeg would also open playlists, which lead to other files. The
        # path is absolute: a colon in a relative one would be read as a protocol.
        with av.open(str(path.resolve()), format=EXTENSIONS[path.suffix.lower()]) as container:
            for stream in container.streams.video:
                stream.thread_type = "AUTO"
            yield container
    except (DataError, MemoryError):
        raise
    except PermissionError:
        raise DataError(f"{path} may not be read: change its permissions") from None
    except Exception as error:  # noqa: BLE001 - FFmpeg's errors derive from a dozen classes
        detail = " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__
        raise DataError(f"{path} is not a video that can be read, or truncated ({detail}): export it again") from None
