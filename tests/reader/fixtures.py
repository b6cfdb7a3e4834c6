"""Builds tiny pools by hand, straight from FORMAT.md.

Shares no code with the reader, so that one mistake cannot be in both: CRC-32C is computed bit by bit,
and parity by Lagrange's formula. (V · T⁻¹ evaluates, at x = k + p, the polynomial of degree below k that
takes the value of data unit i at x = i.)
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

Json = dict[str, object]

MANIFESTS = "rclonepool_manifests"
DATA = "rclonepool_data"
MTIME = 1_700_000_123_456_789_000


# --- the mathematics, slow and plain ---


def crc32c_slow(data: bytes) -> int:
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (0x82F63B78 * (register & 1))
    return register ^ 0xFFFFFFFF


def gf_times(a: int, b: int) -> int:
    """Russian peasant multiplication modulo x^8 + x^4 + x^3 + x^2 + 1."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        a <<= 1
        if a & 0x100:
            a ^= 0x11D
        b >>= 1
    return product


def gf_inverse(a: int) -> int:
    return next(b for b in range(1, 256) if gf_times(a, b) == 1)


def lagrange(data: int, x: int) -> list[int]:
    """The weights of the values at 0 … data-1 in the value at x."""
    weights = []
    for i in range(data):
        weight = 1
        for j in range(data):
            if j != i:
                weight = gf_times(weight, gf_times(x ^ j, gf_inverse(i ^ j)))
        weights.append(weight)
    return weights


def parity_unit(units: list[bytes], x: int) -> bytes:
    length = len(units[0])
    unit = bytearray(length)
    for weight, source in zip(lagrange(len(units), x), units):
        for at, byte in enumerate(source):
            unit[at] ^= gf_times(weight, byte)
    return bytes(unit)


def shards_of(stored: bytes, data: int, parity: int, unit: int) -> list[list[bytes]]:
    """Of every shard index: its units."""
    shards: list[list[bytes]] = [[] for _ in range(data + parity)]
    for start in range(0, len(stored), unit * data):
        row = stored[start : start + unit * data]
        units = [row[i * unit : (i + 1) * unit] for i in range(data)]
        for index, content in enumerate(units):
            if content:
                shards[index].append(content)
        for p in range(parity):
            shards[data + p].append(parity_unit(units, data + p))
    return shards


def raw_zstd(content: bytes, checksum: bytes = b"") -> bytes:
    """A Zstandard frame of raw blocks, made by hand."""
    head = b"\x28\xb5\x2f\xfd" + bytes([0xA0 | (4 if checksum else 0)]) + len(content).to_bytes(4, "little")
    pieces = [content[at : at + 1000] for at in range(0, len(content), 1000)] or [b""]
    blocks = b""
    for number, piece in enumerate(pieces):
        last = number == len(pieces) - 1
        blocks += (len(piece) << 3 | last).to_bytes(3, "little") + piece
    return head + blocks + checksum


def noise(length: int, seed: str) -> bytes:
    """Bytes without order, the same every time."""
    blocks = (hashlib.sha256(f"{seed} {number}".encode()).digest() for number in range(length // 32 + 1))
    return b"".join(blocks)[:length]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def an_id(*parts: object) -> str:
    return sha256(repr(parts).encode())[:32]


# --- pools ---


@dataclass
class Layout:
    data: int = 1
    parity: int = 0
    copies: int = 1
    unit: int = 64


NONE = Layout()
REPLICATION = Layout(copies=2)
PARITY_2_1 = Layout(2, 1)
PARITY_3_2 = Layout(3, 2)
HYBRID = Layout(2, 1, 2)


@dataclass
class Made:
    """A chunk that was put: its record, and where its shard objects lie."""

    chunk: str
    body: Json
    files: dict[tuple[int, int], Path] = field(default_factory=dict)

    @property
    def record(self) -> Json:
        return {"chunk": self.body}

    def place(self, index: int, copy: int = 0) -> Json:
        places = self.body["shards"]
        assert isinstance(places, list)
        return next(dict(p) for p in places if (p["index"], p["copy"]) == (index, copy))


class HandMade:
    """A pool of `count` remotes below `root`; each is a directory `r0`, `r1`, …"""

    def __init__(
        self, root: Path, count: int, name: str = "pool", manifests: str = MANIFESTS, data: str = DATA
    ) -> None:
        self.pool = an_id(name)
        self.name = name
        self.manifests = manifests
        self.data = data
        self.dirs = [root / f"{name}-r{n}" for n in range(count)]
        self.remotes = [an_id(name, "remote", n) for n in range(count)]
        self._ticks = 0
        self._made = 0
        for number, directory in enumerate(self.dirs):
            (directory / manifests / "commits").mkdir(parents=True)
            (directory / data).mkdir()
            marker = {"format": 1, "pool": self.pool, "remote": self.remotes[number], "label": f"label{number}:"}
            marker["created_ms"] = 1_700_000_000_000
            self.marker(number).write_text(json.dumps(marker))

    def marker(self, number: int) -> Path:
        return self.dirs[number] / self.manifests / f"remote-{self.pool}-{self.remotes[number]}.json"

    def stamp(self, ms: int | None = None, counter: int = 0) -> str:
        """A stamp later than all before, unless told."""
        if ms is None:
            self._ticks += 1
            ms = 1_700_000_000_000 + self._ticks
        return f"{ms:012x}-{counter:08x}-{an_id(self.name, 'writer')[:16]}"

    # --- records ---

    def pool_record(self, layout: Layout, **more: object) -> Json:
        redundancy = {"mode": "parity", "data": layout.data, "parity": layout.parity, "copies": layout.copies}
        body = {"pool": self.pool, "stamp": self.stamp(), "created_ms": 1, "redundancy": redundancy}
        return {"pool": {**body, "chunk_size": 1 << 20, "strategy": "round_robin", "data_prefix": self.data, **more}}

    def remote_record(self, number: int, state: str = "active", stamp: str = "") -> Json:
        body: Json = {"remote": self.remotes[number], "stamp": stamp or self.stamp(), "label": f"label{number}:"}
        return {"remote": {**body, "state": state, "weight": 1, "priority": 0}}

    def entry(self, path: str, content: Json, **more: object) -> Json:
        body: Json = {"path": path, "stamp": self.stamp(), "mtime_ns": MTIME, "created_ms": 1_700_000_000_000}
        return {"entry": {**body, **more, "content": content}}

    def inline(self, path: str, data: bytes, **more: object) -> Json:
        content = {"sha256": sha256(data), "data": base64.b64encode(data).decode()}
        return self.entry(path, {"inline": content}, **more)

    def file(self, path: str, data: bytes, *pieces: tuple[Made, int, int], **more: object) -> Json:
        """A file of pieces (chunk, offset in the chunk, length)."""
        extents: list[Json] = []
        at = 0
        for made, chunk_offset, length in pieces:
            digest = sha256(data[at : at + length])
            extent: Json = {"offset": at, "length": length, "sha256": digest, "chunk": made.chunk}
            extents.append({**extent, "chunk_offset": chunk_offset})
            at += length
        assert at == len(data)
        hashes = {"sha256": sha256(data), "md5": hashlib.md5(data).hexdigest()}
        content = {"size": len(data), "chunk_size": 1 << 20, "extents": extents, "hashes": hashes}
        return self.entry(path, {"file": content}, **more)

    def deleted(self, path: str, of: object) -> Json:
        return {"deleted": {"path": path, "stamp": self.stamp(), "of": of}}

    def moved(self, made: Made, place: Json, stamp: str = "") -> Json:
        return {"shard": {"chunk": made.chunk, "stamp": stamp or self.stamp(), "place": place}}

    def dropped(self, made: Made, place: Json | None = None) -> Json:
        body: Json = {"chunk": made.chunk, "stamp": self.stamp()}
        return {"dropped": body if place is None else {**body, "object": place}}

    # --- objects ---

    def chunk(
        self,
        plain: bytes,
        layout: Layout,
        *,
        stored: bytes | None = None,
        first: int = 0,
        **more: object,
    ) -> Made:
        """Puts a chunk: shard i copy c goes to remote (first + i + c × shards) mod remotes."""
        self._made += 1
        chunk = an_id(self.name, "chunk", self._made)
        stream = plain if stored is None else stored
        shards = shards_of(stream, layout.data, layout.parity, layout.unit)
        sums = [b"".join(crc32c_slow(unit).to_bytes(4, "little") for unit in units) for units in shards]
        places: list[Json] = []
        body: Json = {"chunk": chunk, "stamp": self.stamp(), "size": len(plain), "stored": len(stream), **more}
        body["layout"] = {
            "data": layout.data,
            "parity": layout.parity,
            "copies": layout.copies,
            "unit": layout.unit,
        }
        body["units"] = [base64.b64encode(text).decode() for text in sums]
        body["shards"] = places
        made = Made(chunk, body)
        for copy in range(layout.copies):
            for index, units in enumerate(shards):
                number = (first + index + copy * len(shards)) % len(self.dirs)
                place = self.new_place(made, index, copy, number)
                made.files[index, copy] = self.put(chunk, place, b"".join(units))
                places.append(place)
        return made

    def new_place(self, made: Made, index: int, copy: int, number: int) -> Json:
        self._made += 1
        nonce = an_id(made.chunk, "nonce", self._made)[:16]
        return {"index": index, "copy": copy, "remote": self.remotes[number], "nonce": nonce}

    def put(self, chunk: str, place: Json, content: bytes) -> Path:
        directory = self.dirs[self.remotes.index(str(place["remote"]))]
        path = directory / self.data / chunk[0] / f"{chunk}.{place['index']}.{place['nonce']}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return path

    def commit(self, *records: Json, on: list[int] | None = None, packed: bool = False, **fields: object) -> str:
        """Writes a commit to the remotes `on` (all, unless told); answers its name."""
        body: Json = {"format": 1, "pool": self.pool, **fields, "records": list(records)}
        data = json.dumps(body, separators=(",", ":")).encode()  # ASCII: can carry what UTF-8 cannot
        values = [value for record in records for value in record.values() if isinstance(value, dict)]
        stamps = [str(value["stamp"]) for value in values if "stamp" in value]
        return self.put_commit(max(stamps), data, on, packed)

    def put_commit(self, stamp: str, data: bytes, on: list[int] | None = None, packed: bool = False) -> str:
        if packed:
            data = raw_zstd(data)
        name = f"{stamp}-{len(data)}-{sha256(data)[:16]}.json" + (".zst" if packed else "")
        for number in range(len(self.dirs)) if on is None else on:
            self.commit_file(name, number).write_bytes(data)
        return name

    def commit_file(self, name: str, number: int) -> Path:
        return self.dirs[number] / self.manifests / "commits" / name

    def lose(self, *numbers: int) -> list[Path]:
        """The remotes without these."""
        return [directory for number, directory in enumerate(self.dirs) if number not in numbers]

    def wipe(self, number: int) -> None:
        shutil.rmtree(self.dirs[number])


def flip(path: Path, at: int = 0) -> None:
    """Damages one byte of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 0x40
    path.write_bytes(bytes(data))
