"""One storage pool out of many rclone remotes.

>>> import rclonepool
>>> with rclonepool.Pool("config.json") as pool:
...     pool.upload("photos", "/photos", progress=True)
...     with pool.open("/notes.txt", "w") as file:
...         file.write("hello")

:class:`Pool` is for programs that wait, :class:`AsyncPool` for those with an event loop; both do the same. Errors stand
in :mod:`rclonepool.exceptions`, the reports' types in :mod:`rclonepool.reports`. With fsspec, ``rclonepool://`` URLs
work in pandas and its kin. What goes on is told to the logger ``rclonepool``.
"""

from rclonepool import exceptions, reports
from rclonepool._async import AsyncPool, AsyncReader, AsyncWriter
from rclonepool._io import PoolTextWriter, PoolWriter
from rclonepool._pool import Pool
from rclonepool._rclonepool import Entry, Progress, __version__, check_path
from rclonepool.exceptions import (
    AlreadyExistsError,
    AuthError,
    BusyError,
    ConfigError,
    CorruptError,
    DegradedError,
    DirectoryNotFoundError,
    FormatVersionError,
    FullError,
    InternalError,
    InvalidArgumentError,
    IsDirectoryError,
    LocalIOError,
    NotDirectoryError,
    NotFoundError,
    OperationCancelledError,
    PartialError,
    RateLimitedError,
    RclonePoolError,
    SourceChangedError,
    TimedOutError,
    UnavailableError,
    UnrecoverableError,
    UnsupportedError,
)

__all__ = [
    "AlreadyExistsError",
    "AsyncPool",
    "AsyncReader",
    "AsyncWriter",
    "AuthError",
    "BusyError",
    "ConfigError",
    "CorruptError",
    "DegradedError",
    "DirectoryNotFoundError",
    "Entry",
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
    "Pool",
    "PoolTextWriter",
    "PoolWriter",
    "Progress",
    "RateLimitedError",
    "RclonePoolError",
    "SourceChangedError",
    "TimedOutError",
    "UnavailableError",
    "UnrecoverableError",
    "UnsupportedError",
    "__version__",
    "check_path",
    "exceptions",
    "reports",
]
