"""The records of a pool's journal, as FORMAT.md says: reading them, checking them, their bytes."""

from __future__ import annotations

import base64
import binascii
import json
import re
import struct
from dataclasses import dataclass, field

ID = re.compile(r"[0-9a-f]{32}")
MOST_OF_A_FRAME = 4_194_304  # bytes, plain and stored
NONCE = re.compile(r"[0-9a-f]{16}")
SHA256 = re.compile(r"[0-9a-f]{64}")
STAMP = re.compile(r"[0-9a-f]{12}-[0-9a-f]{8}-[0-9a-f]{16}")

Json = dict[str, object]


class Malformed(ValueError):
    """A record or commit that is not as FORMAT.md says."""


# --- typed access to JSON ---


def parse_json(data: bytes) -> Json:
    try:
        value = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise Malformed("is not a JSON object")
    return value


def _value(source: Json, name: str) -> object:
    if source.get(name) is None:
        raise Malformed(f"has no `{name}`")
    return source[name]


def text(source: Json, name: str, form: re.Pattern[str] | None = None) -> str:
    value = _value(source, name)
    if not isinstance(value, str) or (form and not form.fullmatch(value)):
        raise Malformed(f"`{name}` is wrong: {value!r:.100}")
    return value


def whole(source: Json, name: str, default: int | None = None) -> int:
    value = source.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, int) or isinstance(value, bool):
        raise Malformed(f"`{name}` is not an integer: {value!r:.100}")
    return value


def size_of(source: Json, name: str) -> int:
    value = whole(source, name)
    if value < 0:
        raise Malformed(f"`{name}` is negative: {value}")
    return value


def child(source: Json, name: str) -> Json:
    value = _value(source, name)
    if not isinstance(value, dict):
        raise Malformed(f"`{name}` is not an object")
    return value


def children(source: Json, name: str) -> list[Json]:
    value = _value(source, name)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Malformed(f"`{name}` is not a list of objects")
    return value


def texts(source: Json, name: str) -> list[str]:
    """A list of texts; absent is empty."""
    value = source.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Malformed(f"`{name}` is not a list of texts")
    return value


# --- the bytes of a record, which decide where stamps are equal ---

_ORDER = {
    "pool": "pool stamp created_ms redundancy chunk_size strategy data_prefix commit_quorum trash_hours",
    "redundancy": "mode data parity copies",
    "remote": "remote stamp label state weight priority quota domain",
    "entry": "path stamp rev mtime_ns created_ms executable content_type properties content",
    "properties": "namespace name xml",
    "content": "file inline link directory",
    "file": "size chunk_size extents hashes",
    "extents": "offset length sha256 chunk chunk_offset",
    "hashes": "sha256 md5 sha1",
    "inline": "sha256 data",
    "link": "target",
    "directory": "",
    "deleted": "path stamp of purge",
    "chunk": "chunk stamp size stored sha256 compression transforms layout units shards",
    "compression": "zstd pieces",
    "zstd": "frames",
    "frames": "plain stored",
    "transforms": "plugin version",
    "layout": "data parity copies unit",
    "shards": "index copy remote nonce",
    "shard": "chunk stamp place",
    "place": "index copy remote nonce",
}
_FIELDS = {name: fields.split() for name, fields in _ORDER.items()}
_DEFAULTS: dict[str, object] = {"rev": 0, "executable": False}


def _ordered(name: str, value: object) -> object:
    if isinstance(value, list):
        return [_ordered(name, item) for item in value]
    if isinstance(value, dict) and name in _FIELDS:
        known = ((key, value.get(key)) for key in _FIELDS[name])
        return {k: _ordered(k, v) for k, v in known if v is not None and not (k in _DEFAULTS and v == _DEFAULTS[k])}
    return value


def record_bytes(kind: str, body: Json) -> bytes:
    """The record's JSON with its fields in the order of FORMAT.md, without white space and absent fields."""
    record = {kind: _ordered(kind, body)}
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


# --- records ---


@dataclass(frozen=True)
class Extent:
    offset: int
    length: int
    sha256: str
    chunk: str
    chunk_offset: int


@dataclass
class Entry:
    """A version of what a path holds. `problem`: why its content cannot be understood."""

    path: str
    stamp: str
    rev: int
    raw: bytes
    mtime_ns: int | None = None
    executable: bool = False
    kind: str = ""  # file, inline, link, directory
    size: int = 0
    extents: list[Extent] = field(default_factory=list)
    hashes: dict[str, str] = field(default_factory=dict)
    data: bytes = b""
    target: str = ""
    problem: str = ""

    def order(self) -> tuple[str, int, bytes]:
        return self.stamp, self.rev, self.raw


@dataclass(frozen=True)
class Place:
    index: int
    copy: int
    remote: str
    nonce: str


@dataclass
class Chunk:
    """`problem`: why its record cannot be understood; `plugins`: what must be undone by others."""

    chunk: str
    stamp: str
    raw: bytes
    size: int = 0
    stored: int = 0
    sha256: str = ""
    data: int = 1
    parity: int = 0
    unit: int = 1
    sums: list[tuple[int, ...]] = field(default_factory=list)
    frames: list[tuple[int, int]] | None = None
    plugins: list[str] = field(default_factory=list)
    problem: str = ""
    places: list[Place] = field(default_factory=list)


def check_path(path: str) -> str:
    """The path itself; raises Malformed if no pool may hold such a path."""
    try:
        raw = path.encode("utf-8")
    except UnicodeEncodeError:
        raise Malformed(f"path is not Unicode: {path!r}") from None
    parts = raw.split(b"/")
    if parts[0] or len(parts) < 2 or len(raw) > 4096 or b"\0" in raw:
        raise Malformed(f"path is not allowed: {path!r:.200}")
    if any(part in (b"", b".", b"..") or len(part) > 255 for part in parts[1:]):
        raise Malformed(f"path has a component that is not allowed: {path!r:.200}")
    return path


def read_entry(body: Json) -> Entry:
    raw = record_bytes("entry", body)
    entry = Entry(check_path(text(body, "path")), text(body, "stamp", STAMP), whole(body, "rev", 0), raw)
    try:
        _entry_content(entry, body)
    except Malformed as error:
        entry.problem = f"its entry {error}"
    return entry


def _entry_content(entry: Entry, body: Json) -> None:
    content = child(body, "content")
    entry.kind = next(iter(content), "")
    entry.mtime_ns = whole(body, "mtime_ns")
    entry.executable = body.get("executable") is True
    if len(content) != 1 or entry.kind not in ("file", "inline", "link", "directory"):
        raise Malformed(f"has content of an unknown kind: {', '.join(content)}")
    source = child(content, entry.kind)
    if entry.kind == "link":
        entry.target = text(source, "target")
    elif entry.kind == "inline":
        try:
            entry.data = base64.b64decode(text(source, "data"), validate=True)
        except (binascii.Error, ValueError):
            raise Malformed("has data that is not base64") from None
        entry.size = len(entry.data)
        entry.hashes = {"sha256": text(source, "sha256", SHA256)}
    elif entry.kind == "file":
        entry.size = size_of(source, "size")
        end = 0
        for extent in children(source, "extents"):
            sha256, chunk = text(extent, "sha256", SHA256), text(extent, "chunk", ID)
            item = Extent(
                size_of(extent, "offset"), size_of(extent, "length"), sha256, chunk, size_of(extent, "chunk_offset")
            )
            entry.extents.append(item)
            if item.offset != end:
                raise Malformed(f"has a gap or overlap of extents at byte {end}")
            end += item.length
        if end != entry.size:
            raise Malformed(f"has extents of {end} bytes for a file of {entry.size}")
        if source.get("hashes") is not None:
            hashes = child(source, "hashes")
            entry.hashes = {name: text(hashes, name) for name in ("sha256", "md5", "sha1") if hashes.get(name)}


def read_place(source: Json) -> Place:
    return Place(
        size_of(source, "index"), size_of(source, "copy"), text(source, "remote", ID), text(source, "nonce", NONCE)
    )


def read_chunk(body: Json) -> Chunk:
    chunk = Chunk(text(body, "chunk", ID), text(body, "stamp", STAMP), record_bytes("chunk", body))
    try:
        _chunk_content(chunk, body)
    except Malformed as error:
        chunk.problem = f"its record {error}"
    return chunk


def _chunk_content(chunk: Chunk, body: Json) -> None:
    chunk.plugins = [
        f"{text(t, 'plugin')} {text(t, 'version')}"
        for t in (children(body, "transforms") if "transforms" in body else [])
    ]
    chunk.size, chunk.stored = size_of(body, "size"), size_of(body, "stored")
    if body.get("sha256") is not None:
        chunk.sha256 = text(body, "sha256", SHA256)
    if body.get("compression") is not None:
        compression = child(body, "compression")
        if list(compression) not in (["zstd"], ["pieces"]):
            raise Malformed(f"has an unknown compression: {', '.join(compression)}")
        if "pieces" in compression and not chunk.plugins:
            raise Malformed("has pieces, and no plugin that made them")
        frames = children(child(compression, next(iter(compression))), "frames")
        chunk.frames = [(size_of(frame, "plain"), size_of(frame, "stored")) for frame in frames]
        if any(not 0 < size <= MOST_OF_A_FRAME for frame in chunk.frames for size in frame):
            raise Malformed("has a frame of an impossible size")
    if chunk.plugins and chunk.frames is None:
        raise Malformed(f"names the plugin {', '.join(chunk.plugins)}, and no pieces that it made")
    parts = [(chunk.size, chunk.size)] if chunk.frames is None else chunk.frames
    if (sum(p for p, _ in parts), sum(s for _, s in parts)) != (chunk.size, chunk.stored):
        raise Malformed("has sizes that do not fit each other")
    layout = child(body, "layout")
    chunk.data, chunk.parity, chunk.unit = whole(layout, "data"), size_of(layout, "parity"), whole(layout, "unit")
    if chunk.data < 1 or chunk.unit < 1 or chunk.data + chunk.parity > 256:
        raise Malformed("has an impossible layout")
    units = -(-chunk.stored // chunk.unit)
    rows = -(-units // chunk.data)
    for index, sums in enumerate(texts(body, "units")):
        try:
            raw = base64.b64decode(sums, validate=True)
        except (binascii.Error, ValueError):
            raise Malformed("has checksums that are not base64") from None
        count = rows if index >= chunk.data else max(0, -(-(units - index) // chunk.data))
        if len(raw) != 4 * count:
            raise Malformed(f"has {len(raw)} bytes of checksums for the {count} units of shard {index}")
        chunk.sums.append(struct.unpack(f"<{count}I", raw))
    if len(chunk.sums) != chunk.data + chunk.parity:
        raise Malformed(f"has checksums of {len(chunk.sums)} shards for {chunk.data}+{chunk.parity}")
