"""The reports of :class:`rclonepool.Pool`, as plain dictionaries.

They are what the command line gives with ``--json``. Sizes are in bytes, times in the unit their name ends with.
"""

from typing import Literal, NotRequired, TypeAlias, TypedDict

# As names of this module, too.
from rclonepool.care_reports import *  # noqa: F403
from rclonepool.care_reports import Redundancy, RemoteState
from rclonepool.member_reports import *  # noqa: F403
from rclonepool.space_reports import *  # noqa: F403

Killer: TypeAlias = Literal["deleted", "overwritten"]
"""What put a version into the trash."""
TrashedKind: TypeAlias = Literal["file", "directory", "link"]
"""What a version in the trash is of."""


class Usage(TypedDict):
    """What a remote tells about its space, in bytes; ``None`` where it does not tell."""

    total: int | None
    """Capacity."""
    used: int | None
    """Used by anyone."""
    free: int | None
    """Still free."""


class Extent(TypedDict):
    """A run of a file's bytes and where it lies in a chunk."""

    offset: int
    """Where it begins in the file."""
    length: int
    """Its length in bytes."""
    sha256: str
    """SHA-256 of its bytes."""
    chunk: str
    """The chunk it lies in."""
    chunk_offset: int
    """Where it begins in the chunk's plain bytes."""


class FileHashes(TypedDict):
    """Digests of a whole file."""

    sha256: NotRequired[str]
    """SHA-256, hex."""
    md5: NotRequired[str]
    """MD5, hex."""
    sha1: NotRequired[str]
    """SHA-1, hex."""


class FileContent(TypedDict):
    """A file whose bytes are in chunks."""

    size: int
    """Its length in bytes."""
    chunk_size: int
    """The chunk size it was cut with, in bytes."""
    extents: list[Extent]
    """Its bytes, in order, without gaps."""
    hashes: NotRequired[FileHashes]
    """Digests of the whole file, where ``file_hashes`` asked for them."""


class InlineContent(TypedDict):
    """A small file, kept in its manifest."""

    sha256: str
    """SHA-256 of the bytes."""
    data: str
    """The bytes, in base64."""


class LinkContent(TypedDict):
    """A symbolic link."""

    target: str
    """Where it points, verbatim."""


class Content(TypedDict, total=False):
    """What a path holds; exactly one of these keys is there."""

    file: FileContent
    """A file in chunks."""
    inline: InlineContent
    """A small file."""
    link: LinkContent
    """A symbolic link."""
    directory: dict[str, object]
    """A directory that exists without anything in it."""


class Property(TypedDict):
    """A WebDAV property of a file."""

    namespace: str
    """The namespace of its name; empty for none."""
    name: str
    """Its name in that."""
    xml: str
    """The whole element."""


class ManifestEntry(TypedDict):
    """A version of what a path holds. Versions of a path are ordered by (stamp, rev, bytes)."""

    path: str
    """The path."""
    stamp: str
    """When the user's operation made it; care keeps it."""
    rev: NotRequired[int]
    """Raised by care (re-encoding, packing), which never touches the stamp."""
    mtime_ns: int
    """Modification time in nanoseconds since 1970."""
    created_ms: int
    """When it was put into the pool, in milliseconds since 1970."""
    executable: NotRequired[bool]
    """Whether the file is executable."""
    content_type: NotRequired[str]
    """MIME type, where the writer knew one."""
    properties: NotRequired[list[Property]]
    """WebDAV properties."""
    content: Content
    """What the path holds."""


class Layout(TypedDict):
    """The numbers that say how a chunk is coded. Shards 0..k hold data, k..k+m parity."""

    data: int
    """Data shards, k."""
    parity: int
    """Parity shards, m."""
    copies: int
    """Copies of every shard, c."""
    unit: int
    """Bytes of a unit."""


class ShardReport(TypedDict):
    """A shard of a Stat."""

    index: int
    """Its index: data shards first, then parity."""
    copy: int
    """Which copy."""
    remote: str
    """The remote's name where it is configured, else its label in the pool."""
    online: bool
    """Whether that remote is online."""
    object: str
    """The object there."""
    size: int
    """Its size in bytes."""


class ChunkReport(TypedDict):
    """A chunk of a Stat."""

    chunk: str
    """Its id."""
    size: int
    """Plain bytes."""
    stored: int
    """Stored bytes before redundancy."""
    layout: Layout
    """How it is spread."""
    shards: list[ShardReport]
    """Its shards."""


class ManifestReport(TypedDict):
    """A path's manifest and where its shards lie."""

    entry: ManifestEntry
    """The manifest."""
    chunks: list[ChunkReport]
    """Its chunks, in the order of the file."""


class RemoteReport(TypedDict):
    """One remote of a PoolStatus."""

    name: str
    """The name in the configuration, else the pool's label for it."""
    id: str | None
    """Its id, when it is known."""
    state: RemoteState | None
    """Its membership; ``None`` for one that is not of this pool."""
    configured: bool
    """Whether it is configured here."""
    online: bool
    """Whether it is online."""
    error: str | None
    """Why it is not."""
    objects: int
    """Shard objects on it."""
    used: int
    """Their bytes."""
    quota: int | None
    """The bytes the pool may use on it."""
    usage: Usage
    """What the remote itself tells."""


class PoolStatus(TypedDict):
    """The pool as one machine sees it."""

    pool: str
    """The pool."""
    files: int
    """Files."""
    bytes: int
    """Their bytes, before redundancy."""
    unique_bytes: int
    """Bytes of the files that are in different places, before compression and redundancy; those in the
    journal included."""
    deduplicated_bytes: int
    """Bytes of the files that need none, as others have the same content: the rest of ``bytes``."""
    trash_versions: int
    """Versions in the trash."""
    trash_bytes: int
    """Their bytes, before redundancy; what lies elsewhere in the pool too is counted here as well."""
    stored: int
    """Bytes of shards on all remotes."""
    compressed_bytes: int
    """Plain bytes of the chunks that are compressed."""
    compressed_stored: int
    """What is stored of them, before redundancy."""
    redundancy: Redundancy
    """The redundancy of new files."""
    tolerated: int
    """How many remotes new files survive the loss of, with the remotes there are."""
    complete_view: bool
    """Whether the remotes listed are enough to be sure of the newest state."""
    lacks: list[str]
    """Why they are not."""
    remotes: list[RemoteReport]
    """The remotes: configured ones first, in the configuration's order."""
    free: int | None
    """Plain bytes that still fit, after redundancy; ``None`` where remotes do not tell their free space."""


class CacheStats(TypedDict):
    """How the block cache did; counters never fall while the process lives."""

    hits: int
    """Blocks that were there when they were asked for."""
    joined: int
    """Blocks that were already on their way, for another reader or as read-ahead."""
    misses: int
    """Blocks that had to be fetched."""
    bytes: int
    """Bytes it holds now."""
    capacity: int
    """The most it may hold."""


class UploadReport(TypedDict):
    """What an upload did."""

    files: int
    """Files stored."""
    bytes: int
    """Their bytes."""
    unchanged: int
    """Files that were there already."""
    resumed_bytes: int
    """Bytes an interrupted upload had stored before."""
    deduplicated_bytes: int
    """Bytes that were in the pool already, or came twice."""
    skipped: int
    """Symbolic links and special files left out."""
    failed: int
    """Files that failed."""
    stale: bool
    """Acknowledged without a view, or by fewer remotes than the rule asks for."""


class DownloadReport(TypedDict):
    """What a download did."""

    files: int
    """Files written."""
    bytes: int
    """Their bytes."""
    unchanged: int
    """Files that were there already, with the same size and modification time."""
    failed: int
    """Files that failed."""
    degraded: int
    """Files some of whose shards are missing, damaged or on a remote that is offline."""


class ChangeReport(TypedDict):
    """What an operation on the namespace changed."""

    entries: int
    """Entries deleted or moved."""
    stale: bool
    """Whether it was acknowledged without a view: another writer's change may have been missed."""


class SyncReport(TypedDict):
    """What a look at the remotes found."""

    complete: bool
    """Whether the remotes listed are enough to be sure of the newest state."""
    lacks: list[str]
    """Why they are not."""


class TrashedVersion(TypedDict):
    """A version in the trash."""

    path: str
    """Its path."""
    kind: TrashedKind
    """What it is of."""
    version: str
    """Names the version."""
    size: int
    """Its length in bytes."""
    mtime_ns: int
    """Its modification time, nanoseconds since 1970."""
    by: Killer
    """What put it here."""
    age_ms: int
    """How long ago this machine saw that, in milliseconds."""
    left_ms: int
    """How long it stays, in milliseconds."""
    shared: bool
    """Whether what it holds lies elsewhere in the pool, as after a move: it takes no space."""
    expiring: bool
    """Whether another machine has begun to delete its data: it cannot be restored any more."""


class RestoreReport(TypedDict):
    """What was brought back."""

    paths: list[str]
    """The paths, as they are now."""
    bytes: int
    """Bytes."""
    stale: bool
    """Acknowledged by fewer remotes than the rule asks for."""
