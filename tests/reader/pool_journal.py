"""The journal of a pool: its commits, their records, and what these say when merged (FORMAT.md)."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import zstd_decode
from pool_records import (
    ID,
    STAMP,
    Chunk,
    Entry,
    Json,
    Malformed,
    Place,
    check_path,
    child,
    children,
    parse_json,
    read_chunk,
    read_entry,
    read_place,
    record_bytes,
    text,
    texts,
    whole,
)

FORMAT = 1
FEATURES = frozenset(("zstd", "plugins"))  # of `requires`: this reader understands the fields of both
STATES = ("joining", "active", "draining", "leaving", "removed")
MOST_JSON = 268_435_456

_COMMIT = re.compile(r"([0-9a-f]{12}-[0-9a-f]{8}-[0-9a-f]{16})-([0-9]+)-([0-9a-f]{16})\.json(\.zst)?")
_MARKER = re.compile(r"remote-([0-9a-f]{32})-([0-9a-f]{32})\.json")
_SHARD = re.compile(r"([0-9a-f]{32})\.([0-9]{1,3})\.([0-9a-f]{16})")


class Report:
    """Tells the user what is wrong. A failure is something that could not be restored; a note is not."""

    def __init__(self) -> None:
        self.failures = 0

    def note(self, message: str) -> None:
        print(f"note: {shown(message)}", file=sys.stderr)

    def fail(self, message: str) -> None:
        self.failures += 1
        print(f"FAILED: {shown(message)}", file=sys.stderr)


def shown(text: str) -> str:
    """`text` without characters that could confuse a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


# --- remotes ---


@dataclass(frozen=True)
class Shard:
    """A shard object that was found."""

    index: int
    nonce: str
    path: str
    size: int


class RemoteDir:
    """One remote: a directory with its objects. What cannot be listed is taken as absent."""

    def __init__(self, root: str, manifest_prefix: str, report: Report) -> None:
        self.root = root
        self.report = report
        self.data_prefix = ""  # known when the journal was read
        self.markers: dict[str, set[str]] = {}  # pool: ids of this remote; more than one only by mistake
        self.commits: dict[str, tuple[str, int]] = {}  # name: file, size
        self._shards: dict[str, dict[str, list[Shard]]] = {}
        manifests = os.path.join(root, manifest_prefix.strip("/"))
        if not os.path.isdir(root):
            report.note(f"{root}: no such directory; this remote is offline")
            return
        for name, path, _ in self._list(manifests):
            match = _MARKER.fullmatch(name)
            if match:
                self._marker(path, match[1], match[2])
        for name, path, size in self._list(os.path.join(manifests, "commits")):
            if _COMMIT.fullmatch(name):
                self.commits[name] = (path, size)

    def _list(self, directory: str) -> Iterator[tuple[str, str, int]]:
        try:
            with os.scandir(directory) as listing:
                for item in listing:
                    try:
                        size = item.stat().st_size if item.is_file() else -1
                    except OSError as error:
                        self.report.note(f"{item.path} cannot be looked at: {error}")
                        continue
                    if size >= 0:
                        yield item.name, item.path, size
        except FileNotFoundError:
            return
        except OSError as error:
            self.report.note(f"{directory} cannot be listed: {error}")

    def _marker(self, path: str, pool: str, remote: str) -> None:
        try:
            with open(path, "rb") as file:
                marker = parse_json(file.read())
            if (text(marker, "pool"), text(marker, "remote")) != (pool, remote):
                raise Malformed("name and content differ")
            if whole(marker, "format") > FORMAT:
                self.report.note(f"{path}: the pool uses format {marker['format']}; this reader knows {FORMAT}")
        except (OSError, Malformed) as error:
            self.report.note(f"{path}: damaged marker: {error}")
        else:
            self.markers.setdefault(pool, set()).add(remote)

    def shards(self, chunk: str) -> list[Shard]:
        """All shard objects of a chunk."""
        first = chunk[0]
        if first not in self._shards:
            found: dict[str, list[Shard]] = {}
            for name, path, size in self._list(os.path.join(self.root, self.data_prefix, first)):
                match = _SHARD.fullmatch(name)
                if match:
                    found.setdefault(match[1], []).append(Shard(int(match[2]), match[3], path, size))
            self._shards[first] = found
        return self._shards[first].get(chunk, [])


# --- commits ---


@dataclass(frozen=True)
class Damage:
    """A copy of a commit that cannot be read."""

    name: str
    why: str
    remote: RemoteDir


@dataclass
class Commit:
    name: str
    pool: str
    refused: str  # why its records cannot be understood; empty: they can
    supersedes: list[str]
    part_of: str
    closes: list[str]
    records: list[Json]


def _parse_commit(name: str, data: bytes) -> Commit:
    if name.endswith(".zst"):
        try:
            data = zstd_decode.decompress(data, MOST_JSON)
        except zstd_decode.ZstdError as error:
            raise Malformed(f"cannot be decompressed: {error}") from None
    source = parse_json(data)
    version = whole(source, "format")
    unknown = [feature for feature in texts(source, "requires") if feature not in FEATURES]
    refused = ""
    if version != FORMAT:
        refused = f"is of format {version}; this reader knows {FORMAT}"
    elif unknown:
        refused = f"requires {', '.join(unknown)}, which this reader does not know"
    part_of = text(source, "part_of") if source.get("part_of") is not None else ""
    return Commit(
        name,
        text(source, "pool", ID),
        refused,
        texts(source, "supersedes"),
        part_of,
        texts(source, "closes"),
        [] if refused else children(source, "records"),
    )


def load_commits(remotes: Iterable[RemoteDir], every: bool, report: Report) -> tuple[dict[str, Commit], list[Damage]]:
    """The visible commits, and the damaged copies. `every`: reads all copies, not only one good."""
    commits: dict[str, Commit] = {}
    damaged: list[Damage] = []
    for remote in remotes:
        for name, (path, size) in sorted(remote.commits.items()):
            match = _COMMIT.fullmatch(name)
            if match is None or (name in commits and not every):
                continue
            if size != int(match[2]):
                report.note(f"{path}: {size} bytes instead of {match[2]}: an upload that broke; ignored")
                continue
            try:
                with open(path, "rb") as file:
                    data = file.read()
                if len(data) != size or hashlib.sha256(data).hexdigest()[:16] != match[3]:
                    raise Malformed("is damaged: its digest is not that of its name")
                if name not in commits:
                    commits[name] = _parse_commit(name, data)
            except (OSError, Malformed) as error:
                damaged.append(Damage(name, f"commit {path}: {error}", remote))
    return commits, damaged


def counting(commits: dict[str, Commit], damaged: list[Damage], report: Report) -> list[Commit]:
    """The commits whose records count. Reports operations and commits that are not all there."""
    superseded: set[str] = set()
    while True:
        # A part may be superseded by a commit that counts only because its own parts are: until nothing changes.
        whole = {c.name for c in commits.values() if all(p in commits or p in superseded for p in c.closes)}
        closed = {part for name in whole for part in commits[name].closes}
        standing = [c for c in commits.values() if c.name in whole and (not c.part_of or c.name in closed)]
        # What a commit that does not count or is not understood supersedes is still the best there is.
        more = {name for c in standing if not c.refused for name in c.supersedes}
        if more == superseded:
            break
        superseded = more
    incomplete = [c for c in commits.values() if c.name not in whole]
    unclosed = [c for c in commits.values() if c.name in whole and c.part_of and c.name not in closed]
    for commit in incomplete:
        if commit.name not in superseded:
            absent = ", ".join(part for part in commit.closes if part not in commits and part not in superseded)
            report.fail(f"commit {commit.name} and its operation do not count: its parts {absent} are missing")
    for commit in unclosed:
        if commit.name not in superseded:
            report.note(f"commit {commit.name} is part of operation {commit.part_of}, which nothing closes; ignored")
    for damage in damaged:
        if damage.name in commits or damage.name in superseded:
            report.note(f"{damage.why}; nothing is lost by it")
        else:
            report.fail(f"{damage.why}; no other copy of it is there: what follows may be incomplete")
    for commit in standing:
        if commit.refused and commit.name not in superseded:
            report.fail(f"commit {commit.name} {commit.refused}: what follows is incomplete")
    return [c for c in standing if not c.refused and c.name not in superseded]


# --- merging ---


def _prefix(body: Json) -> str:
    prefix = text(body, "data_prefix").strip("/") if "data_prefix" in body else ""
    if ".." in prefix.split("/"):
        raise Malformed(f"has a `data_prefix` that leads elsewhere: {prefix}")
    return prefix


class Journal:
    """What all counting commits say together."""

    def __init__(self, commits: Iterable[Commit], report: Report) -> None:
        self.report = report
        self.chunks: dict[str, Chunk] = {}
        self.gone: set[str] = set()
        self.labels: dict[str, str] = {}  # of every remote
        self.states: dict[str, str] = {}
        self.live: dict[str, Entry] = {}
        self._versions: dict[str, dict[bytes, Entry]] = {}
        self._killed: dict[str, str] = {}
        self._pool: tuple[str, bytes, str] = ("", b"", "")
        self._remotes: dict[str, tuple[int, str, bytes, str]] = {}
        self._places: dict[tuple[str, int, int], set[tuple[str, bytes, Place]]] = {}
        self._lost: set[tuple[str, int, str, str]] = set()
        for commit in commits:
            stamps = [""]
            for record in commit.records:
                kind = ", ".join(record)
                try:
                    if len(record) != 1:
                        raise Malformed("has not one key")
                    body = child(record, kind)
                    stamps.append(text(body, "stamp", STAMP))
                    self._take(kind, body)
                except Malformed as error:
                    report.fail(f"commit {commit.name}: a record `{kind}` {error}; the record is left out")
            if not commit.name.startswith(max(stamps) + "-"):
                report.note(f"commit {commit.name}: the greatest stamp of its records is {max(stamps) or 'absent'}")
        self._settle()

    def _take(self, kind: str, body: Json) -> None:
        if kind == "entry":
            entry = read_entry(body)
            self._versions.setdefault(entry.path, {})[entry.raw] = entry
        elif kind == "deleted":
            path = check_path(text(body, "path"))
            self._killed[path] = max(self._killed.get(path, ""), text(body, "of", STAMP))
        elif kind == "chunk":
            self._take_chunk(body)
        elif kind == "shard":
            self._take_place(text(body, "chunk", ID), text(body, "stamp", STAMP), child(body, "place"))
        elif kind == "dropped":
            chunk = text(body, "chunk", ID)
            if body.get("object") is None:
                self.gone.add(chunk)
            else:
                place = read_place(child(body, "object"))
                self._lost.add((chunk, place.index, place.remote, place.nonce))
        elif kind == "remote":
            remote, state = text(body, "remote", ID), text(body, "state")
            if state not in STATES:
                raise Malformed(f"has an unknown state: {state}")
            known = (STATES.index(state), text(body, "stamp", STAMP), record_bytes(kind, body), text(body, "label"))
            self._remotes[remote] = max(known, self._remotes.get(remote, known))
        elif kind == "pool":
            order = (text(body, "stamp", STAMP), record_bytes(kind, body), _prefix(body))
            self._pool = max(order, self._pool)
        elif kind not in ("upload", "condemned"):  # these do not matter to who only reads
            self.report.note(f"a record of the unknown type `{kind}` is ignored")

    def _take_chunk(self, body: Json) -> None:
        chunk = read_chunk(body)
        old = self.chunks.get(chunk.chunk)
        if old and (old.size, old.stored, old.data, old.parity, old.unit, old.sums) != (
            *(chunk.size, chunk.stored, chunk.data, chunk.parity, chunk.unit, chunk.sums),
        ):
            self.report.note(f"chunk {chunk.chunk}: two records differ in what never changes")
        if old is None or (chunk.stamp, chunk.raw) > (old.stamp, old.raw):
            self.chunks[chunk.chunk] = chunk
        for place in children(body, "shards"):
            self._take_place(chunk.chunk, chunk.stamp, place)

    def _take_place(self, chunk: str, stamp: str, source: Json) -> None:
        place = read_place(source)
        raw = record_bytes("shard", {"chunk": chunk, "stamp": stamp, "place": source})
        self._places.setdefault((chunk, place.index, place.copy), set()).add((stamp, raw, place))

    def _settle(self) -> None:
        self.labels = {remote: order[3] for remote, order in self._remotes.items()}
        self.states = {remote: STATES[order[0]] for remote, order in self._remotes.items()}
        for (chunk, *_), records in sorted(self._places.items()):
            valid = [(s, r, p) for s, r, p in records if (chunk, p.index, p.remote, p.nonce) not in self._lost]
            if valid and chunk in self.chunks:
                self.chunks[chunk].places.append(max(valid)[2])
        for path, versions in sorted(self._versions.items()):
            for entry in sorted(versions.values(), key=Entry.order, reverse=True):
                if entry.stamp <= self._killed.get(path, ""):
                    break  # and so are all older ones
                if any(extent.chunk in self.gone for extent in entry.extents):
                    self.report.note(f"{path}: its version {entry.stamp} is void: its data was dropped")
                    continue
                self.live[path] = entry
                break

    @property
    def data_prefix(self) -> str:
        """Where the pool keeps its shards, if a record says it; else empty."""
        return self._pool[2]

    def remote_name(self, remote: str) -> str:
        return self.labels.get(remote) or f"remote {remote}"
