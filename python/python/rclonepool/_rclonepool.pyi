from collections.abc import Callable
from datetime import datetime
from os import PathLike
from typing import Any, Final, Literal, final

from _typeshed import ReadableBuffer, WriteableBuffer

__all__ = [
    "Daemon",
    "Engine",
    "Entry",
    "Progress",
    "Reader",
    "Serving",
    "Task",
    "Writer",
    "__version__",
    "check_path",
    "command",
    "edit_config",
    "make_token",
]

__version__: Final[str]

def check_path(path: str) -> str:
    """The pool path `path` in its canonical form (a ``/`` at its end is dropped).

    Raises :class:`RclonePoolError` of kind ``invalid_argument``, saying which rule is broken.
    """

def command(words: list[str]) -> int:
    """Does what a command line asks for, its first word being the program's name; gives the exit code."""

def make_token(created: int) -> tuple[str, str]:
    """Makes a token: its text, and what the server keeps of it (JSON)."""

def edit_config(path: str | PathLike[str], keys: str) -> None:
    """Sets keys (JSON) in the configuration file at `path`, and leaves the others as they are."""

@final
class Daemon:
    """rclone, started as a configuration says."""

    @staticmethod
    def start(config: str) -> Task:
        """Starts rclone as the configuration (JSON) says."""
    def stop(self) -> Task:
        """Stops it; a second call does nothing."""

@final
class Serving:
    """A server that runs."""

    @staticmethod
    def start(request: str) -> Task:
        """Starts a server as `request` (JSON) says."""
    @property
    def url(self) -> str:
        """Its address for clients."""
    @property
    def port(self) -> int:
        """The port in use."""
    @property
    def warnings(self) -> list[str]:
        """What whoever runs it must know."""
    def stop(self) -> Task:
        """Ends it in order; a second call does nothing."""

@final
class Entry:
    """What a path of the pool holds."""

    __hash__: Callable[[Entry], int]  # type: ignore[assignment]
    @property
    def path(self) -> str:
        """The absolute path in the pool."""
    @property
    def name(self) -> str:
        """The last component of the path."""
    @property
    def type(self) -> Literal["file", "directory", "link"]:
        """What it is."""
    @property
    def size(self) -> int:
        """The file's length in bytes; 0 for what is no file."""
    @property
    def mtime_ns(self) -> int | None:
        """Modification time in nanoseconds since 1970; ``None`` for a directory that only exists by what lies in it."""
    @property
    def modified(self) -> datetime | None:
        """Modification time as an aware ``datetime`` in UTC."""
    @property
    def created_ms(self) -> int | None:
        """When it was put into the pool, in milliseconds since 1970."""
    @property
    def executable(self) -> bool:
        """Whether a file is executable."""
    @property
    def content_type(self) -> str | None:
        """MIME type, where the writer gave one."""
    @property
    def target(self) -> str | None:
        """Where a link points."""
    @property
    def sha256(self) -> str | None:
        """The SHA-256 of a file's bytes in hex, where it is known without reading: of files of one chunk, and of all
        where ``file_hashes`` asks for it."""
    def is_file(self) -> bool:
        """Whether it is a file."""
    def is_dir(self) -> bool:
        """Whether it is a directory."""
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
    def __fspath__(self) -> str: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class Progress:
    """How far an operation is. The totals may still grow; they are 0 where they are not known."""

    @property
    def bytes(self) -> int:
        """Bytes done."""
    @property
    def total_bytes(self) -> int:
        """Bytes known to be wanted."""
    @property
    def items(self) -> int:
        """Items done: chunks of one file, or files of a directory."""
    @property
    def total_items(self) -> int:
        """Items known to be wanted."""
    @property
    def path(self) -> str | None:
        """The file that was done last."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class Task:
    """An operation under way."""

    def run(self, progress: Callable[[Progress], object] | None = None) -> Any:
        """Waits for the end; `progress` is called meanwhile. A signal's exception, or one from `progress`, stops it."""
    def watch(self, wake: Callable[[], object]) -> None:
        """Has `wake` called, from any thread, when there is news and at the end."""
    def news(self) -> Progress | None:
        """How far it is, if that has changed since it was asked last."""
    def done(self) -> bool:
        """Whether it has ended."""
    def result(self) -> Any:
        """What it gave, once."""
    def failures(self) -> list[tuple[str, str]]:
        """Files that failed, with the reasons."""
    def cancel(self) -> None:
        """Stops it; it still winds up."""

@final
class Reader:
    """A file open for reading; any number of threads may read at once."""

    @property
    def size(self) -> int:
        """The file's length in bytes."""
    def read(self, offset: int, length: int) -> bytes:
        """Bytes from `offset`; fewer only at the end."""
    def readinto(self, offset: int, buffer: WriteableBuffer) -> int:
        """Fills a buffer from `offset`; gives the number of bytes."""
    def read_task(self, offset: int, length: int) -> Task:
        """As `read`, as a task."""

@final
class Writer:
    """A file being written; it is stored when it is finished, and only then."""

    @property
    def uploading(self) -> Task:
        """The upload, whose end is the file's."""
    def write(self, data: ReadableBuffer) -> int:
        """Takes bytes, not always all of them; gives how many."""
    def write_task(self, data: ReadableBuffer) -> Task:
        """As `write`, as a task."""
    def finish(self) -> None:
        """Ends the file, and waits until it is stored."""
    def finish_task(self) -> Task:
        """As `finish`, for an event loop, which then waits for `uploading`."""
    def discard(self) -> None:
        """Gives up: nothing is stored."""

@final
class Engine:
    """An open pool."""

    @staticmethod
    def open(config: str, create: bool) -> Task:
        """Opens the pool that the configuration (JSON) describes; with `create` makes it first, unless it is there."""
    @property
    def id(self) -> str:
        """The pool's id."""
    @property
    def closed(self) -> bool:
        """Whether it was closed."""
    def close(self) -> Task:
        """Offers the last commits to slow remotes and stops rclone; a second call does nothing."""
    def call(self, request: str) -> Task:
        """Starts the operation that `request` (JSON, with its name as `op`) asks for."""
    def entry(self, path: str) -> Entry | None:
        """What a path holds; ``None`` when it holds nothing."""
    def list(self, path: str, recursive: bool = False) -> list[Entry]:
        """What lies directly in a directory, or with `recursive` everything below it."""
    def list_task(self, path: str, recursive: bool) -> Task:
        """As `list`, as a task."""
    def reader(self, path: str) -> Reader:
        """Opens a file for reading."""
    def writer(self, path: str, content_type: str | None = None) -> Writer:
        """A file to be written."""
    def write(self, path: str, data: ReadableBuffer, content_type: str | None = None) -> Task:
        """Stores bytes."""
    def remote_put(self, remote: str, name: str, data: ReadableBuffer) -> Task:
        """Stores an object on one remote, beside the pool's own."""
    def remote_get(self, remote: str, name: str) -> Task:
        """Reads an object of one remote."""
    def remote_size(self, remote: str, name: str) -> Task:
        """The size of an object of one remote, ``None`` where it is absent."""
    def remote_delete(self, remote: str, name: str) -> Task:
        """Removes an object of one remote that is not the pool's."""
