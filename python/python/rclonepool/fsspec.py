"""The pool for fsspec, and so for pandas, pyarrow, dask, xarray and their kin: ``rclonepool://path/in/the/pool``.

>>> import pandas
>>> pandas.read_csv("rclonepool://data/table.csv", storage_options={"config": "config.json"})

``config`` is that of :class:`rclonepool.Pool`; without it the default configuration is used.
"""

import os
import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from fsspec.spec import AbstractFileSystem  # type: ignore[import-untyped, import-not-found, unused-ignore]
from fsspec.utils import stringify_path  # type: ignore[import-untyped, import-not-found, unused-ignore]

from rclonepool._config import Config
from rclonepool._pool import Pool
from rclonepool._rclonepool import Entry
from rclonepool.exceptions import DirectoryNotFoundError, NotFoundError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["RclonePoolFileSystem"]

_COPY_BYTES = 1 << 20


class RclonePoolFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A pool as a file system of fsspec.

    ``pool`` is an open :class:`Pool`; otherwise one is opened from ``config`` and ``keys`` when it is first needed, and
    stays open. Files appear when they are closed; directories need not be made.
    """

    protocol = "rclonepool"
    root_marker = "/"
    # What is listed comes from the local index: there is nothing to keep.
    use_listings_cache: ClassVar[bool] = False

    def __init__(
        self,
        config: Config | None = None,
        *,
        pool: Pool | None = None,
        keys: dict[str, Any] | None = None,
        **storage_options: Any,
    ) -> None:
        super().__init__(**storage_options)
        self._config = config
        self._keys = keys or {}
        self._pool = pool
        self._opening = threading.Lock()

    @property
    def pool(self) -> Pool:
        """The pool, opened."""
        with self._opening:
            if self._pool is None or (self._pool.closed and (self._config is not None or self._keys)):
                self._pool = Pool(self._config, **self._keys)
            return self._pool

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        text = stringify_path(path)
        for prefix in ("rclonepool://", "rclonepool:"):
            text = text.removeprefix(prefix)
        return "/" + text.strip("/")

    def invalidate_cache(self, path: str | None = None) -> None:
        """Looks at the remotes for what other machines changed."""
        self.pool.sync()

    # What is there

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """What a path holds."""
        return _info(self.pool.stat(self._strip_protocol(path)))

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> Any:
        """What lies in a directory; a file lies in itself."""
        where = self._strip_protocol(path)
        try:
            entries = self.pool.ls(where)
        except NotADirectoryError:
            entries = [self.pool.stat(where)]
        except DirectoryNotFoundError as error:
            raise FileNotFoundError(where) from error
        return [_info(entry) for entry in entries] if detail else [entry.path for entry in entries]

    def exists(self, path: str, **kwargs: Any) -> bool:
        """Whether a path holds anything."""
        return self.pool.exists(self._strip_protocol(path))

    def created(self, path: str) -> datetime:
        """When it was put into the pool."""
        created_ms = self.pool.stat(self._strip_protocol(path)).created_ms
        return datetime.fromtimestamp((created_ms or 0) / 1000, UTC)

    def modified(self, path: str) -> datetime:
        """Its modification time."""
        modified = self.pool.stat(self._strip_protocol(path)).modified
        return modified or datetime.fromtimestamp(0, UTC)

    # Files

    def open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        cache_options: dict[str, Any] | None = None,
        compression: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """As :meth:`Pool.open`; ``compression`` as fsspec has it."""
        if compression is None and "b" not in mode and "r" not in mode:
            # fsspec's own wrapper would store half a file when a block raises.
            texts = {name: kwargs[name] for name in ("encoding", "errors", "newline") if name in kwargs}
            self._needs_no_transaction(kwargs.get("autocommit", not self._intrans))
            return self.pool.open(self._strip_protocol(path), mode, **texts)
        return super().open(path, mode, block_size, cache_options, compression, **kwargs)

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        if "r" not in mode:
            self._needs_no_transaction(autocommit)
        content_type = kwargs.get("content_type")
        buffering = block_size if isinstance(block_size, int) and block_size > 1 else -1
        return self.pool.open(path, mode, buffering, content_type=content_type)

    def _needs_no_transaction(self, autocommit: bool) -> None:
        if not autocommit:
            raise NotImplementedError("a pool has no transactions over several files: each appears when it is closed")

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        """Bytes of a file; from the end where they are negative."""
        with self.pool.open(self._strip_protocol(path), "rb", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            first = 0 if start is None else max(start + size, 0) if start < 0 else start
            last = size if end is None else end + size if end < 0 else end
            file.seek(first)
            return file.read(max(last - first, 0))

    def pipe_file(self, path: str, value: "ReadableBuffer", mode: str = "overwrite", **kwargs: Any) -> None:
        """Stores bytes; mode ``create`` refuses to replace."""
        where = self._strip_protocol(path)
        if mode == "create" and self.pool.exists(where):
            raise FileExistsError(where)
        self.pool.write_bytes(where, value)

    def touch(self, path: str, truncate: bool = True, **kwargs: Any) -> None:
        """Makes an empty file."""
        where = self._strip_protocol(path)
        if not truncate and self.pool.exists(where):
            raise NotImplementedError("the time of a stored file cannot be changed")
        self.pool.write_bytes(where, b"")

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Copies a file, whose data stays where it is, or makes a directory like another."""
        source, target = self._strip_protocol(path1), self._strip_protocol(path2)
        if self.pool.is_dir(source):
            self.pool.mkdir(target)
            return
        self.pool.cp(source, target, overwrite=True)

    def get_file(self, rpath: str, lpath: Any, callback: Any = None, outfile: Any = None, **kwargs: Any) -> None:
        """Downloads a file, verified before it appears."""
        where = self._strip_protocol(rpath)
        if self.pool.is_dir(where):
            Path(lpath).mkdir(parents=True, exist_ok=True)
            return
        if outfile is not None or hasattr(lpath, "write"):
            with self.pool.open(where, "rb") as reader:
                shutil.copyfileobj(reader, outfile if outfile is not None else lpath, _COPY_BYTES)
            return
        Path(lpath).absolute().parent.mkdir(parents=True, exist_ok=True)
        self.pool.download(where, lpath, force=True, progress=_told(callback))

    def put_file(self, lpath: Any, rpath: str, callback: Any = None, mode: str = "overwrite", **kwargs: Any) -> None:
        """Uploads a file."""
        where = self._strip_protocol(rpath)
        if mode == "create" and self.pool.exists(where):
            raise FileExistsError(where)
        if Path(lpath).is_dir():
            self.pool.mkdir(where)
            return
        self.pool.upload(lpath, where, progress=_told(callback))

    # Names

    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        """Makes an empty directory."""
        where = self._strip_protocol(path)
        if not create_parents and not self.pool.exists(self._parent(where)):
            raise NotFoundError(f"{self._parent(where)}: no such directory in the pool", path=where)
        self.pool.mkdir(where, exist_ok=False)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Makes an empty directory, and those above it."""
        self.pool.mkdir(self._strip_protocol(path), exist_ok=exist_ok)

    def rmdir(self, path: str) -> None:
        """Removes an empty directory."""
        where = self._strip_protocol(path)
        if self.pool.ls(where):
            raise OSError(f"{where}: is not empty")
        self.pool.rm(where)

    def rm_file(self, path: str) -> None:
        """Removes a file."""
        self.pool.rm(self._strip_protocol(path))

    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> None:
        """Removes files, and with `recursive` directories and what lies in them."""
        if maxdepth is not None:
            super().rm(path, recursive=recursive, maxdepth=maxdepth)
            return
        paths = [path] if isinstance(path, (str, os.PathLike)) else list(path)
        for one in paths:
            where = self._strip_protocol(one)
            if self.pool.exists(where):
                self.pool.rm(where, recursive=recursive)
            else:
                # A pattern, else nothing.
                for found in self.expand_path(where, recursive=False):
                    self.pool.rm(found, recursive=recursive)

    def mv(self, path1: Any, path2: Any, recursive: bool = False, maxdepth: int | None = None, **kwargs: Any) -> None:
        """Moves a file or a directory; no data moves."""
        if maxdepth is not None or not isinstance(path1, str) or not isinstance(path2, str) or _is_pattern(path1):
            super().mv(path1, path2, recursive=recursive, maxdepth=maxdepth, **kwargs)
            return
        source, target = self._strip_protocol(path1), self._strip_protocol(path2)
        if path2.endswith("/") or self.pool.is_dir(target):
            target = target.rstrip("/") + "/" + source.rpartition("/")[2]
        self.pool.mv(source, target, overwrite=True)

    def ukey(self, path: str) -> str:
        """What changes when the file does."""
        entry = self.pool.stat(self._strip_protocol(path))
        return f"{entry.path}-{entry.size}-{entry.mtime_ns}-{entry.created_ms}"


def _is_pattern(path: str) -> bool:
    return any(char in path for char in "*?[")


def _info(entry: Entry) -> dict[str, Any]:
    info: dict[str, Any] = {
        "name": entry.path,
        "size": entry.size,
        "type": {"file": "file", "directory": "directory"}.get(entry.type, "other"),
        "mtime": None if entry.mtime_ns is None else entry.mtime_ns / 1e9,
        "created": None if entry.created_ms is None else entry.created_ms / 1e3,
    }
    if entry.content_type:
        info["ContentType"] = entry.content_type
    if entry.is_link():
        info["islink"], info["destination"] = True, entry.target
    return info


def _told(callback: Any) -> Any:
    """fsspec's callback as a listener of ours."""
    if callback is None:
        return None

    def tell(now: Any) -> None:
        if now.total_bytes:
            callback.set_size(now.total_bytes)
        callback.absolute_update(now.bytes)

    return cast("Any", tell)
