"""The pool, for programs that wait."""

import atexit
import contextlib
import io
import json
import shutil
import weakref
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, cast, overload

from rclonepool import _config, _glob, _io, _requests
from rclonepool._config import Config
from rclonepool._io import PoolTextWriter, PoolWriter
from rclonepool._members import Members
from rclonepool._progress import ProgressLike, listener
from rclonepool._rclonepool import Engine, Entry, edit_config
from rclonepool._requests import Links, PathLike
from rclonepool.exceptions import (
    AlreadyExistsError,
    DirectoryNotFoundError,
    InvalidArgumentError,
    NotFoundError,
)

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from rclonepool import reports
    from rclonepool._rclonepool import Task
    from rclonepool.backend import Backend
    from rclonepool.cache import ManifestCache

__all__ = ["Pool"]

_OPEN: "weakref.WeakSet[Pool]" = weakref.WeakSet()


class Readable(Protocol):
    """What can be read from."""

    def read(self, size: int, /) -> bytes: ...


class Pool(Members):
    """One storage pool out of many remotes, opened.

    ``config`` is the path of a configuration file, or its keys as a dictionary; keyword arguments are keys, too, and
    stand above those. Without any of it the default file is used (``~/.config/rclonepool/config.json``).

    >>> with rclonepool.Pool(remotes=["/disk1", "/disk2"], redundancy_mode="replication") as pool:
    ...     pool.write_bytes("/notes/today.txt", b"hello")

    Paths of the pool are absolute (``/movies/film.mkv``). All methods may be called from many threads at once. What
    fails raises a class of :mod:`rclonepool.exceptions`. Where there is a ``progress``, it is a callable that gets a
    :class:`Progress` now and then, or ``True`` for a bar of tqdm; an exception from it, as Ctrl-C, stops the work.
    """

    _source: str | None = None
    """The configuration's file, where that is all there is."""

    def __init__(self, config: Config | None = None, **keys: Any) -> None:
        self._start(_config.text(config, keys), create=False)
        self._source = _config.source(config, keys)

    @classmethod
    def create(cls, config: Config | None = None, **keys: Any) -> Self:
        """Makes the pool that the configuration describes, and opens it; one that is there already is just opened."""
        made = cls.__new__(cls)
        made._start(_config.text(config, keys), create=True)
        made._source = _config.source(config, keys)
        return made

    def _start(self, text: str, *, create: bool) -> None:
        self._text = text
        self._engine = cast(Engine, Engine.open(text, create).run())
        _OPEN.add(self)

    @property
    def id(self) -> str:
        """The pool's id."""
        return self._engine.id

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._engine.closed

    @property
    def config(self) -> dict[str, Any]:
        """The keys of the configuration in force, as they were given; :meth:`reconfigure` changes them."""
        return cast("dict[str, Any]", json.loads(self._text))

    @property
    def backend(self) -> "Backend":
        """The remotes, one by one, for objects beside the pool's own."""
        from rclonepool.backend import Backend

        return Backend(self)

    @property
    def manifests(self) -> "ManifestCache":
        """The manifests of the pool's files."""
        from rclonepool.cache import ManifestCache

        return ManifestCache(self)

    def reconfigure(self, **keys: Any) -> None:
        """Sets keys of the configuration, in its file too where it came from one, and goes on with them.

        What every machine must agree on (redundancy, strategy) is written into the pool. Files that are open, and
        operations under way in other threads, end in an error: the pool is opened anew.
        """
        text = json.dumps({**self.config, **keys})
        engine = cast(Engine, Engine.open(text, False).run())
        if self._source is not None:
            edit_config(self._source, json.dumps(keys))
        self._go_on(engine, text)
        self._do("write_settings")

    def _go_on(self, engine: Engine, text: str) -> None:
        before, self._engine, self._text = self._engine, engine, text
        before.close().run()

    def _membership(self, change: str, progress: ProgressLike = None, /, **arguments: object) -> Any:
        done = self._do("membership", progress, config=self._text, file=self._source, change={change: arguments})
        if done["config"] is not None:
            self._go_on(cast(Engine, Engine.open(done["config"], False).run()), done["config"])
        return done["report"]

    def close(self) -> None:
        """Offers the last changes to slow remotes, for a bounded time, and stops rclone. A second call does nothing."""
        if not self._engine.closed:
            self._engine.close().run()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<rclonepool.Pool {self.id}{' (closed)' if self.closed else ''}>"

    def __reduce__(self) -> str:
        raise TypeError("an open pool cannot be pickled: open it anew in the other process, from its configuration")

    def _do(self, op: str, progress: ProgressLike = None, /, **arguments: object) -> Any:
        return self._wait(self._engine.call(_requests.request(op, **arguments)), progress, op)

    def _wait(self, task: "Task", progress: ProgressLike, what: str) -> Any:
        with listener(progress, what) as listening:
            return task.run(listening)

    # Files

    @overload
    def open(
        self,
        path: PathLike,
        mode: Literal["r", "rt", "tr"] = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> io.TextIOWrapper: ...
    @overload
    def open(  # type: ignore[overload-overlap]  # 0 is an int, and comes first
        self, path: PathLike, mode: Literal["rb", "br"], buffering: Literal[0]
    ) -> _io.RawReader: ...
    @overload
    def open(self, path: PathLike, mode: Literal["rb", "br"], buffering: int = -1) -> io.BufferedReader: ...
    @overload
    def open(
        self,
        path: PathLike,
        mode: Literal["wb", "bw", "xb", "bx"],
        buffering: int = -1,
        *,
        content_type: str | None = None,
    ) -> PoolWriter: ...
    @overload
    def open(
        self,
        path: PathLike,
        mode: Literal["w", "wt", "tw", "x", "xt", "tx"],
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        *,
        content_type: str | None = None,
    ) -> PoolTextWriter: ...
    @overload
    def open(
        self,
        path: PathLike,
        mode: str,
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        *,
        content_type: str | None = None,
    ) -> Any: ...

    def open(
        self,
        path: PathLike,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        *,
        content_type: str | None = None,
    ) -> Any:
        """As the built-in ``open``: modes ``r``, ``w`` and ``x``, with ``b`` for bytes; text is UTF-8 by default.

        What is read is the file as it was when it was opened. What is written appears under its path when the file is
        closed, whole or not at all: a ``with`` block that ends in an exception stores nothing.
        """
        where = _requests.path(path)
        try:
            return _io.open_file(self._engine, where, mode, buffering, encoding, errors, newline, content_type)
        except (NotFoundError, InvalidArgumentError) as error:
            raise _requests.no_file(self._engine, where, error) from None

    def read_bytes(self, path: PathLike) -> bytes:
        """All of a file."""
        with self.open(path, "rb", buffering=0) as file:
            return file.readall()

    def write_bytes(
        self,
        path: PathLike,
        data: "ReadableBuffer",
        *,
        content_type: str | None = None,
        progress: ProgressLike = None,
    ) -> "reports.UploadReport":
        """Stores `data` at `path`."""
        task = self._engine.write(_requests.path(path), data, content_type)
        return cast("reports.UploadReport", self._wait(task, progress, "upload"))

    def read_text(self, path: PathLike, encoding: str = "utf-8", errors: str = "strict") -> str:
        """All of a file, as text."""
        return self.read_bytes(path).decode(encoding, errors)

    def write_text(
        self, path: PathLike, text: str, encoding: str = "utf-8", errors: str = "strict"
    ) -> "reports.UploadReport":
        """Stores `text` at `path`."""
        return self.write_bytes(path, text.encode(encoding, errors))

    def upload(
        self,
        source: "PathLike | Sequence[PathLike] | Readable",
        path: PathLike,
        *,
        force: bool = False,
        checksum: bool = False,
        include: str | Iterable[str] = (),
        exclude: str | Iterable[str] = (),
        links: Links = "skip",
        dry_run: bool = False,
        content_type: str | None = None,
        mtime_ns: int | None = None,
        progress: ProgressLike = None,
    ) -> "reports.UploadReport":
        """Stores a local file, a directory with everything in it, several of them, or what a file object gives.

        A file goes to `path`, or into it where it ends in ``/``; a directory's files go below it. What is there
        already with the same size and time is skipped (`checksum`: with the same content; `force`: nothing is).
        `include` and `exclude` are patterns for the files of a directory. An interrupted upload goes on where it
        stopped when it is repeated. Raises :class:`PartialError` when some files failed and the others are stored.
        """
        if hasattr(source, "read"):
            with self.open(path, "wb", content_type=content_type) as target:
                shutil.copyfileobj(cast("Any", source), target, 1 << 20)
                size = target.tell()
            zeros = dict.fromkeys(("unchanged", "resumed_bytes", "deduplicated_bytes", "skipped", "failed"), 0)
            return cast("reports.UploadReport", {"files": 1, "bytes": size, **zeros, "stale": False})
        request = _requests.request(
            "upload",
            sources=_requests.paths(cast("Any", source)),
            path=_requests.path(path),
            force=force,
            checksum=checksum,
            include=_requests.words(include),
            exclude=_requests.words(exclude),
            links=links,
            dry_run=dry_run,
            content_type=content_type,
            mtime_ns=mtime_ns,
        )
        task = self._engine.call(request)
        report = self._wait(task, progress, "upload")
        return cast("reports.UploadReport", _requests.checked(report, task, "upload"))

    def download(
        self,
        path: PathLike,
        target: PathLike,
        *,
        force: bool = False,
        include: str | Iterable[str] = (),
        exclude: str | Iterable[str] = (),
        dry_run: bool = False,
        progress: ProgressLike = None,
    ) -> "reports.DownloadReport":
        """Writes a file, or a directory with everything in it, to the local disk.

        A file appears under its name when all of it is there and verified. Local files with the same size and time
        are skipped, unless `force` is set. Raises :class:`PartialError` when some files failed.
        """
        request = _requests.request(
            "download",
            path=_requests.path(path),
            target=_requests.local(target),
            force=force,
            include=_requests.words(include),
            exclude=_requests.words(exclude),
            dry_run=dry_run,
        )
        task = self._engine.call(request)
        report = self._wait(task, progress, "download")
        return cast("reports.DownloadReport", _requests.checked(report, task, "download"))

    # Names

    def ls(self, path: PathLike = "/", *, recursive: bool = False) -> list[Entry]:
        """What lies in a directory, sorted by name; with `recursive` all files (and empty directories) below."""
        where = _requests.path(path)
        try:
            return self._engine.list(where, recursive)
        except (DirectoryNotFoundError, InvalidArgumentError) as error:
            raise _requests.no_directory(self._engine, where, error) from None

    def walk(self, top: PathLike = "/") -> Iterator[tuple[str, list[str], list[str]]]:
        """As :func:`os.walk`: for each directory its path, and the names of the directories and files in it.

        Taking names out of the directories' list keeps the walk from going there.
        """
        where = _requests.path(top)
        entries = self.ls(where)
        directories = [entry.name for entry in entries if entry.is_dir()]
        yield where, directories, [entry.name for entry in entries if not entry.is_dir()]
        for name in directories:
            yield from self.walk(where.rstrip("/") + "/" + name)

    def glob(self, pattern: str) -> list[str]:
        """The paths that match: ``*``, ``?`` and ``[a-z]`` within a component, ``**`` for any number of components."""
        if not pattern.startswith("/"):
            raise ValueError(f"{pattern!r}: a pattern begins with /")
        if not _glob.is_pattern(pattern):
            return [pattern] if self.exists(pattern) else []
        try:
            entries = self._engine.list(_glob.root(pattern), True)
        except DirectoryNotFoundError:
            return []
        return _glob.matching(pattern, entries)

    def stat(self, path: PathLike) -> Entry:
        """What a path holds: its kind, size, time and so on."""
        where = _requests.path(path)
        found = self._engine.entry(where)
        if found is None:
            raise NotFoundError(f"{where}: no such file or directory in the pool", path=where)
        return found

    def exists(self, path: PathLike) -> bool:
        """Whether the path holds anything."""
        return self._engine.entry(_requests.path(path)) is not None

    def is_file(self, path: PathLike) -> bool:
        """Whether the path is a file."""
        found = self._engine.entry(_requests.path(path))
        return found is not None and found.is_file()

    def is_dir(self, path: PathLike) -> bool:
        """Whether the path is a directory."""
        found = self._engine.entry(_requests.path(path))
        return found is not None and found.is_dir()

    def rm(self, path: PathLike, *, recursive: bool = False, purge: bool = False) -> "reports.ChangeReport":
        """Deletes a file, or with `recursive` a directory and all in it; the trash keeps it, unless `purge`."""
        return cast("reports.ChangeReport", self._do("rm", path=_requests.path(path), recursive=recursive, purge=purge))

    def mv(self, source: PathLike, target: PathLike, *, overwrite: bool = False) -> "reports.ChangeReport":
        """Moves a file or a whole directory, at once; no data moves. `overwrite` lets a file replace a file."""
        ends = {"source": _requests.path(source), "target": _requests.path(target)}
        return cast("reports.ChangeReport", self._do("mv", **ends, overwrite=overwrite))

    def cp(self, source: PathLike, target: PathLike, *, overwrite: bool = False) -> "reports.ChangeReport":
        """Copies a file or a whole directory, at once; no data is copied. `overwrite` lets a file replace a file."""
        ends = {"source": _requests.path(source), "target": _requests.path(target)}
        return cast("reports.ChangeReport", self._do("cp", **ends, overwrite=overwrite))

    def mkdir(self, path: PathLike, *, exist_ok: bool = True) -> None:
        """Makes an empty directory; those above it need not be there, and no file needs a directory that was made."""
        where = _requests.path(path)
        if not exist_ok and self.exists(where):
            raise AlreadyExistsError(f"{where}: is there already", path=where)
        self._do("mkdir", path=where)

    def manifest(self, path: PathLike) -> "reports.ManifestReport":
        """A path's manifest, and on which remotes its shards lie."""
        return cast("reports.ManifestReport", self._do("manifest", path=_requests.path(path)))

    def sync(self) -> "reports.SyncReport":
        """Looks at the remotes for what other machines changed; it is done at the opening and with every change."""
        return cast("reports.SyncReport", self._do("sync"))

    # Trash

    def trash(self, path: PathLike | None = None) -> "list[reports.TrashedVersion]":
        """Deleted and overwritten versions that can be brought back, of all paths or at and below one."""
        where = None if path is None else _requests.path(path)
        return cast("list[reports.TrashedVersion]", self._do("trash", path=where))

    def restore(self, path: PathLike, to: PathLike | None = None) -> "reports.RestoreReport":
        """Brings the newest version of `path` back from the trash, or what was deleted below it."""
        target = None if to is None else _requests.path(to)
        return cast("reports.RestoreReport", self._do("restore", path=_requests.path(path), to=target))

    def empty_trash(self, path: PathLike | None = None, *, older_than: float | None = None) -> int:
        """Gives up versions in the trash for good (all, those below `path`, or older than so many seconds)."""
        where = None if path is None else _requests.path(path)
        return cast(int, self._do("empty_trash", path=where, older_than=older_than))

    # Care

    def verify(
        self,
        path: PathLike = "/",
        *,
        quick: bool = False,
        deep: bool = False,
        sample: float | None = None,
        limit: int = 100,
        progress: ProgressLike = None,
    ) -> "reports.VerifyReport":
        """Holds what the remotes have against what was stored: everything, or files at and below `path`.

        By default existence and sizes; `quick` existence alone; `deep` reads every byte; `sample` reads so many
        percent of the chunks, those not verified for longest. Damage raises nothing: the report's ``outcome`` is
        ``None`` when all is well. At most `limit` files are listed, the worst first.
        """
        level = "deep" if deep or sample is not None else "quick" if quick else "default"
        arguments = {"path": _requests.path(path), "level": level, "sample": sample, "list": limit}
        return cast("reports.VerifyReport", self._do("verify", progress, **arguments))

    def health(
        self, path: PathLike = "/", *, lost: str | Iterable[str] = (), limit: int = 100
    ) -> "reports.HealthReport":
        """What every file survives, by what is known: no remote is asked. `lost`: as if these remotes were gone."""
        arguments = {"path": _requests.path(path), "lost": _requests.words(lost), "list": limit}
        return cast("reports.HealthReport", self._do("health", **arguments))

    @overload
    def rebuild(
        self, path: PathLike | None = None, *, all: bool = False, accept_loss: bool = False, dry_run: Literal[True]
    ) -> "reports.RebuildPlan": ...
    @overload
    def rebuild(
        self,
        path: PathLike | None = None,
        *,
        all: bool = False,
        accept_loss: bool = False,
        dry_run: Literal[False] = False,
        progress: ProgressLike = None,
    ) -> "reports.RebuildReport": ...

    def rebuild(
        self,
        path: PathLike | None = None,
        *,
        all: bool = False,
        accept_loss: bool = False,
        dry_run: bool = False,
        progress: ProgressLike = None,
    ) -> Any:
        """Restores damaged shards from the others: those known, and with `path` or `all` those a listing finds missing.

        Where a remote misses suspiciously much, it is left alone without `accept_loss`. `dry_run` gives the plan.
        """
        where = None if path is None else _requests.path(path)
        return self._do("rebuild", progress, path=where, all=all, accept_loss=accept_loss, dry_run=dry_run)

    @overload
    def convert(self, redundancy: str, path: PathLike = "/", *, dry_run: Literal[True]) -> "reports.ConvertPlan": ...
    @overload
    def convert(
        self, redundancy: str, path: PathLike = "/", *, dry_run: Literal[False] = False, progress: ProgressLike = None
    ) -> "reports.ConvertReport": ...

    def convert(
        self, redundancy: str, path: PathLike = "/", *, dry_run: bool = False, progress: ProgressLike = None
    ) -> Any:
        """Gives files another redundancy: ``none``, ``replication:3``, ``parity:4+2``, ``hybrid:2+1x2``."""
        return self._do("convert", progress, path=_requests.path(path), redundancy=redundancy, dry_run=dry_run)

    def repair(
        self, path: PathLike, source: PathLike, *, dry_run: bool = False, progress: ProgressLike = None
    ) -> "reports.RepairReport":
        """Restores a file's shards from a local copy of it, also when too many are gone for a rebuild."""
        where, local = _requests.path(path), _requests.local(source)
        return cast("reports.RepairReport", self._do("repair", progress, path=where, source=local, dry_run=dry_run))

    @overload
    def rebalance(self, *, target_variance: float = 5.0, dry_run: Literal[True]) -> "reports.RebalancePlan": ...
    @overload
    def rebalance(
        self, *, target_variance: float = 5.0, dry_run: Literal[False] = False, progress: ProgressLike = None
    ) -> "reports.RebalanceReport": ...

    def rebalance(self, *, target_variance: float = 5.0, dry_run: bool = False, progress: ProgressLike = None) -> Any:
        """Moves shards until the fills of the remotes differ by at most so many percentage points."""
        return self._do("rebalance", progress, target_variance=target_variance, dry_run=dry_run)

    def balance_status(self) -> "reports.BalanceStatus":
        """How evenly the remotes are filled."""
        return cast("reports.BalanceStatus", self._do("balance_status"))

    def orphans(self, *, min_age: float | None = None, accept_loss: bool = False) -> "reports.OrphansReport":
        """What lies on the remotes that nobody needs, and how far it is on its way out; :meth:`gc` frees it."""
        return cast(
            "reports.OrphansReport", self._do("orphans", delete=False, min_age=min_age, accept_loss=accept_loss)
        )

    def gc(
        self, *, min_age: float | None = None, accept_loss: bool = False, progress: ProgressLike = None
    ) -> "reports.GcReport":
        """Frees what nobody needs, as far as that is safe now.

        `min_age`: how many seconds an object without a record is left alone, as it may belong to an upload under way
        (a day by default; 0 says that nobody uploads).
        """
        return cast("reports.GcReport", self._do("gc", progress, min_age=min_age, accept_loss=accept_loss))

    def status(self) -> "reports.PoolStatus":
        """The pool at a glance; asks each remote for its space."""
        return cast("reports.PoolStatus", self._do("status"))

    def remotes(self) -> "list[reports.RemoteReport]":
        """The remotes, with their state, use and space."""
        return self.status()["remotes"]

    def cache_stats(self) -> "reports.CacheStats":
        """How the block cache did."""
        return cast("reports.CacheStats", self._do("cache_stats"))


@atexit.register
def _close_all() -> None:
    for pool in list(_OPEN):
        # Nobody is left to tell; and in a fork's child the pool is not its own.
        with contextlib.suppress(Exception):
            pool.close()
