"""Manifests, which the pool's index keeps on this machine, and chunks, which a program may keep in memory."""

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from rclonepool._pool import Pool
from rclonepool.exceptions import NotFoundError

if TYPE_CHECKING:
    from rclonepool._rclonepool import Entry
    from rclonepool.reports import ManifestReport

__all__ = ["ChunkCache", "ManifestCache"]


class ManifestCache:
    """The manifests of a pool's files, from this machine's index; without a pool, of the default configuration's."""

    def __init__(self, pool: Pool | None = None) -> None:
        self.pool = Pool() if pool is None else pool

    def get(self, path: str) -> "ManifestReport | None":
        """The manifest of a path, and where its shards lie; ``None`` when nothing is there."""
        try:
            return self.pool.manifest(path)
        except NotFoundError:
            return None

    def list(self, path: str = "/") -> "list[Entry]":
        """All that has a manifest below a directory."""
        return self.pool.ls(path, recursive=True)

    def refresh(self) -> None:
        """Looks at the remotes for what other machines changed."""
        self.pool.sync()


class ChunkCache:
    """Bytes by key, up to a size; what was not used for longest goes first. The pool keeps blocks by itself, too."""

    def __init__(self, max_size_mb: float = 500) -> None:
        self.max_bytes = int(max_size_mb * (1 << 20))
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self.hits = 0
        self.misses = 0

    def get(self, key: str) -> bytes | None:
        """The bytes of a key, or ``None``."""
        with self._lock:
            data = self._kept.get(key)
            if data is None:
                self.misses += 1
            else:
                self.hits += 1
                self._kept.move_to_end(key)
            return data

    def put(self, key: str, data: bytes) -> None:
        """Keeps bytes; more than all that fits is not kept."""
        with self._lock:
            self._bytes -= len(self._kept.pop(key, b""))
            if len(data) > self.max_bytes:
                return
            self._kept[key] = data
            self._bytes += len(data)
            while self._bytes > self.max_bytes:
                _, gone = self._kept.popitem(last=False)
                self._bytes -= len(gone)

    def __contains__(self, key: str) -> bool:
        with self._lock:
            return key in self._kept

    def __len__(self) -> int:
        with self._lock:
            return len(self._kept)

    @property
    def size(self) -> int:
        """The bytes it holds."""
        with self._lock:
            return self._bytes

    def clear(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0
