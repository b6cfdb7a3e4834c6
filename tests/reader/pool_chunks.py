"""The data of a pool: reading chunks out of whatever shards are left (FORMAT.md)."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

import zstd_decode
from pool_coding import crc32c, encode_row, solve_row
from pool_journal import Journal, RemoteDir, Report, Shard
from pool_records import Chunk, Entry, Place


class Unreadable(Exception):
    """Content that cannot be had bit-exact; says which chunk and which shards are to blame."""


class ChunkReader:
    """Reads one chunk. Shards are tried wherever they are found; every unit proves itself by its CRC-32C."""

    def __init__(self, chunk: Chunk, remotes: Sequence[RemoteDir], pool: str, journal: Journal) -> None:
        if chunk.problem:
            raise Unreadable(f"chunk {chunk.chunk}: {chunk.problem}")
        self.chunk = chunk
        self.rows = -(-chunk.stored // (chunk.unit * chunk.data))
        self._journal = journal
        self._files: dict[str, BinaryIO] = {}
        self._trouble: dict[str, str] = {}  # of a shard's file: what is wrong with it
        self._row = -1
        self._units: dict[int, bytes | None] = {}  # of the row last read; None: there is no good one
        self._frame: tuple[int, bytes] = (-1, b"")
        self._ids = [remote.markers.get(pool, set()) for remote in remotes]
        self._found = [(number, s) for number, remote in enumerate(remotes) for s in remote.shards(chunk.chunk)]
        recorded = {(place.index, place.nonce) for place in chunk.places}
        self._found.sort(key=lambda found: (found[1].index, found[1].nonce) not in recorded)  # recorded ones first

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()

    # --- units ---

    def _length(self, row: int, index: int) -> int:
        """The length of a unit; 0: there is none. Parity units are as long as their row's first."""
        unit = row * self.chunk.data + (index if index < self.chunk.data else 0)
        return max(0, min(self.chunk.unit, self.chunk.stored - unit * self.chunk.unit))

    def _read(self, shard: Shard, row: int) -> bytes | None:
        """A unit out of one object, if it is good there."""
        length = self._length(row, shard.index)
        try:
            if shard.path not in self._files:
                self._files[shard.path] = open(shard.path, "rb")  # noqa: SIM115 (`close` closes it)
            file = self._files[shard.path]
            file.seek(row * self.chunk.unit)
            unit = file.read(length)
        except OSError as error:
            self._trouble[shard.path] = f"cannot be read ({error.strerror})"
            return None
        if len(unit) == length and crc32c(unit) == self.chunk.sums[shard.index][row]:
            return unit
        self._trouble[shard.path] = f"damaged (row {row})"
        return None

    def _unit(self, row: int, index: int) -> bytes | None:
        if row != self._row:
            self._row, self._units = row, {}
        if index not in self._units:
            if self._length(row, index) == 0:
                self._units[index] = b""  # beyond the end: known to be zeros
            else:
                units = (self._read(shard, row) for _, shard in self._found if shard.index == index)
                self._units[index] = next((unit for unit in units if unit is not None), None)
        return self._units[index]

    def _row_units(self, row: int, wanted: Iterable[int]) -> list[bytes]:
        """The wanted data units of a row, solved out of any k good ones where they are not there themselves."""
        chunk = self.chunk
        direct = [self._unit(row, index) for index in wanted]
        if None not in direct:
            return [unit for unit in direct if unit is not None]
        good: dict[int, bytes] = {}
        for index in range(chunk.data + chunk.parity):
            unit = self._unit(row, index)
            if unit is not None:
                good[index] = unit
            if len(good) == chunk.data:
                break
        if len(good) < chunk.data:
            lost = [index for index in range(chunk.data + chunk.parity) if index not in good]
            raise Unreadable(
                f"chunk {chunk.chunk}: row {row}: {len(good)} good units, {chunk.data} are needed: "
                + "; ".join(self._why(index) for index in lost)
            )
        solved = solve_row(good, chunk.data, chunk.parity, self._length(row, 0))
        for index in wanted:
            if self._units[index] is not None:
                continue
            self._units[index] = unit = solved[index][: self._length(row, index)]
            if crc32c(unit) != chunk.sums[index][row]:
                used = ", ".join(map(str, good))
                raise Unreadable(f"chunk {chunk.chunk}: row {row}: shards {used} do not give shard {index}")
        return [self._units[index] or b"" for index in wanted]

    # --- what became of the shards ---

    def _state(self, place: Place) -> tuple[str, list[Shard]]:
        """good (as far as was read), misplaced, missing or offline; and the objects of this place."""
        same = [(n, s) for n, s in self._found if (s.index, s.nonce) == (place.index, place.nonce)]
        here = [s for n, s in same if place.remote in self._ids[n]]
        if same:
            return ("good" if here else "misplaced"), here or [s for _, s in same]
        return ("missing" if any(place.remote in ids for ids in self._ids) else "offline"), []

    def _why(self, index: int) -> str:
        """Why a shard could not be had."""
        reasons = []
        for place in self.chunk.places:
            if place.index == index:
                state, shards = self._state(place)
                states = [self._trouble[s.path] for s in shards if s.path in self._trouble] or [state]
                reasons.append(f"{'/'.join(states)} on {self._journal.remote_name(place.remote)}")
        return f"shard {index} " + (", ".join(reasons) or "was never recorded")

    # --- streams ---

    def stored(self, start: int, length: int) -> Iterator[bytes]:
        """Bytes of the stored stream."""
        unit, end = self.chunk.unit, start + length
        row_size = unit * self.chunk.data
        while start < end:
            row, inside = divmod(start, row_size)
            first = inside // unit
            stop = min(end, (row + 1) * row_size)
            last = (stop - 1 - row * row_size) // unit
            content = b"".join(self._row_units(row, range(first, last + 1)))
            skip = inside - first * unit
            yield content[skip : skip + stop - start]
            start = stop

    def plain(self, start: int, length: int) -> Iterator[bytes]:
        """Bytes of the chunk as the user stored them."""
        chunk = self.chunk
        if chunk.plugins:
            raise Unreadable(
                f"chunk {chunk.chunk} needs the plugin {', '.join(chunk.plugins)}, which this reader lacks"
            )
        if start + length > chunk.size:
            raise Unreadable(f"chunk {chunk.chunk} has {chunk.size} bytes, but {start + length} are referred to")
        if chunk.frames is None:
            yield from self.stored(start, length)
            return
        plain_at = stored_at = 0
        for number, (plain, stored) in enumerate(chunk.frames):
            first, last = max(start - plain_at, 0), min(start + length - plain_at, plain)
            if first < last:
                yield self._decompress(number, stored_at, stored, plain)[first:last]
            plain_at, stored_at = plain_at + plain, stored_at + stored

    def _decompress(self, number: int, start: int, stored: int, plain: int) -> bytes:
        if self._frame[0] != number:
            try:
                content = zstd_decode.decompress(b"".join(self.stored(start, stored)), plain)
            except zstd_decode.ZstdError as error:
                raise Unreadable(f"chunk {self.chunk.chunk}: frame {number}: {error}; {self.shards()}") from None
            if len(content) != plain:
                raise Unreadable(f"chunk {self.chunk.chunk}: frame {number} has {len(content)} bytes, not {plain}")
            self._frame = (number, content)
        return self._frame[1]

    def shards(self) -> str:
        """Which shards the chunk is made of."""
        places = (f"{p.index} on {self._journal.remote_name(p.remote)}" for p in self.chunk.places)
        return f"shards {', '.join(places)}"

    # --- checking ---

    def check(self, report: Report) -> Counter[str]:
        """Reads every shard of the chunk; counts their states."""
        states: Counter[str] = Counter()
        for place in self.chunk.places:
            if place.index >= len(self.chunk.sums):
                report.fail(f"chunk {self.chunk.chunk}: a place of shard {place.index}, which its layout does not have")
                continue
            state, shards = self._state(place)
            expected = sum(self._length(row, place.index) for row in range(self.rows))
            for shard in shards:
                bad = [row for row in range(self.rows) if self._length(row, shard.index) and not self._read(shard, row)]
                if bad:
                    state = "damaged"
                    report.note(f"{shard.path}: damaged in {len(bad)} of {self.rows} rows, first in row {bad[0]}")
                elif shard.size != expected:
                    state = "damaged"
                    report.note(f"{shard.path}: has {shard.size} bytes, but {expected} belong there")
            if state != "good" and state != "damaged":
                where = self._journal.remote_name(place.remote)
                report.note(f"chunk {self.chunk.chunk}: shard {place.index} copy {place.copy} on {where}: {state}")
            states[state] += 1
        try:
            self._check_parity(report)
            if self.chunk.sha256 and not self.chunk.plugins:
                digest = hashlib.sha256()
                for piece in self.plain(0, self.chunk.size):
                    digest.update(piece)
                if digest.hexdigest() != self.chunk.sha256:
                    report.fail(f"chunk {self.chunk.chunk}: the SHA-256 of its content differs; {self.shards()}")
        except Unreadable as error:
            report.note(str(error))  # the files that need it fail by themselves
        return states

    def _check_parity(self, report: Report) -> None:
        data = self.chunk.data
        for row in range(self.rows if self.chunk.parity else 0):
            for number, unit in enumerate(encode_row(self._row_units(row, range(data)), self.chunk.parity)):
                if crc32c(unit) != self.chunk.sums[data + number][row]:
                    report.fail(
                        f"chunk {self.chunk.chunk}: row {row}: parity shard {data + number} is not the code of the data"
                    )


class Contents:
    """Reads what entries hold. One chunk at a time is kept open."""

    def __init__(self, journal: Journal, remotes: Sequence[RemoteDir], pool: str) -> None:
        self._journal = journal
        self._remotes = remotes
        self._pool = pool
        self._reader: ChunkReader | None = None

    def reader(self, chunk: str) -> ChunkReader:
        if self._reader is None or self._reader.chunk.chunk != chunk:
            if chunk not in self._journal.chunks:
                raise Unreadable(f"chunk {chunk} has no record in the journal: its shards are unknown")
            self.close()
            self._reader = ChunkReader(self._journal.chunks[chunk], self._remotes, self._pool, self._journal)
        return self._reader

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def read(self, entry: Entry) -> Iterator[bytes]:
        """The bytes of a file. Only when it ended without Unreadable are they known to be right."""
        if entry.problem:
            raise Unreadable(entry.problem)
        whole = {name: hashlib.new(name, usedforsecurity=False) for name in entry.hashes}
        for piece in [entry.data] if entry.kind == "inline" else self._extents(entry):
            for digest in whole.values():
                digest.update(piece)
            yield piece
        for name, digest in whole.items():
            if digest.hexdigest() != entry.hashes[name]:
                chunks = ", ".join(extent.chunk for extent in entry.extents) or "none, it is kept in its entry"
                raise Unreadable(f"the {name} of the whole differs; chunks: {chunks}")

    def _extents(self, entry: Entry) -> Iterator[bytes]:
        for extent in entry.extents:
            reader = self.reader(extent.chunk)
            digest = hashlib.sha256()
            for piece in reader.plain(extent.chunk_offset, extent.length):
                digest.update(piece)
                yield piece
            if digest.hexdigest() != extent.sha256:
                raise Unreadable(
                    f"bytes {extent.offset} to {extent.offset + extent.length}: SHA-256 differs; "
                    f"chunk {extent.chunk}, {reader.shards()}"
                )
