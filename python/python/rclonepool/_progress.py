"""Progress to whoever wants it: a callable, or a bar of tqdm."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from rclonepool._rclonepool import Progress

ProgressLike: TypeAlias = bool | Callable[[Progress], object] | None
"""``True`` for a bar of tqdm, or what is called with a :class:`Progress` some times in a second, and at the end."""


@contextmanager
def listener(progress: ProgressLike, what: str) -> "Iterator[Callable[[Progress], object] | None]":
    """What is to be called; a bar is closed at the end."""
    if callable(progress):
        yield progress
        return
    if not progress:
        yield None
        return
    try:
        from tqdm.auto import tqdm  # type: ignore[import-untyped, import-not-found, unused-ignore]
    except ImportError:
        logging.getLogger("rclonepool").info("progress=True shows a bar where tqdm is installed (pip install tqdm)")
        yield None
        return
    with tqdm(desc=what, unit="B", unit_scale=True, unit_divisor=1024) as bar:

        def show(now: Progress) -> None:
            if now.total_bytes:
                bar.total = max(now.total_bytes, now.bytes)
            bar.update(now.bytes - bar.n)

        yield show
