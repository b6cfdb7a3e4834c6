"""Remotes come, go, and take one another's place."""

import asyncio
import json
import random
import shutil
from pathlib import Path

import pytest
import rclonepool
from conftest import keys_for
from rclonepool import reports
from test_typing import check

CONTENT = random.Random(12).randbytes(2_500_000)


def made(base: Path, disks: int = 3) -> Path:
    """A pool described by a file, with something in it; gives the file."""
    file = base / "config.json"
    file.write_text(json.dumps(keys_for(base, disks)))
    with rclonepool.Pool.create(file) as pool:
        pool.write_bytes("/f", CONTENT)
    return file


def named(file: Path) -> list[str]:
    """The directories that a configuration names."""
    return [Path(remote).name for remote in json.loads(file.read_text())["remotes"]]


def directory(base: Path, name: str) -> str:
    (base / name).mkdir(exist_ok=True)
    return str(base / name)


def test_remotes_join_and_are_drained(tmp_path: Path) -> None:
    file = made(tmp_path, 2)
    with rclonepool.Pool(file) as pool:
        change = pool.add_remotes(directory(tmp_path, "new"), alone=True)
        check(change, reports.MemberChange, "add")
        assert change["state"] == "active" and named(file) == ["disk0", "disk1", "new"]
        assert [remote["online"] for remote in pool.remotes()] == [True] * 3
        with pytest.raises(rclonepool.AlreadyExistsError):
            pool.add_remotes([str(tmp_path / "new")], alone=True)

        plan = pool.drain_remote(str(tmp_path / "disk0"), dry_run=True)
        check(plan, reports.DrainPlan, "drain plan")
        assert plan["shards"] > 0 and len(pool.remotes()) == 3
        seen: list[rclonepool.Progress] = []
        report = pool.drain_remote(str(tmp_path / "disk0"), alone=True, progress=seen.append)
        check(report, reports.DrainReport, "drain")
        assert (report["shards"], report["left"]) == (plan["shards"], 0) and seen
        assert named(file) == ["disk1", "new"] and len(pool.config["remotes"]) == 2
        shutil.rmtree(tmp_path / "disk0")
        assert pool.read_bytes("/f") == CONTENT
    with rclonepool.Pool(file) as again:
        assert again.verify(deep=True)["outcome"] is None


def test_a_change_that_fails_leaves_the_configuration_as_it_was(tmp_path: Path) -> None:
    file = made(tmp_path, 2)
    before = file.read_text()
    other = directory(tmp_path, "other")
    (tmp_path / "others").mkdir()
    with rclonepool.Pool.create(keys_for(tmp_path / "others", 1, remotes=[other], redundancy_mode="none")):
        pass
    with rclonepool.Pool(file) as pool:
        with pytest.raises(rclonepool.RclonePoolError, match=r"another pool|belongs to"):
            pool.add_remotes([other], alone=True)
        with pytest.raises(rclonepool.InvalidArgumentError, match="shards"):
            pool.remove_remote(str(tmp_path / "disk0"), alone=True)
        with pytest.raises(rclonepool.InvalidArgumentError, match="crypt"):
            pool.add_remotes([directory(tmp_path, "new")], crypt=["c:"])
        with pytest.raises(rclonepool.NotFoundError):
            pool.remove_remote("nobody:")
        assert json.loads(file.read_text()) == json.loads(before)
        assert pool.read_bytes("/f") == CONTENT


def test_what_is_lost_is_replaced_and_rebuilt(tmp_path: Path) -> None:
    file = made(tmp_path)
    shutil.rmtree(tmp_path / "disk1")
    with rclonepool.Pool(file) as pool:
        old, new = str(tmp_path / "disk1"), directory(tmp_path, "new")
        plan = pool.replace_remote(old, new, dry_run=True)
        check(plan, reports.LossPlan, "loss plan")
        assert plan["shards"] > 0 and plan["unreadable"] == 0 and named(file) == ["disk0", "disk1", "disk2"]
        report = pool.replace_remote(old, new, alone=True)
        check(report, reports.LossReport, "loss")
        assert report["joined"] and named(file) == ["disk0", "new", "disk2"]
        rebuilt = pool.rebuild()
        assert (rebuilt["shards"], rebuilt["failed"]) == (plan["shards"], 0)
        assert pool.verify(deep=True)["outcome"] is None and pool.read_bytes("/f") == CONTENT


def test_what_is_lost_goes_without_a_successor(tmp_path: Path) -> None:
    file = made(tmp_path)
    shutil.rmtree(tmp_path / "disk2")

    async def lose() -> None:
        async with rclonepool.AsyncPool(file) as pool:
            lost = str(tmp_path / "disk2")
            assert (await pool.lose_remotes(lost, dry_run=True))["unreadable"] == 0
            report = await pool.lose_remotes([lost])
            assert len(report["removed"]) == 1 and named(file) == ["disk0", "disk1"]
            await pool.rebuild(all=True)
            assert (await pool.verify(deep=True))["outcome"] is None
            assert await pool.read_bytes("/f") == CONTENT
            joined = await pool.add_remotes([directory(tmp_path, "new")], alone=True)
            assert joined["state"] == "active" and len(await pool.remotes()) == 3

    asyncio.run(lose())


def test_a_pool_of_keys_alone_changes_too(tmp_path: Path) -> None:
    with rclonepool.Pool.create(keys_for(tmp_path, 2)) as pool:
        pool.add_remotes(directory(tmp_path, "new"), alone=True)
        assert len(pool.config["remotes"]) == 3
        change = pool.remove_remote(str(tmp_path / "new"), alone=True)
        assert change["state"] == "removed" and len(pool.config["remotes"]) == 2
        pool.write_bytes("/g", b"1")
