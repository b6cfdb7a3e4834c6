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
from rclonepool.exceptions import *  # noqa: F403

__all__ = [
    "AsyncPool",
    "AsyncReader",
    "AsyncWriter",
    "Entry",
    "Pool",
    "PoolTextWriter",
    "PoolWriter",
    "Progress",
    "__version__",
    "check_path",
    "exceptions",
    "reports",
    *exceptions.__all__,
]
