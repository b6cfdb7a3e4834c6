"""The reports of balance and garbage; all can be imported from :mod:`rclonepool.reports`."""

from typing import Literal, TypeAlias, TypedDict

from rclonepool.care_reports import RemoteState

__all__ = [
    "BalanceStatus",
    "Flow",
    "GcReport",
    "Leftover",
    "Orphan",
    "OrphansReport",
    "RebalancePlan",
    "RebalanceReport",
    "RemoteBalance",
    "RemoteOrphans",
    "Stage",
]

Stage: TypeAlias = Literal["resumable", "young", "unmarked", "waiting", "due", "dropped"]
"""How far garbage is on its way out."""


# A key of it is a word of Python's, so it has no class body.
Flow = TypedDict("Flow", {"from": str, "to": str, "shards": int, "bytes": int})
"""What goes from one remote to another in a rebalancing: shards, and their bytes."""


class RebalancePlan(TypedDict):
    """What a rebalancing would do."""

    target: float
    """The variance aimed at, in percentage points."""
    variance: float
    """The variance now."""
    variance_after: float
    """The variance afterwards."""
    reached: bool
    """Whether the target is reached."""
    shards: int
    """Shards to move."""
    bytes: int
    """Their bytes."""
    flows: list[Flow]
    """From where to where."""
    used_after: dict[str, int]
    """Bytes per remote afterwards, by name."""
    left_out: list[str]
    """Remotes that neither give nor take, and why."""


class RebalanceReport(TypedDict):
    """What a rebalancing did."""

    shards: int
    """Shards moved and read back where they are now."""
    bytes: int
    """Their bytes."""
    freed: int
    """Objects deleted where shards lay before."""
    skipped: int
    """Shards that were moved or deleted by somebody else meanwhile."""
    failed: int
    """Shards that could not be moved, and may be tried again."""
    stale: bool
    """Whether other changes may have been missed, or too few remotes hold the moves: then nothing was deleted."""
    variance: float
    """The variance afterwards, in percentage points."""
    reached: bool
    """Whether the target is reached."""


class RemoteBalance(TypedDict):
    """One remote of a BalanceStatus."""

    name: str
    """Its name."""
    state: RemoteState | None
    """Its state; ``None`` for a remote that is offline under a name nobody knows."""
    refuses: str | None
    """Why it neither gives nor takes; ``None``: it does."""
    used: int
    """The pool's bytes on it."""
    quota: int | None
    """The bytes the pool may use on it."""
    free: int | None
    """Bytes it can still take; ``None`` if it does not say."""
    share: int
    """Its fair share in bytes: quota or size, times weight. Where no remote tells its size, its part of the pool's
    bytes."""
    fill: float
    """Its bytes over its fair share, in percent."""
    priority: int
    """Remotes of higher priority are filled first."""
    weight: float
    """Its share of new data relative to others."""


class BalanceStatus(TypedDict):
    """How full the remotes are."""

    variance: float
    """The largest difference of fills among remotes of one priority, in percentage points."""
    used: int
    """The pool's bytes on all remotes."""
    remotes: list[RemoteBalance]
    """The remotes, in the configuration's order."""


class Orphan(TypedDict):
    """A chunk nobody needs, or a shard object of a needed chunk that no record names."""

    chunk: str
    """The chunk."""
    stray: bool
    """Whether the chunk itself is needed, and only these objects are not."""
    stage: Stage
    """How far it is."""
    left_ms: int
    """How many milliseconds it waits at least."""
    bytes: int
    """Its bytes on the remotes that could be listed."""


class Leftover(TypedDict):
    """What is left of a put that broke off."""

    remote: str
    """The remote's name."""
    object: str
    """The whole name it lies under."""
    bytes: int
    """Bytes."""
    left_ms: int
    """How many milliseconds it is left alone at least: it may be a put under way."""


class RemoteOrphans(TypedDict):
    """What nobody needs on one remote."""

    name: str
    """Its name."""
    objects: int
    """Objects."""
    bytes: int
    """Their bytes."""


class OrphansReport(TypedDict):
    """What nobody needs, and what will be done about it."""

    orphans: list[Orphan]
    """Each chunk, or single object, with how far it is on its way out."""
    leftovers: list[Leftover]
    """What puts that broke off left, under names that no object has."""
    remotes: list[RemoteOrphans]
    """The same by remote."""
    unknown: list[str]
    """Remotes on which nothing could be looked for."""


class GcReport(TypedDict):
    """What was freed, and what waits."""

    at_once: bool
    """Whether space was freed without a grace, by a sole writer."""
    trash_emptied: int
    """Versions that left the trash before their time, for want of space."""
    marked: int
    """Chunks marked."""
    dropped: int
    """Chunks, and single objects, that were dropped for good."""
    objects: int
    """Objects deleted, leftovers included."""
    leftovers: int
    """Leftovers of puts that broke off, deleted."""
    reclaimed: int
    """Their bytes."""
    failed: int
    """Objects that could not be deleted now; a later run finds them."""
    waiting: int
    """Bytes that wait for the end of a grace, as far as their remotes could be listed."""
    next_ms: int | None
    """When the first of these can be freed, in milliseconds from now."""
    repacked: int
    """Packs of small files that were mostly garbage: what is needed of them lies in new ones."""
    copied: int
    """The bytes copied for it."""
    compacted: int
    """Journal commits made of many smaller ones."""
    unknown: list[str]
    """Remotes on which nothing could be looked for."""
