"""The reports of what keeps a pool whole; all can be imported from :mod:`rclonepool.reports`."""

from typing import Literal, TypeAlias, TypedDict

__all__ = [
    "CheckedCounts",
    "CommitCheck",
    "CommitFinding",
    "ConvertPlan",
    "ConvertReport",
    "Counts",
    "Damage",
    "DamagedChunk",
    "DamagedRemote",
    "FileHealth",
    "FileState",
    "Finding",
    "HealthReport",
    "Place",
    "RebuildPlan",
    "RebuildReport",
    "Redundancy",
    "RedundancyMode",
    "RemoteHealth",
    "RemoteState",
    "RemoteVerified",
    "RepairReport",
    "StateCounts",
    "SuspectRemote",
    "SuspectReport",
    "TrashHeld",
    "TrashVerified",
    "VerifyLevel",
    "VerifyReport",
]

RedundancyMode: TypeAlias = Literal["none", "replication", "parity", "hybrid"]
"""How what is stored survives losses."""

RemoteState: TypeAlias = Literal["joining", "active", "draining", "leaving", "removed"]
"""Where a remote stands in its membership."""

FileState: TypeAlias = Literal["healthy", "degraded", "at_risk", "unavailable", "lost"]
"""How a file is; the worse the later."""

Damage: TypeAlias = Literal["missing", "truncated", "corrupt"]
"""What is wrong with a shard or a commit."""

VerifyLevel: TypeAlias = Literal["quick", "default", "deep"]
"""How thoroughly to look."""


class Redundancy(TypedDict):
    """A redundancy mode with its numbers."""

    mode: RedundancyMode
    """The mode."""
    data: int
    """k: the data shards of a chunk; at least 1."""
    parity: int
    """m: the parity shards of a chunk."""
    copies: int
    """c: how often each shard is stored; at least 1."""


class Place(TypedDict):
    """Where one copy of one shard lies."""

    index: int
    """The shard's index: data shards first, then parity."""
    copy: int
    """Which copy of it."""
    remote: str
    """The remote."""
    nonce: str
    """Names the put."""


class Finding(TypedDict):
    """A shard object that is not what its record says."""

    chunk: str
    """Its chunk."""
    place: Place
    """Which shard of it, and where."""
    damage: Damage
    """What is wrong."""


class Counts(TypedDict):
    """Shard objects of a file, or of many, that are not as they should be."""

    missing: int
    """Not there: neither in the listing nor when asked for, or never put, or on a remote that left."""
    truncated: int
    """Of another size than recorded."""
    corrupt: int
    """With units that do not match their checksums."""
    misplaced: int
    """More of a chunk on one remote or failure domain than need be."""
    unknown: int
    """On a remote that is offline or could not be read: nothing is known of them."""


class StateCounts(TypedDict):
    """How many files are in each state."""

    healthy: int
    """See Healthy."""
    degraded: int
    """See Degraded."""
    at_risk: int
    """See AtRisk."""
    unavailable: int
    """See Unavailable."""
    lost: int
    """See Lost."""


class SuspectReport(TypedDict):
    """Why a remote is suspect."""

    absent: int
    """Shard objects that look absent."""
    of: int
    """Shard objects that should be there."""


class FileHealth(TypedDict):
    """A file that is not healthy, or that was asked for by its path."""

    path: str
    """Its path."""
    size: int
    """Its length in bytes."""
    state: FileState
    """How it is."""
    recoverable: bool
    """Whether its content is there, at once or when remotes return."""
    tolerated_remotes: int
    """How many remotes, whichever, may still be lost, those offline taken for lost."""
    tolerated_domains: int
    """The same of failure domains."""
    shards: Counts
    """What is wrong with its shard objects."""


class CheckedCounts(TypedDict):
    """What was looked at."""

    files: int
    """Files, those kept in their manifests included."""
    chunks: int
    """Chunks."""
    shards: int
    """Shard objects looked for in listings."""
    chunks_read: int
    """Chunks read to verify them."""
    shards_read: int
    """Shard objects read."""
    bytes_read: int
    """Their bytes."""


class TrashVerified(TypedDict):
    """What a verification found in the trash."""

    chunks: int
    """Chunks that only versions in the trash need."""
    damaged: int
    """Their shard objects that are missing, truncated or corrupt."""


class CommitFinding(TypedDict):
    """A commit that a member does not hold as it should."""

    remote: str
    """The remote's name in the configuration."""
    id: str
    """The remote."""
    object: str
    """The object's name."""
    damage: Damage
    """What is wrong."""


class CommitCheck(TypedDict):
    """What a verification made of the commits."""

    checked: int
    """Commit objects looked for, one per commit and member."""
    read: int
    """Those that were read."""
    damaged: list[CommitFinding]
    """Those that are not as they should be. What is missing or truncated is being copied there again already; what
    is corrupt, a rebuild puts anew."""
    unknown: int
    """Those that could not be looked at."""


class RemoteVerified(TypedDict):
    """One remote of a VerifyReport."""

    id: str
    """The remote."""
    name: str
    """The name in the configuration, else the pool's label for it."""
    shards: int
    """Shard objects looked for on it."""
    missing: int
    """Found missing by this verification."""
    truncated: int
    """Found to have another size."""
    corrupt: int
    """Found to have wrong bytes."""
    unknown: str | None
    """Why nothing is known of it, or not of all on it."""
    suspect: SuspectReport | None
    """Too much looks absent to be believed."""


class VerifyReport(TypedDict):
    """What a verification found."""

    level: VerifyLevel
    """How closely was looked."""
    sample: float | None
    """The percentage that was read."""
    checked: CheckedCounts
    """What was looked at."""
    state: FileState
    """The worst state of any file."""
    files: StateCounts
    """How many files are in each state."""
    shards: Counts
    """What is wrong with shard objects, known from earlier included."""
    trash: TrashVerified
    """The same of what only the trash needs, which neither the files nor the shards above count; none for a part
    of the pool."""
    commits: CommitCheck
    """What is wrong with commits."""
    remotes: list[RemoteVerified]
    """The members."""
    lacks: list[str]
    """Why the newest state may not be known."""
    listed: list[FileHealth]
    """Files something is wrong with, the worst first."""
    unlisted: int
    """Files something is wrong with that are not listed."""
    outcome: str | None
    """The kind of the worst finding, as an error's ``kind``; ``None`` when all is well."""


class RemoteHealth(TypedDict):
    """One remote, in a HealthReport."""

    id: str
    """The remote."""
    name: str
    """The name in the configuration, else the pool's label for it."""
    state: RemoteState
    """Its membership."""
    online: bool | None
    """Whether it is online; ``None`` where no remote was asked."""
    assumed_lost: bool
    """Whether it was assumed to be lost."""
    files_lost_without: int
    """Files that would be lost with it alone, those remotes that are offline staying away."""
    suspect: SuspectReport | None
    """Why its listing is not believed."""


class TrashHeld(TypedDict):
    """What lies in the trash: kept only until a time has passed."""

    versions: int
    """Versions of files."""
    bytes: int
    """Their plain bytes."""


class HealthReport(TypedDict):
    """The pool's health, or that of a part of it."""

    state: FileState
    """The worst state of any file."""
    recoverable: bool
    """Whether no file is lost."""
    files: StateCounts
    """How many files are in each state."""
    tolerated_remotes: int
    """How many remotes, whichever, may still be lost before a readable file is, as the shards lie."""
    tolerated_domains: int
    """The same of failure domains."""
    domains: int
    """Failure domains; a remote without one is its own."""
    shards: Counts
    """What is wrong with shard objects."""
    remotes: list[RemoteHealth]
    """Every remote that is or was a member and is not removed."""
    trash: TrashHeld | None
    """The trash of the whole pool, which the files above do not count; ``None`` for a part of the pool, or where
    the index alone was asked."""
    lacks: list[str] | None
    """Why the newest state may not be known; ``None`` where no remote was asked."""
    listed: list[FileHealth]
    """Files that are not healthy, the worst first; one that was asked for by its path in any case."""
    unlisted: int
    """Files that are not healthy and not listed."""


class DamagedChunk(TypedDict):
    """A chunk with damaged shards."""

    chunk: str
    """The chunk."""
    shards: list[Finding]
    """Its damaged shards."""
    spare: int
    """How many more objects, whichever, may be lost before it is; negative when it is lost already, as far as is
    known."""
    bytes: int
    """Bytes to put."""


class DamagedRemote(TypedDict):
    """Damaged shards on one remote."""

    remote: str
    """Its name."""
    shards: int
    """Shards."""
    bytes: int
    """Their bytes."""


class SuspectRemote(TypedDict):
    """A remote that misses suspiciously many shards."""

    remote: str
    """Its name."""
    absent: int
    """Shards it does not have."""
    shards: int
    """Shards it should have."""


class RebuildPlan(TypedDict):
    """What a rebuild would do."""

    chunks: list[DamagedChunk]
    """The chunks with damaged shards, those in most danger first."""
    trash: int
    """How many of them only the trash needs."""
    write_bytes: int
    """Bytes to put."""
    read_bytes: int
    """Bytes to read from the other shards."""
    remotes: list[DamagedRemote]
    """Damaged shards by remote."""
    suspect: list[SuspectRemote]
    """Remotes that miss so much that something else than loss is likely: left alone without accept_loss."""
    unknown: list[str]
    """Remotes of which nothing is known now; their shards are left alone."""
    commits: list[CommitFinding]
    """Commits whose copies on these remotes are known to be corrupt; none for a path."""


class RebuildReport(TypedDict):
    """What a rebuild did."""

    chunks: int
    """Chunks made whole."""
    shards: int
    """Shards put anew and read back."""
    bytes: int
    """Their bytes."""
    freed: int
    """Objects freed that others stand for now."""
    unrecoverable: int
    """Chunks that too few shards are left of."""
    failed: int
    """Chunks that failed for other reasons, and may be tried again."""
    trash_failed: int
    """Chunks that only the trash needs and that could not be made whole."""
    crowded: int
    """Chunks whole again that survive fewer losses than their layout promises, as some of their shards share a
    remote or failure domain."""
    twins: int
    """Chunks that too few shards are left of, and for which others of the same content stand now."""
    commits: int
    """Corrupt copies of commits put anew and read back."""
    commits_failed: int
    """Corrupt copies of commits that could not be put anew."""
    stale: bool
    """Acknowledged without a view, or by fewer remotes than the rule asks for."""


class ConvertPlan(TypedDict):
    """What a conversion would do."""

    redundancy: Redundancy
    """The redundancy to convert to."""
    files: int
    """The files with chunks of another layout."""
    chunks: list[str]
    """Chunks to code anew, those of one file together."""
    bytes: int
    """Their plain bytes: what is read."""
    write_bytes: int
    """What is put."""


class ConvertReport(TypedDict):
    """What a conversion did."""

    chunks: int
    """Chunks coded anew."""
    bytes: int
    """Their plain bytes."""
    failed: int
    """Chunks that failed, and may be tried again."""
    stale: bool
    """Acknowledged without a view, or by fewer remotes than the rule asks for."""


class RepairReport(TypedDict):
    """What a repair would do, or did."""

    checked: int
    """Shards of the file that were read and held against their checksums."""
    damaged: list[Finding]
    """Those that are missing or damaged."""
    unknown: int
    """Shards on remotes of which nothing is known now; they are left alone."""
    replaced: int
    """Chunks put anew whole: compressed today, they are other bytes than they were."""
    rebuilt: RebuildReport
    """What was put anew."""
