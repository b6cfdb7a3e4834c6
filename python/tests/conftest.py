"""Pools over directories: real remotes that need no rclone."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rclonepool

MakePool = Callable[..., rclonepool.Pool]


def keys_for(base: Path, disks: int = 2, **keys: Any) -> dict[str, Any]:
    """The configuration of a pool of `disks` directories below `base`; two copies of everything, small chunks."""
    remotes = [base / f"disk{i}" for i in range(disks)]
    for remote in remotes:
        remote.mkdir(exist_ok=True)
    made = {
        "remotes": [str(remote) for remote in remotes],
        "redundancy_mode": "replication",
        "chunk_size": 1 << 20,
        "manifest_cache_dir": str(base / "cache"),
        "sole_writer": True,
    }
    return {**made, **keys}


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, Any]:
    return keys_for(tmp_path)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakePool]:
    """Makes pools that are closed at the end."""
    made: list[rclonepool.Pool] = []

    def make(disks: int = 2, **keys: Any) -> rclonepool.Pool:
        made.append(rclonepool.Pool.create(keys_for(tmp_path, disks, **keys)))
        return made[-1]

    yield make
    for pool in made:
        pool.close()


@pytest.fixture
def pool(make: MakePool) -> rclonepool.Pool:
    return make()
