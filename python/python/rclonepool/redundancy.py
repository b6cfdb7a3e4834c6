"""The redundancy of new files; :meth:`rclonepool.Pool.convert` changes that of stored ones."""

import enum
from collections.abc import Mapping
from typing import Any

from rclonepool.backend import Backend
from rclonepool.cache import ManifestCache

__all__ = ["RedundancyManager", "RedundancyMode"]


class RedundancyMode(enum.Enum):
    """How what is stored survives losses."""

    NONE = "none"
    """Every chunk once, on one remote."""
    REPLICATION = "replication"
    """Every chunk whole, on several remotes."""
    PARITY = "parity"
    """Data shards and Reed-Solomon parity shards."""
    HYBRID = "hybrid"
    """Data and parity shards, each in several copies."""


class RedundancyManager:
    """Sets the redundancy of new files: in the configuration, its file, and in the pool for all machines.

    The arguments are those of one pool: ``RedundancyManager(pool.config, pool.backend, pool.manifests)``.
    """

    def __init__(self, config: Mapping[str, Any], backend: Backend, manifests: ManifestCache) -> None:
        if backend.pool is not manifests.pool or config.get("remotes") != backend.pool.config.get("remotes"):
            raise ValueError("config, backend and manifests are not of one pool")
        self.pool = backend.pool

    @property
    def mode(self) -> RedundancyMode:
        """The mode of new files."""
        return RedundancyMode(self.pool.status()["redundancy"]["mode"])

    def set_mode(self, mode: RedundancyMode) -> None:
        """Sets the mode of new files."""
        self.pool.reconfigure(redundancy_mode=mode.value)

    def set_parity_config(self, data_shards: int, parity_shards: int) -> None:
        """Sets into how many data shards a chunk is cut, and how many parity shards are added."""
        self.pool.reconfigure(parity_data_shards=data_shards, parity_parity_shards=parity_shards)

    def set_replication_factor(self, copies: int) -> None:
        """Sets how many copies there are of every chunk (of every shard, in hybrid mode)."""
        self.pool.reconfigure(replication_factor=copies)
