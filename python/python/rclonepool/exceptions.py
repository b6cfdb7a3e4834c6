"""What rclonepool raises: one class for each kind of failure, all below :class:`RclonePoolError`.

Most are also the built-in exception that people catch: a file that is not there is a :class:`FileNotFoundError`.
"""

import errno
from typing import Any, ClassVar

__all__ = [
    "AlreadyExistsError",
    "AuthError",
    "BusyError",
    "ConfigError",
    "CorruptError",
    "DegradedError",
    "DirectoryNotFoundError",
    "FormatVersionError",
    "FullError",
    "InternalError",
    "InvalidArgumentError",
    "IsDirectoryError",
    "LocalIOError",
    "NotDirectoryError",
    "NotFoundError",
    "OperationCancelledError",
    "PartialError",
    "RateLimitedError",
    "RclonePoolError",
    "SourceChangedError",
    "TimedOutError",
    "UnavailableError",
    "UnrecoverableError",
    "UnsupportedError",
]


class RclonePoolError(Exception):
    """What rclonepool raises; the text says what failed, where, why, and what to do."""

    kind: ClassVar[str] = "internal"
    """What kind of failure it is, such as ``invalid_argument`` or ``unavailable``."""
    number: ClassVar[int | None] = None
    """The ``errno`` of those that are an :class:`OSError`."""

    retryable: bool
    """Whether the same call may succeed a little later."""
    remote: str | None
    """The remote it happened on, as the configuration names it."""
    path: str | None
    """The path or object it happened to."""
    hint: str | None
    """What can be done next."""

    def __init__(
        self,
        text: str = "",
        *,
        retryable: bool = False,
        remote: str | None = None,
        path: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(text)
        self.retryable = retryable
        self.remote = remote
        self.path = path
        self.hint = hint
        if isinstance(self, OSError):
            _number(self, self.number, path)

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


def _number(error: OSError, number: int | None, path: str | None) -> None:
    error.errno, error.filename = number, path


class NotFoundError(RclonePoolError, FileNotFoundError):
    """The file or object is definitely not there."""

    kind = "not_found"
    number = errno.ENOENT


class DirectoryNotFoundError(RclonePoolError, FileNotFoundError):
    """The directory is definitely not there."""

    kind = "directory_not_found"
    number = errno.ENOENT


class AlreadyExistsError(RclonePoolError, FileExistsError):
    """Something is there already, and would be overwritten or is of another kind."""

    kind = "already_exists"
    number = errno.EEXIST


class InvalidArgumentError(RclonePoolError, ValueError):
    """A path, argument or option that cannot be used."""

    kind = "invalid_argument"


class IsDirectoryError(InvalidArgumentError, IsADirectoryError):
    """A file was wanted, and the path is a directory."""

    number = errno.EISDIR


class NotDirectoryError(InvalidArgumentError, NotADirectoryError):
    """A directory was wanted, and the path is a file."""

    number = errno.ENOTDIR


class ConfigError(RclonePoolError, ValueError):
    """The configuration is wrong, or there is none."""

    kind = "config"


class UnsupportedError(RclonePoolError, NotImplementedError):
    """What was asked is not supported here."""

    kind = "unsupported"


class UnavailableError(RclonePoolError, ConnectionError):
    """A remote (or too many of them) cannot be reached: offline, timed out, refused."""

    kind = "unavailable"
    number = errno.EHOSTUNREACH


class RateLimitedError(RclonePoolError, ConnectionError):
    """The remote asks for fewer requests."""

    kind = "rate_limited"
    number = errno.EAGAIN


class TimedOutError(RclonePoolError, TimeoutError):
    """A time limit passed."""

    kind = "timeout"
    number = errno.ETIMEDOUT


class AuthError(RclonePoolError, PermissionError):
    """The remote refuses us: credentials, permissions, missing configuration."""

    kind = "auth"
    number = errno.EACCES


class FullError(RclonePoolError, OSError):
    """The remote, the pool or the local disk is full, or over quota."""

    kind = "full"
    number = errno.ENOSPC


class CorruptError(RclonePoolError, OSError):
    """Stored bytes are not what was stored."""

    kind = "corrupt"
    number = errno.EIO


class UnrecoverableError(RclonePoolError, OSError):
    """Too many shards are gone: the content cannot be rebuilt."""

    kind = "unrecoverable"
    number = errno.EIO


class SourceChangedError(RclonePoolError):
    """The source changed while it was read."""

    kind = "source_changed"


class BusyError(RclonePoolError, OSError):
    """Another process holds what is needed."""

    kind = "busy"
    number = errno.EBUSY


class FormatVersionError(RclonePoolError):
    """The pool was written by a later version."""

    kind = "format_version"


class PartialError(RclonePoolError):
    """Several files were asked for and some of them failed; the others are done."""

    kind = "partial"

    report: dict[str, Any]
    """The report of what was done."""
    failures: list[tuple[str, str]]
    """The paths that failed, with the reasons."""


class DegradedError(RclonePoolError):
    """Something is damaged, missing or badly placed, and all of it can still be read."""

    kind = "degraded"


class OperationCancelledError(RclonePoolError):
    """The operation was cancelled."""

    kind = "cancelled"


class LocalIOError(RclonePoolError, OSError):
    """A local file or system call failed."""

    kind = "io"
    number = errno.EIO


class InternalError(RclonePoolError, RuntimeError):
    """A bug in rclonepool."""

    kind = "internal"


_CLASSES: dict[str, type[RclonePoolError]] = {
    one.kind: one
    for one in RclonePoolError.__subclasses__()
    if one.kind != RclonePoolError.kind or one is InternalError
}


def make(
    kind: str, text: str, retryable: bool, remote: str | None, path: str | None, hint: str | None
) -> RclonePoolError:
    """The exception of a kind; for the extension module."""
    return _CLASSES.get(kind, InternalError)(text, retryable=retryable, remote=remote, path=path, hint=hint)
