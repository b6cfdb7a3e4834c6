"""Files of the pool as Python's own file objects."""

import io
import os
import warnings
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rclonepool.exceptions import AlreadyExistsError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

    from rclonepool._rclonepool import Engine, Reader, Writer

BUFFER_BYTES = 256 << 10
"""What the buffered readers and writers hold."""


class RawReader(io.RawIOBase):
    """A file of the pool, read at any position without a buffer of its own."""

    mode = "rb"

    def __init__(self, reader: "Reader", name: str) -> None:
        self._reader = reader
        self._size = reader.size
        self._position = 0
        self.name = name

    def readable(self) -> bool:
        self._check()
        return True

    def seekable(self) -> bool:
        self._check()
        return True

    def tell(self) -> int:
        self._check()
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self._check()
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}.get(whence)
        if base is None:
            raise ValueError(f"invalid whence ({whence}, should be 0, 1 or 2)")
        if base + offset < 0:
            raise ValueError(f"negative seek position {base + offset}")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        self._check()
        count = self._reader.readinto(self._position, buffer)
        self._position += count
        return count

    def read(self, size: int | None = -1, /) -> bytes:
        self._check()
        if size is None or size < 0:
            return self.readall()
        data = self._reader.read(self._position, size)
        self._position += len(data)
        return data

    def readall(self) -> bytes:
        return self.read(max(self._size - self._position, 0))

    def _check(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")


class RawWriter(io.RawIOBase):
    """A file on its way into the pool: stored when it is closed, and only then."""

    def __init__(self, engine: "Engine", writer: "Writer", name: str, *, exclusive: bool) -> None:
        self._engine = engine
        self._writer: Writer | None = writer
        self._position = 0
        self._exclusive = exclusive
        self.name = name
        self.mode = "xb" if exclusive else "wb"

    def writable(self) -> bool:
        self._check()
        return True

    def tell(self) -> int:
        self._check()
        return self._position

    def write(self, data: "ReadableBuffer", /) -> int:
        self._check()
        if self._writer is None:
            # Given up: what a buffer still holds goes nowhere.
            return memoryview(data).nbytes
        count = self._writer.write(data)
        self._position += count
        return count

    def close(self) -> None:
        if self.closed:
            return
        writer, self._writer = self._writer, None
        try:
            if writer is not None:
                if self._exclusive and self._engine.entry(self.name) is not None:
                    writer.discard()
                    raise AlreadyExistsError(f"{self.name}: came to be while it was written", path=self.name)
                try:
                    writer.finish()
                except BaseException:
                    writer.discard()
                    raise
        finally:
            super().close()

    def discard(self) -> None:
        """Gives up: nothing is stored."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.discard()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.discard()
        self.close()

    def __del__(self) -> None:
        _forgotten(self)

    def _check(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")


class PoolWriter(io.BufferedWriter):
    """A file of the pool open for writing: stored when it is closed, or not at all.

    A ``with`` block that ends in an exception stores nothing, and neither does a file that is forgotten.
    """

    def __init__(self, raw: RawWriter, buffer_size: int = BUFFER_BYTES) -> None:
        super().__init__(raw, buffer_size)
        self._raw = raw

    def discard(self) -> None:
        """Closes the file without storing anything."""
        self._raw.discard()
        self.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._raw.discard()
        self.close()

    def __del__(self) -> None:
        _forgotten(self)


class PoolTextWriter(io.TextIOWrapper):
    """As :class:`PoolWriter`, for text."""

    def __init__(self, buffer: PoolWriter, **options: Any) -> None:
        super().__init__(buffer, **options)
        self._binary = buffer

    def discard(self) -> None:
        """Closes the file without storing anything."""
        self._binary._raw.discard()
        self.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._binary._raw.discard()
        self.close()

    def __del__(self) -> None:
        _forgotten(self)


def _forgotten(file: "RawWriter | PoolWriter | PoolTextWriter") -> None:
    """What nobody closed is not complete, so it is not stored."""
    try:
        if file.closed:
            return
        raw = file if isinstance(file, RawWriter) else file._raw if isinstance(file, PoolWriter) else file._binary._raw
    except (AttributeError, ValueError):
        # It was never made, or was detached.
        return
    if raw._writer is not None:
        warnings.warn(f"{raw.name} was not closed, and is not stored", ResourceWarning, source=file, stacklevel=2)
        raw.discard()
    file.close()


def open_file(
    engine: "Engine",
    path: str,
    mode: str,
    buffering: int,
    encoding: str | None,
    errors: str | None,
    newline: str | None,
    content_type: str | None,
) -> io.IOBase:
    """As the built-in ``open``, for a file of the pool."""
    kinds = set(mode)
    if len(kinds) != len(mode) or kinds - set("rwxbt") or len(kinds & set("rwx")) != 1 or {"b", "t"} <= kinds:
        raise ValueError(f"mode {mode!r}: one of r, w and x, with b or t")
    text = "b" not in kinds
    if not text and (encoding, errors, newline) != (None, None, None):
        raise ValueError("binary mode takes no encoding, errors or newline")
    if text and buffering == 0:
        raise ValueError("text is always buffered")
    size = buffering if buffering > 1 else BUFFER_BYTES
    options: dict[str, Any] = {
        "encoding": encoding or "utf-8",
        "errors": errors,
        "newline": newline,
        "line_buffering": buffering == 1,
    }
    if "r" in kinds:
        reader = RawReader(engine.reader(path), path)
        if buffering == 0:
            return reader
        buffered = io.BufferedReader(reader, size)
        return io.TextIOWrapper(buffered, **options) if text else buffered
    exclusive = "x" in kinds
    if exclusive and engine.entry(path) is not None:
        raise AlreadyExistsError(f"{path}: is there already", path=path)
    raw = RawWriter(engine, engine.writer(path, content_type), path, exclusive=exclusive)
    if buffering == 0:
        return raw
    writer = PoolWriter(raw, size)
    return PoolTextWriter(writer, **options) if text else writer
