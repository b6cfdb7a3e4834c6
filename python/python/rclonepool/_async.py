"""The pool, for programs with an event loop."""

import asyncio
import inspect
import os
from collections.abc import AsyncIterable, AsyncIterator, Generator, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, cast

from rclonepool import _config, _glob, _requests
from rclonepool._config import Config
from rclonepool._members import AsyncMembers, Members
from rclonepool._pool import Pool
from rclonepool._progress import ProgressLike, listener
from rclonepool._rclonepool import Engine, Entry
from rclonepool._requests import Links, PathLike
from rclonepool.exceptions import AlreadyExistsError, DirectoryNotFoundError, InvalidArgumentError, NotFoundError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from rclonepool import reports
    from rclonepool._rclonepool import Reader, Task, Writer

__all__ = ["AsyncPool", "AsyncReader", "AsyncWriter"]

_PIECE = 1 << 20


async def wait(task: "Task", progress: ProgressLike = None, what: str = "") -> Any:
    """Waits for a task; being cancelled cancels it."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    with listener(progress, what) as listening:

        def look() -> None:
            if ended.done():
                return
            try:
                if listening is not None and (news := task.news()) is not None:
                    listening(news)
            except Exception as error:
                ended.set_exception(error)
                return
            if task.done():
                ended.set_result(None)

        def wake() -> None:
            try:
                loop.call_soon_threadsafe(look)
            except RuntimeError:
                # The loop is closed: nobody waits any more.
                task.cancel()

        task.watch(wake)
        try:
            await ended
        except BaseException:
            task.cancel()
            raise
    return task.result()


class AsyncReader:
    """A file of the pool, open for reading: an asynchronous iterator of its lines, and a context manager."""

    def __init__(self, reader: "Reader", name: str) -> None:
        self._reader: Reader | None = reader
        self._position = 0
        self._size = reader.size
        self.name = name

    @property
    def size(self) -> int:
        """The file's length in bytes."""
        return self._size

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._reader is None

    async def read(self, size: int = -1) -> bytes:
        """At most `size` bytes from the position, all that are left without one; none at the end."""
        if self._reader is None:
            raise ValueError("I/O operation on closed file")
        left = max(self._size - self._position, 0)
        wanted = left if size < 0 else min(size, left)
        if wanted == 0:
            return b""
        data = cast(bytes, await wait(self._reader.read_task(self._position, wanted)))
        self._position += len(data)
        return data

    def tell(self) -> int:
        """The position."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves the position, as that of any file."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"negative seek position {base + offset}")
        self._position = base + offset
        return self._position

    async def chunks(self, size: int = _PIECE) -> AsyncIterator[bytes]:
        """The rest of the file, in pieces."""
        while piece := await self.read(size):
            yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        rest = b""
        async for piece in self.chunks():
            lines = (rest + piece).split(b"\n")
            rest = lines.pop()
            for line in lines:
                yield line + b"\n"
        if rest:
            yield rest

    async def close(self) -> None:
        """Closes it."""
        self._reader = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class AsyncWriter:
    """A file of the pool open for writing: stored when it is closed, or, where a ``with`` block raises, not at all."""

    def __init__(self, engine: Engine, writer: "Writer", name: str, *, exclusive: bool) -> None:
        self._engine = engine
        self._writer: Writer | None = writer
        self._position = 0
        self._exclusive = exclusive
        self.name = name

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._writer is None

    async def write(self, data: "ReadableBuffer") -> int:
        """Writes all of `data`."""
        if self._writer is None:
            raise ValueError("I/O operation on closed file")
        rest = memoryview(data)
        rest = rest.cast("B") if rest.nbytes else memoryview(b"")
        total = rest.nbytes
        while rest:
            count = cast(int, await wait(self._writer.write_task(rest)))
            if not count:
                # The upload ended early; it says why.
                await wait(self._writer.uploading)
            rest = rest[count:]
            self._position += count
        return total

    def tell(self) -> int:
        """How much was written."""
        return self._position

    def discard(self) -> None:
        """Closes the file without storing anything."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.discard()

    async def close(self) -> None:
        """Stores the file."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            if self._exclusive and self._engine.entry(self.name) is not None:
                raise AlreadyExistsError(f"{self.name}: came to be while it was written", path=self.name)
            await wait(writer.finish_task())
            await wait(writer.uploading)
        except BaseException:
            writer.discard()
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.discard()
        await self.close()


class AsyncPool(AsyncMembers):
    """As :class:`Pool`, with ``await``.

    >>> async with rclonepool.AsyncPool("config.json") as pool:
    ...     await pool.upload("photos", "/photos")
    ...     async with pool.open("/notes.txt") as file:
    ...         async for line in file:
    ...             print(line)

    ``pool = await rclonepool.AsyncPool(...)`` opens it without a block. Cancelling what waits cancels the work.
    """

    def __init__(self, config: Config | None = None, **keys: Any) -> None:
        self._text = _config.text(config, keys)
        self._source = _config.source(config, keys)
        self._create = False
        self._opened: Engine | None = None

    @classmethod
    def create(cls, config: Config | None = None, **keys: Any) -> Self:
        """As ``AsyncPool(…)``, and the opening makes the pool where there is none yet."""
        made = cls(config, **keys)
        made._create = True
        return made

    def __await__(self) -> Generator[Any, None, Self]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> Self:
        if self._opened is None:
            self._opened = cast(Engine, await wait(Engine.open(self._text, self._create)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def _engine(self) -> Engine:
        if self._opened is None:
            raise ValueError("the pool is not open: await it, or use it in an async with block")
        return self._opened

    @property
    def id(self) -> str:
        """The pool's id."""
        return self._engine.id

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._opened is not None and self._opened.closed

    async def close(self) -> None:
        if self._opened is not None and not self._opened.closed:
            await wait(self._opened.close())

    def __repr__(self) -> str:
        state = "not open" if self._opened is None else self._opened.id + (" (closed)" if self.closed else "")
        return f"<rclonepool.AsyncPool {state}>"

    async def _do(self, op: str, progress: ProgressLike = None, /, **arguments: object) -> Any:
        return await wait(self._engine.call(_requests.request(op, **arguments)), progress, op)

    async def _membership(self, change: str, progress: ProgressLike = None, /, **arguments: object) -> Any:
        done = await self._do("membership", progress, config=self._text, file=self._source, change={change: arguments})
        if done["config"] is not None:
            before, self._text = self._engine, done["config"]
            self._opened = cast(Engine, await wait(Engine.open(self._text, False)))
            await wait(before.close())
        return done["report"]

    def open(self, path: PathLike, mode: str = "rb", *, content_type: str | None = None) -> Any:
        """Opens a file in a binary mode: ``rb`` gives an :class:`AsyncReader`, ``wb`` and ``xb`` a writer.

        Neither is awaited: ``async with pool.open(…) as file``.
        """
        where = _requests.path(path)
        if mode in ("rb", "br"):
            try:
                return AsyncReader(self._engine.reader(where), where)
            except (NotFoundError, InvalidArgumentError) as error:
                raise _requests.no_file(self._engine, where, error) from None
        if mode not in ("wb", "bw", "xb", "bx"):
            raise ValueError(f"mode {mode!r}: one of rb, wb and xb")
        exclusive = "x" in mode
        if exclusive and self._engine.entry(where) is not None:
            raise AlreadyExistsError(f"{where}: is there already", path=where)
        return AsyncWriter(self._engine, self._engine.writer(where, content_type), where, exclusive=exclusive)

    async def read_bytes(self, path: PathLike) -> bytes:
        reader = self.open(path, "rb")._reader
        return cast(bytes, await wait(reader.read_task(0, reader.size)))

    async def write_bytes(
        self,
        path: PathLike,
        data: "ReadableBuffer",
        *,
        content_type: str | None = None,
        progress: ProgressLike = None,
    ) -> "reports.UploadReport":
        task = self._engine.write(_requests.path(path), data, content_type)
        return cast("reports.UploadReport", await wait(task, progress, "upload"))

    async def read_text(self, path: PathLike, encoding: str = "utf-8", errors: str = "strict") -> str:
        return (await self.read_bytes(path)).decode(encoding, errors)

    async def write_text(
        self, path: PathLike, text: str, encoding: str = "utf-8", errors: str = "strict"
    ) -> "reports.UploadReport":
        return await self.write_bytes(path, text.encode(encoding, errors))

    async def upload(
        self,
        source: PathLike | Sequence[PathLike] | AsyncIterable[bytes],
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
        """As :meth:`Pool.upload`; a source that is no path is an asynchronous iterable of bytes."""
        if isinstance(source, AsyncIterable):
            async with self.open(path, "wb", content_type=content_type) as target:
                async for piece in source:
                    await target.write(piece)
            zeros = dict.fromkeys(("unchanged", "resumed_bytes", "deduplicated_bytes", "skipped", "failed"), 0)
            return cast("reports.UploadReport", {"files": 1, "bytes": target.tell(), **zeros, "stale": False})
        request = _requests.request(
            "upload",
            sources=_requests.paths(source),
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
        report = await wait(task, progress, "upload")
        return cast("reports.UploadReport", _requests.checked(report, task, "upload"))

    async def download(
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
        report = await wait(task, progress, "download")
        return cast("reports.DownloadReport", _requests.checked(report, task, "download"))

    async def ls(self, path: PathLike = "/", *, recursive: bool = False) -> list[Entry]:
        where = _requests.path(path)
        try:
            return cast("list[Entry]", await wait(self._engine.list_task(where, recursive)))
        except (DirectoryNotFoundError, InvalidArgumentError) as error:
            raise _requests.no_directory(self._engine, where, error) from None

    async def walk(self, top: PathLike = "/") -> AsyncIterator[tuple[str, list[str], list[str]]]:
        """As :meth:`Pool.walk`, as an asynchronous iterator."""
        where = _requests.path(top)
        entries = await self.ls(where)
        directories = [entry.name for entry in entries if entry.is_dir()]
        yield where, directories, [entry.name for entry in entries if not entry.is_dir()]
        for name in directories:
            async for below in self.walk(where.rstrip("/") + "/" + name):
                yield below

    async def glob(self, pattern: str) -> list[str]:
        if not pattern.startswith("/"):
            raise ValueError(f"{pattern!r}: a pattern begins with /")
        if not _glob.is_pattern(pattern):
            return [pattern] if await self.exists(pattern) else []
        try:
            entries = await self.ls(_glob.root(pattern), recursive=True)
        except DirectoryNotFoundError:
            return []
        return _glob.matching(pattern, entries)

    async def stat(self, path: PathLike) -> Entry:
        where = _requests.path(path)
        found = self._engine.entry(where)
        if found is None:
            raise NotFoundError(f"{where}: no such file or directory in the pool", path=where)
        return found

    async def exists(self, path: PathLike) -> bool:
        return self._engine.entry(_requests.path(path)) is not None

    async def is_file(self, path: PathLike) -> bool:
        found = self._engine.entry(_requests.path(path))
        return found is not None and found.is_file()

    async def is_dir(self, path: PathLike) -> bool:
        found = self._engine.entry(_requests.path(path))
        return found is not None and found.is_dir()

    async def rm(self, path: PathLike, *, recursive: bool = False, purge: bool = False) -> "reports.ChangeReport":
        done = await self._do("rm", path=_requests.path(path), recursive=recursive, purge=purge)
        return cast("reports.ChangeReport", done)

    async def mv(self, source: PathLike, target: PathLike, *, overwrite: bool = False) -> "reports.ChangeReport":
        ends = {"source": _requests.path(source), "target": _requests.path(target)}
        return cast("reports.ChangeReport", await self._do("mv", **ends, overwrite=overwrite))

    async def cp(self, source: PathLike, target: PathLike, *, overwrite: bool = False) -> "reports.ChangeReport":
        ends = {"source": _requests.path(source), "target": _requests.path(target)}
        return cast("reports.ChangeReport", await self._do("cp", **ends, overwrite=overwrite))

    async def mkdir(self, path: PathLike, *, exist_ok: bool = True) -> None:
        where = _requests.path(path)
        if not exist_ok and await self.exists(where):
            raise AlreadyExistsError(f"{where}: is there already", path=where)
        await self._do("mkdir", path=where)

    async def manifest(self, path: PathLike) -> "reports.ManifestReport":
        return cast("reports.ManifestReport", await self._do("manifest", path=_requests.path(path)))

    async def sync(self) -> "reports.SyncReport":
        return cast("reports.SyncReport", await self._do("sync"))

    async def trash(self, path: PathLike | None = None) -> "list[reports.TrashedVersion]":
        where = None if path is None else _requests.path(path)
        return cast("list[reports.TrashedVersion]", await self._do("trash", path=where))

    async def restore(self, path: PathLike, to: PathLike | None = None) -> "reports.RestoreReport":
        target = None if to is None else _requests.path(to)
        return cast("reports.RestoreReport", await self._do("restore", path=_requests.path(path), to=target))

    async def empty_trash(self, path: PathLike | None = None, *, older_than: float | None = None) -> int:
        where = None if path is None else _requests.path(path)
        return cast(int, await self._do("empty_trash", path=where, older_than=older_than))

    async def verify(
        self,
        path: PathLike = "/",
        *,
        quick: bool = False,
        deep: bool = False,
        sample: float | None = None,
        limit: int = 100,
        progress: ProgressLike = None,
    ) -> "reports.VerifyReport":
        level: Literal["deep", "quick", "default"]
        level = "deep" if deep or sample is not None else "quick" if quick else "default"
        arguments = {"path": _requests.path(path), "level": level, "sample": sample, "list": limit}
        return cast("reports.VerifyReport", await self._do("verify", progress, **arguments))

    async def health(
        self, path: PathLike = "/", *, lost: str | Iterable[str] = (), limit: int = 100
    ) -> "reports.HealthReport":
        arguments = {"path": _requests.path(path), "lost": _requests.words(lost), "list": limit}
        return cast("reports.HealthReport", await self._do("health", **arguments))

    async def rebuild(
        self,
        path: PathLike | None = None,
        *,
        all: bool = False,
        accept_loss: bool = False,
        dry_run: bool = False,
        progress: ProgressLike = None,
    ) -> Any:
        where = None if path is None else _requests.path(path)
        return await self._do("rebuild", progress, path=where, all=all, accept_loss=accept_loss, dry_run=dry_run)

    async def convert(
        self, redundancy: str, path: PathLike = "/", *, dry_run: bool = False, progress: ProgressLike = None
    ) -> Any:
        return await self._do("convert", progress, path=_requests.path(path), redundancy=redundancy, dry_run=dry_run)

    async def repair(
        self, path: PathLike, source: PathLike, *, dry_run: bool = False, progress: ProgressLike = None
    ) -> "reports.RepairReport":
        where, local = _requests.path(path), _requests.local(source)
        done = await self._do("repair", progress, path=where, source=local, dry_run=dry_run)
        return cast("reports.RepairReport", done)

    async def rebalance(
        self, *, target_variance: float = 5.0, dry_run: bool = False, progress: ProgressLike = None
    ) -> Any:
        return await self._do("rebalance", progress, target_variance=target_variance, dry_run=dry_run)

    async def balance_status(self) -> "reports.BalanceStatus":
        return cast("reports.BalanceStatus", await self._do("balance_status"))

    async def orphans(self, *, min_age: float | None = None, accept_loss: bool = False) -> "reports.OrphansReport":
        done = await self._do("orphans", delete=False, min_age=min_age, accept_loss=accept_loss)
        return cast("reports.OrphansReport", done)

    async def gc(
        self, *, min_age: float | None = None, accept_loss: bool = False, progress: ProgressLike = None
    ) -> "reports.GcReport":
        return cast("reports.GcReport", await self._do("gc", progress, min_age=min_age, accept_loss=accept_loss))

    async def status(self) -> "reports.PoolStatus":
        return cast("reports.PoolStatus", await self._do("status"))

    async def remotes(self) -> "list[reports.RemoteReport]":
        return (await self.status())["remotes"]

    async def cache_stats(self) -> "reports.CacheStats":
        return cast("reports.CacheStats", await self._do("cache_stats"))


for _class, _model in ((AsyncPool, Pool), (AsyncMembers, Members)):
    for _name, _method in vars(_class).items():
        if inspect.isfunction(_method) and _method.__doc__ is None:
            _method.__doc__ = inspect.getdoc(getattr(_model, _name, None))
