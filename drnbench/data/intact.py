"""Damage in PNG and JPEG files that Pillow decodes without a word: wrong checksums, and entropy-coded data that libjpeg warns of.

Pillow skips the checksums of a PNG's pixels and silences libjpeg, which conceals corrupt data by grey blocks. The Huffman
codes of a JPEG are followed here from symbol to symbol, without computing coefficients: ISO/IEC 10918-1 (ITU T.81), Annexes F
and G; sequential and progressive. Arithmetic coding and lossless JPEG are left to the decoder.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"

_CHUNK = 2**17
"""Bytes of a scan that are looked up at once; a block takes 256 at most."""
_MARGIN = 8 * 256
_INVALID, _END = 64, 128
"""Steps over coefficients of a block by no valid code, and by its end."""


class _DamageError(Exception):
    """Data that no encoder writes."""


def damage(content: bytes) -> str | None:
    """Return what is damaged in the bytes of a PNG or JPEG file; None: nothing, or another format."""
    if content.startswith(PNG):
        return _png_damage(content)
    return _Jpeg(content).damage() if content.startswith(JPEG) else None


def _png_damage(content: bytes) -> str | None:
    at = len(PNG)
    while at + 12 <= len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4])
        kind = content[at + 4 : at + 8]
        if end > len(content):
            break
        if zlib.crc32(content[at + 4 : end - 4]) != int.from_bytes(content[end - 4 : end]):
            return f"wrong checksum of its chunk {kind.decode('ascii', 'replace')}"
        if kind == b"IEND":
            return None
        at = end
    return "it ends before its last chunk"


@dataclass
class _Component:
    """A colour channel: sampling factors, blocks across and down, and which AC coefficients are not zero so far."""

    across: int
    down: int
    factors: int
    coefficients: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True)
class _Table:
    """A Huffman table, by the next 16 bits: length of the code (0: none fits) and its symbol."""

    lengths: np.ndarray
    symbols: np.ndarray

    @classmethod
    def read(cls, counts: bytes, symbols: bytes) -> _Table:
        lengths, values = np.zeros(2**16, np.uint8), np.zeros(2**16, np.uint8)
        first, n = 0, 0
        for length, count in enumerate(counts, 1):
            width = 2 ** (16 - length)
            for symbol in symbols[n : n + count]:
                lengths[first : first + width], values[first : first + width] = length, symbol
                first += width
            n += count
        return cls(lengths, values)


class _Bits:
    """The bits of one restart interval, as what each table finds at every position.

    Attributes:
        at: the position, in bits from the start of the part that is looked up.
    """

    def __init__(self, data: bytes, tables: list[_Table]) -> None:
        self._data, self._tables, self._start = data, tables, 0
        self.at = 0
        self._look_up()

    def _look_up(self) -> None:
        part = self._data[self._start : self._start + _CHUNK]
        self._last = self._start + _CHUNK >= len(self._data)
        self.size = 8 * len(part)
        padded = np.frombuffer(part + b"\xff" * 600, np.uint8).astype(np.uint32)
        words = padded[:-2] << 16 | padded[1:-1] << 8 | padded[2:]
        self.windows = (words[:, None] >> np.arange(8, 0, -1, dtype=np.uint32)).astype(np.uint16).reshape(-1)
        self.lengths = [table.lengths[self.windows] for table in self._tables]
        self.symbols = [table.symbols[self.windows] for table in self._tables]

    def advances(self, table: int) -> bytes:
        """Return at every position the bits of code and value, 0 for no code: of DC, and of AC in sequential scans."""
        lengths = self.lengths[table]
        return np.where(lengths, lengths + (self.symbols[table] & 15), 0).astype(np.uint8).tobytes()

    def steps(self, table: int) -> bytes:
        """Return at every position the coefficients that a symbol of AC goes on by."""
        run, size = self.symbols[table] >> 4, self.symbols[table] & 15
        steps = np.where((size == 0) & (run < 15), _END, run + 1)
        return np.where(self.lengths[table], steps, _INVALID).astype(np.uint8).tobytes()

    def refill(self) -> bool:
        """Go on to the next part where little is left of this one; return True if the look-ups are new."""
        if self.at > self.size:
            raise _DamageError("its data ends too early")
        if self._last or self.at <= self.size - 10 * _MARGIN:
            return False
        self._start += self.at >> 3
        self.at &= 7
        self._look_up()
        return True

    def finish(self) -> None:
        """Check that the whole interval was used; some encoders fill up a few bytes."""
        if self.at > self.size:
            raise _DamageError("its data ends too early")
        rest = self._data[self._start + (self.at + 7) // 8 :]
        if len(rest) >= 8 or (rest.strip(b"\0") and rest.strip(b"\xff")):
            raise _DamageError(f"{len(rest)} bytes too many in its data")


class _Jpeg:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self._tables: dict[int, _Table] = {}
        self._components: dict[int, _Component] = {}
        self._interval, self._mcus, self._progressive = 0, 0, False

    def damage(self) -> str | None:
        try:
            for marker, segment, end in self._segments():
                if marker in {0xC0, 0xC1, 0xC2}:
                    if segment[0] != 8 or segment[1:3] == b"\0\0":
                        return None
                    self._frame(segment, progressive=marker == 0xC2)
                elif 0xC3 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
                    return None  # lossless, hierarchical, arithmetic
                elif marker == 0xC4:
                    self._read_tables(segment)
                elif marker == 0xDD:
                    self._interval = int.from_bytes(segment)
                elif marker == 0xDA:
                    self._scan(segment, list(_intervals(self._content, end)))
        except _DamageError as error:
            return str(error)
        except (KeyError, IndexError, ValueError):
            return None  # headers that the decoder judges
        return None

    def _segments(self) -> Iterator[tuple[int, bytes, int]]:
        """Yield the marker, the content and the end of every segment up to the end of the image."""
        at = 2
        while True:
            match = _MARKER.match(self._content, at)
            if match is None:
                raise _DamageError("it ends before its end marker" if at + 2 > len(self._content) else _STRAY)
            marker, at = match[1][0], match.end()
            if marker == 0xD9:
                return
            if 0xD0 <= marker <= 0xD7 or marker == 0x01:
                continue
            length = int.from_bytes(self._content[at : at + 2])
            if at + max(length, 2) > len(self._content):
                raise _DamageError("it ends before its end marker")
            yield marker, self._content[at + 2 : at + length], at + length
            at += length
            if marker == 0xDA:
                after = _END_OF_SCAN.search(self._content, at)
                if after is None:
                    raise _DamageError("it ends before its end marker")
                at = after.start()

    def _frame(self, segment: bytes, *, progressive: bool) -> None:
        height, width = int.from_bytes(segment[1:3]), int.from_bytes(segment[3:5])
        channels = [segment[n : n + 3] for n in range(6, 6 + 3 * segment[5], 3)]
        sampling = {channel[0]: (channel[1] >> 4, channel[1] & 15) for channel in channels}
        most_x, most_y = max(x for x, _ in sampling.values()), max(y for _, y in sampling.values())
        self._mcus = _ceil(width, 8 * most_x) * _ceil(height, 8 * most_y)
        self._progressive = progressive
        for name, (x, y) in sampling.items():
            across, down = _ceil(_ceil(width * x, most_x), 8), _ceil(_ceil(height * y, most_y), 8)
            self._components[name] = _Component(across, down, x * y)
            if progressive:
                self._components[name].coefficients = bytearray(64 * across * down)

    def _read_tables(self, segment: bytes) -> None:
        while segment:
            counts = segment[1:17]
            self._tables[segment[0]] = _Table.read(counts, segment[17 : 17 + sum(counts)])
            segment = segment[17 + sum(counts) :]

    def _scan(self, header: bytes, intervals: list[tuple[int | None, bytes]]) -> None:
        """Follow one scan; `intervals`: number of the restart marker after each, and the data."""
        count = header[0]
        parts = [(self._components[header[n]], header[n + 1]) for n in range(1, 1 + 2 * count, 2)]
        first, last, bits = header[1 + 2 * count : 4 + 2 * count]
        component = parts[0][0]
        mcus = self._mcus if count > 1 else component.across * component.down
        most = self._interval or mcus
        if len(intervals) != _ceil(mcus, most):
            raise _DamageError(f"{len(intervals) - 1} restart markers in place of {_ceil(mcus, most) - 1}")
        if any(marker is not None and marker != n % 8 for n, (marker, _) in enumerate(intervals)):
            raise _DamageError("restart markers out of order")
        for n, (_, data) in enumerate(intervals):
            blocks = range(n * most, min(mcus, (n + 1) * most))
            if not self._progressive:
                self._sequential(data, parts, blocks)
            elif first == 0:
                self._dc(data, parts, blocks, refine=bits >> 4 > 0)
            else:
                table = self._tables[0x10 | parts[0][1] & 15]
                follow = _refine if bits >> 4 else _first_ac
                stream = _Bits(data, [table])
                follow(stream, component.coefficients, blocks, first, last)
                stream.finish()

    def _sequential(self, data: bytes, parts: list[tuple[_Component, int]], mcus: range) -> None:
        numbers = sorted({0x10 * kind | (table >> 4, table & 15)[kind] for _, table in parts for kind in (0, 1)})
        index = {number: n for n, number in enumerate(numbers)}
        bits = _Bits(data, [self._tables[number] for number in numbers])
        order = [
            (index[table >> 4], index[0x10 | table & 15])
            for component, table in parts
            for _ in range(component.factors if len(parts) > 1 else 1)
        ]
        fresh = True
        for _ in mcus:
            if bits.refill() or fresh:
                fresh = False
                advances = [bits.advances(n) for n in range(len(numbers))]
                steps = [bits.steps(n) if number & 0x10 else b"" for n, number in enumerate(numbers)]
            at = bits.at
            for dc, ac in order:
                at += advances[dc][at] or _no_code()
                k, advance, step = 1, advances[ac], steps[ac]
                while k < 64:
                    k += step[at]
                    at += advance[at]
                if 64 < k < _END:
                    _no_code()
            bits.at = at
        bits.finish()

    def _dc(self, data: bytes, parts: list[tuple[_Component, int]], mcus: range, *, refine: bool) -> None:
        per_mcu = [(n, c.factors if len(parts) > 1 else 1) for n, (c, _) in enumerate(parts)]
        bits = _Bits(data, [] if refine else [self._tables[table >> 4] for _, table in parts])
        if refine:
            for _ in mcus:
                bits.refill()
                bits.at += sum(blocks for _, blocks in per_mcu)
            bits.finish()
            return
        fresh = True
        for _ in mcus:
            if bits.refill() or fresh:
                fresh = False
                advances = [bits.advances(n) for n in range(len(parts))]
            for n, blocks in per_mcu:
                for _ in range(blocks):
                    bits.at += advances[n][bits.at] or _no_code()
        bits.finish()


def _first_ac(bits: _Bits, coefficients: bytearray, blocks: range, first: int, last: int) -> None:
    """Follow the first scan of AC coefficients `first` to `last` of a component."""
    ended, lengths, symbols = 0, bits.lengths[0], bits.symbols[0]
    for block in blocks:
        if ended:
            ended -= 1
            continue
        if bits.refill():
            lengths, symbols = bits.lengths[0], bits.symbols[0]
        k = first
        while k <= last:
            run, size = divmod(int(symbols[bits.at]), 16)
            bits.at += int(lengths[bits.at]) or _no_code()
            if not size and run < 15:
                ended = _run_of_ends(bits, run) - 1
                break
            k += run
            if size:
                if k > last:
                    _no_code()
                coefficients[64 * block + k] = 1
                bits.at += size
            k += 1


def _refine(bits: _Bits, coefficients: bytearray, blocks: range, first: int, last: int) -> None:
    """Follow a scan that adds a bit to AC coefficients `first` to `last` of a component."""
    ended, lengths, symbols = 0, bits.lengths[0], bits.symbols[0]
    for block in blocks:
        if bits.refill():
            lengths, symbols = bits.lengths[0], bits.symbols[0]
        start, k = 64 * block, first
        while k <= last and not ended:
            run, size = divmod(int(symbols[bits.at]), 16)
            bits.at += int(lengths[bits.at]) or _no_code()
            if not size and run < 15:
                ended = _run_of_ends(bits, run)
                break
            if size > 1:
                _no_code()
            bits.at += size
            while k <= last and (run or coefficients[start + k]):
                if coefficients[start + k]:
                    bits.at += 1
                else:
                    run -= 1
                k += 1
            if size:
                if k > last:
                    _no_code()
                coefficients[start + k] = 1
            k += 1
        if ended:
            bits.at += coefficients.count(1, start + k, start + last + 1)
            ended -= 1


def _run_of_ends(bits: _Bits, run: int) -> int:
    extra: int = int(bits.windows[bits.at]) >> (16 - run) if run else 0
    bits.at += run
    return int(2**run) + extra


_MARKER = re.compile(rb"\xff+([^\x00\xff])", re.DOTALL)
_END_OF_SCAN = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]", re.DOTALL)
_STRAY = "stray bytes between its segments"


def _intervals(content: bytes, start: int) -> Iterator[tuple[int | None, bytes]]:
    """Yield the data of a scan between restart markers, without stuffing, each with the number of the marker after it."""
    for match in _MARKER.finditer(content, start):
        data = re.sub(rb"\xff+\x00", b"\xff", content[start : match.start()])
        number = match[1][0] - 0xD0
        yield (number if 0 <= number < 8 else None), data
        if not 0 <= number < 8:
            return
        start = match.end()


def _ceil(number: int, divisor: int) -> int:
    return -(-number // divisor)


def _no_code() -> int:
    raise _DamageError("codes that its tables do not have")
