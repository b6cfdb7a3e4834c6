"""A pool over remotes of rclone itself."""

import os
import random
import shutil
from pathlib import Path

import pytest
import rclonepool
from conftest import keys_for

RCLONE = os.environ.get("RCLONEPOOL_TEST_RCLONE") or "rclone"


def children() -> set[str]:
    """The programs that this process has started and that run."""
    own = Path(f"/proc/{os.getpid()}/task")
    pids = {pid for task in own.iterdir() for pid in (task / "children").read_text().split()}
    return {Path(f"/proc/{pid}/comm").read_text().strip() for pid in pids if Path(f"/proc/{pid}/comm").exists()}


def test_rclone_runs_as_long_as_the_pool_is_open(tmp_path: Path) -> None:
    config = tmp_path / "rclone.conf"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    config.write_text("".join(f"[{name}]\ntype = alias\nremote = {tmp_path / name}\n" for name in ("one", "two")))
    keys = keys_for(tmp_path, remotes=["one:", "two:"], rclone_binary=RCLONE, rclone_config_file=str(config))
    content = random.Random(12).randbytes(2_500_000)
    with rclonepool.Pool.create(keys) as pool:
        with pool.open("/f", "wb") as file:
            file.write(content)
        assert "rclone" in children()
        assert [remote["name"] for remote in pool.remotes()] == ["one:", "two:"]
        shutil.rmtree(tmp_path / "two/rclonepool_data")
        assert pool.read_bytes("/f") == content
    assert "rclone" not in children()


def test_a_wrong_remote_says_which(tmp_path: Path) -> None:
    config = tmp_path / "rclone.conf"
    config.write_text("")
    keys = keys_for(tmp_path, remotes=["nowhere:"], redundancy_mode="none", rclone_binary=RCLONE)
    with pytest.raises(rclonepool.RclonePoolError, match="nowhere"):
        rclonepool.Pool.create(keys, rclone_config_file=str(config))
