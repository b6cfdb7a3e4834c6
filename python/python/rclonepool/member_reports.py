"""The reports of who belongs to the pool; all can be imported from :mod:`rclonepool.reports`."""

from typing import TypedDict

from rclonepool.care_reports import RemoteState
from rclonepool.space_reports import Flow, RebalanceReport

__all__ = ["DrainPlan", "DrainReport", "LossPlan", "LossReport", "MemberChange"]


class MemberChange(TypedDict):
    """Where a change of membership stands."""

    remotes: list[str]
    """The ids of the remotes it is about."""
    state: RemoteState
    """Where they stand now."""
    grace_left_ms: int
    """How long quorums must still hold with and without them; 0 when it is finished."""


class DrainPlan(TypedDict):
    """What draining a remote would do."""

    remote: str
    """Its name."""
    id: str
    """Its id."""
    state: RemoteState
    """Where it stands now."""
    shards: int
    """Shards that leave it."""
    bytes: int
    """Their bytes."""
    flows: list[Flow]
    """Where to."""
    stuck: int
    """Bytes that find no room on the others."""
    sinking: int
    """Chunks that survive fewer losses afterwards."""
    garbage: int
    """Shards of deleted chunks that wait for garbage collection."""
    offline: bool
    """Whether it cannot be read: what lies on it is made from the other shards."""


class DrainReport(RebalanceReport):
    """What draining a remote did."""

    left: int
    """Shards that are still on it."""
    change: MemberChange | None
    """How far it is with leaving; ``None`` while shards are left."""


class LossPlan(TypedDict):
    """What it costs to declare remotes lost."""

    remotes: list[str]
    """Their names."""
    gone: list[str]
    """Those of them that were let go before."""
    ids: list[str]
    """Their ids."""
    online: list[str]
    """Those of them that are online: nothing says that they are lost."""
    shards: int
    """Shards that count as missing then."""
    bytes: int
    """Their bytes."""
    unreadable: int
    """Chunks of which too few shards are left on the others to read them."""
    left: int
    """Members that are left."""


class LossReport(TypedDict):
    """What declaring remotes lost did."""

    removed: list[str]
    """The ids of the remotes that were removed."""
    joined: str | None
    """The id of the remote that joined in their place."""
    grace_left_ms: int
    """How long quorums must still hold with and without the one that joined."""
    forgotten: int
    """Changes that only the lost remotes held, which are gone."""
