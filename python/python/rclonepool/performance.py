"""Chunks read before they are asked for, and rclone by itself."""

import json
import queue
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from rclonepool import _config
from rclonepool._config import Config
from rclonepool._rclonepool import Daemon
from rclonepool.backend import Backend
from rclonepool.cache import ChunkCache
from rclonepool.exceptions import RclonePoolError

if TYPE_CHECKING:
    from rclonepool.reports import Extent

__all__ = ["ChunkPrefetcher", "RcloneDaemon"]


class ChunkPrefetcher:
    """Reads a file's chunks into a :class:`ChunkCache`, and those that follow in a thread of its own.

    Files of :meth:`Pool.open` are read ahead by the pool itself; this is for programs that go by chunks.
    """

    def __init__(self, backend: Backend, cache: ChunkCache, prefetch_count: int = 2) -> None:
        self.pool = backend.pool
        self.cache = cache
        self.prefetch_count = prefetch_count
        self._wanted: queue.Queue[tuple[str, int] | None] = queue.Queue()
        self._thread: threading.Thread | None = None

    @staticmethod
    def key(path: str, index: int) -> str:
        """The cache's key of a file's chunk."""
        return f"{path}#{index}"

    def start(self) -> None:
        """Starts the thread."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="rclonepool-prefetch", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ends the thread, after what it is reading."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._wanted.put(None)
            thread.join()

    def read(self, path: str, index: int) -> bytes:
        """A chunk of a file, counted from 0, from the cache if it is there; the next ones are fetched meanwhile."""
        data = self.cache.get(self.key(path, index))
        if data is None:
            data = self._fetch(path, index)
        if self._thread is not None:
            for ahead in range(index + 1, index + 1 + self.prefetch_count):
                self._wanted.put((path, ahead))
        return data

    def wait(self) -> None:
        """Waits until all that was asked for is fetched."""
        self._wanted.join()

    def _fetch(self, path: str, index: int) -> bytes:
        extents: list[Extent] = self.pool.manifest(path)["entry"]["content"].get("file", {"extents": []})["extents"]
        if not extents and index == 0:
            data = self.pool.read_bytes(path)
        else:
            extent = extents[index]
            with self.pool.open(path, "rb", buffering=0) as file:
                file.seek(extent["offset"])
                data = file.read(extent["length"])
        self.cache.put(self.key(path, index), data)
        return data

    def _work(self) -> None:
        while (wanted := self._wanted.get()) is not None:
            try:
                if self.key(*wanted) not in self.cache:
                    self._fetch(*wanted)
            except (RclonePoolError, IndexError, ValueError):
                # Past the end, or not to be had now: who really wants it will hear of it.
                pass
            finally:
                self._wanted.task_done()
        self._wanted.task_done()


class RcloneDaemon:
    """One long-lived rclone on a port of 127.0.0.1, guarded by random credentials. A pool starts its own by itself."""

    def __init__(self, config: Config, port: int = 5572) -> None:
        keys: Mapping[str, Any] = {"enable_rclone_daemon": True, "rclone_daemon_port": port}
        self._text = _config.text(config if isinstance(config, Mapping) else json.loads(_config.text(config, {})), keys)
        self.port = port
        self._running: Daemon | None = None

    @property
    def running(self) -> bool:
        """Whether it was started, and not stopped."""
        return self._running is not None

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        if self._running is None:
            self._running = cast(Daemon, Daemon.start(self._text).run())

    def stop(self) -> None:
        """Stops it."""
        running, self._running = self._running, None
        if running is not None:
            running.stop().run()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
