"""What type checkers see of rclonepool: python typed.py DIRECTORY. Runs, too."""

import asyncio
import io
import sys
from pathlib import Path
from typing import assert_type

import rclonepool
from rclonepool import reports
from rclonepool.api_server import APIServer


def watch(progress: rclonepool.Progress) -> None:
    """Any callable is told how far it is."""
    print(f"{progress.bytes} of {progress.total_bytes} bytes, {progress.path or 'begun'}", file=sys.stderr)


def store(pool: rclonepool.Pool) -> None:
    """Files as the built-in ``open`` gives them."""
    with pool.open("/notes.txt", "w") as text:
        assert_type(text, rclonepool.PoolTextWriter)
        text.write("hello")
    with pool.open("/notes.txt") as lines:
        assert_type(lines, io.TextIOWrapper)
        assert lines.read() == "hello"
    with pool.open("/data", "wb") as data:
        assert_type(data, rclonepool.PoolWriter)
        data.write(bytes(1000))
    with pool.open("/data", "rb") as file:
        assert_type(file, io.BufferedReader)
        assert_type(file.read(10), bytes)


def look(pool: rclonepool.Pool) -> int:
    """Listings, and reports with typed keys."""
    entries = assert_type(pool.ls("/"), list[rclonepool.Entry])
    for directory, _, names in pool.walk("/"):
        assert_type(directory, str)
        assert_type(names, list[str])
    report = assert_type(pool.verify(deep=True, progress=watch), reports.VerifyReport)
    assert report["outcome"] is None
    assert_type(pool.rebuild(dry_run=True), reports.RebuildPlan)
    assert_type(pool.rebuild(), reports.RebuildReport)
    remotes = assert_type(pool.remotes(), list[reports.RemoteReport])
    assert_type(pool.drain_remote(remotes[0]["name"], dry_run=True), reports.DrainPlan)
    return sum(entry.size for entry in entries if entry.is_file())


def missing(pool: rclonepool.Pool) -> str:
    """Exceptions carry what to do."""
    try:
        pool.stat("/nowhere")
    except rclonepool.NotFoundError as error:
        return assert_type(error.kind, str)
    return ""


async def later(config: dict[str, object]) -> bytes:
    """The same with an event loop."""
    async with rclonepool.AsyncPool(config) as pool:
        status = assert_type(await pool.status(), reports.PoolStatus)
        assert len(status["remotes"]) == 2
        return assert_type(await pool.read_bytes("/notes.txt"), bytes)


def serve(pool: rclonepool.Pool) -> str:
    """A server for other programs."""
    server = APIServer(port=0)
    token = assert_type(server.register_user_pool("ann", pool, quota="1GiB"), str)
    with server:
        assert token and server.running
        return server.url


def main(base: Path) -> None:
    """Makes a pool of two directories."""
    disks = [base / "disk1", base / "disk2"]
    for disk in disks:
        disk.mkdir(exist_ok=True)
    config: dict[str, object] = {
        "remotes": [str(disk) for disk in disks],
        "redundancy_mode": "replication",
        "manifest_cache_dir": str(base / "cache"),
    }
    with rclonepool.Pool.create(config) as pool:
        store(pool)
        print(look(pool), missing(pool), serve(pool).startswith("http://"), asyncio.run(later(config)).decode())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
