"""AsyncPool: the same, with await."""

import asyncio
import inspect
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import rclonepool
from conftest import keys_for
from rclonepool import AsyncPool, Pool

CONTENT = random.Random(7).randbytes(3_300_000)


def names(cls: type) -> dict[str, Any]:
    return {name: value for name, value in vars(cls).items() if not name.startswith("_")}


def test_it_has_what_pool_has() -> None:
    # What the smaller parts are made from is there for programs that wait alone.
    waiting_only = {"backend", "manifests", "config", "reconfigure"}
    assert set(names(Pool)) - waiting_only == set(names(AsyncPool))
    for name, method in names(Pool).items():
        if not inspect.isfunction(method) or name in waiting_only:
            continue
        other = names(AsyncPool)[name]
        assert other.__doc__, name
        if name == "open":
            continue
        ours, theirs = (inspect.signature(one).parameters for one in (method, other))
        assert [(p.name, p.kind, p.default) for p in ours.values()] == [
            (p.name, p.kind, p.default) for p in theirs.values()
        ], name
        assert inspect.iscoroutinefunction(other) or inspect.isasyncgenfunction(other), name


def test_a_round_trip(keys: dict[str, Any], tmp_path: Path) -> None:
    async def run() -> None:
        async with AsyncPool.create(keys) as pool:
            await pool.write_bytes("/d/f", CONTENT)
            assert await pool.read_bytes("/d/f") == CONTENT
            await pool.write_text("/d/t", "é")
            assert await pool.read_text("/d/t") == "é"
            assert [e.name for e in await pool.ls("/d")] == ["f", "t"]
            assert [part async for part in pool.walk()] == [("/", ["d"], []), ("/d", [], ["f", "t"])]
            assert await pool.glob("/d/?") == ["/d/f", "/d/t"]
            seen: list[rclonepool.Progress] = []
            (tmp_path / "local").write_bytes(CONTENT)
            await pool.upload(tmp_path / "local", "/up", progress=seen.append)
            assert seen[-1].bytes == len(CONTENT)
            await pool.download("/up", tmp_path / "down")
            assert (tmp_path / "down").read_bytes() == CONTENT
            assert (await pool.verify(deep=True))["outcome"] is None
            await pool.mv("/up", "/up2")
            await pool.rm("/up2")
            assert not await pool.exists("/up2")
            with pytest.raises(FileNotFoundError):
                await pool.stat("/up2")
            with pytest.raises(NotADirectoryError):
                await pool.ls("/d/f")
        assert pool.closed

    asyncio.run(run())


def test_awaited_without_a_block(keys: dict[str, Any]) -> None:
    async def run() -> None:
        unopened = AsyncPool.create(keys)
        with pytest.raises(ValueError, match="not open"):
            await unopened.ls()
        pool = await unopened
        assert await pool.ls() == []
        await pool.close()
        with pytest.raises(ValueError, match="closed"):
            await pool.ls()

    asyncio.run(run())


def test_files(keys: dict[str, Any]) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(CONTENT), 100_000):
            yield CONTENT[at : at + 100_000]

    async def run() -> None:
        async with AsyncPool.create(keys) as pool:
            assert (await pool.upload(pieces(), "/f"))["bytes"] == len(CONTENT)
            async with pool.open("/f") as file:
                assert await file.read(10) == CONTENT[:10]
                assert b"".join([piece async for piece in file.chunks(700_000)]) == CONTENT[10:]
                file.seek(-5, 2)
                assert await file.read() == CONTENT[-5:] and await file.read() == b""
            with pytest.raises(ValueError, match="closed"):
                await file.read()
            async with pool.open("/lines", "wb") as target:
                await target.write(b"one\ntwo\n")
                await target.write(memoryview(b"three"))
            async with pool.open("/lines") as file:
                assert [line async for line in file] == [b"one\n", b"two\n", b"three"]
            with pytest.raises(KeyError):
                async with pool.open("/lines", "wb") as target:
                    await target.write(b"x" * 6_000_000)
                    raise KeyError
            assert await pool.read_bytes("/lines") == b"one\ntwo\nthree"
            with pytest.raises(FileExistsError):
                pool.open("/lines", "xb")
            with pytest.raises(FileExistsError):
                async with pool.open("/lines/below", "wb") as target:
                    for _ in range(100):
                        await target.write(bytes(1 << 20))

    asyncio.run(run())


def test_a_thousand_tasks(keys: dict[str, Any]) -> None:
    async def run() -> None:
        async with AsyncPool.create(keys) as pool:
            await pool.write_bytes("/big", CONTENT)
            dice = random.Random(8)

            async def one(i: int) -> None:
                at = dice.randrange(len(CONTENT))
                async with pool.open("/big") as file:
                    file.seek(at)
                    assert await file.read(1000) == CONTENT[at : at + 1000]

            await asyncio.gather(*(one(i) for i in range(1000)))

    asyncio.run(run())


def test_cancelling_cancels_the_work(tmp_path: Path) -> None:
    async def run() -> None:
        slow = keys_for(tmp_path, bandwidth_limit_upload_mbps=1)
        async with AsyncPool.create(slow) as pool:
            began = time.monotonic()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await pool.write_bytes("/f", bytes(50 << 20))
            assert time.monotonic() - began < 2
            await asyncio.sleep(0.5)
            used = sum(p.stat().st_size for p in tmp_path.glob("disk*/rclonepool_data/*/*") if p.is_file())
            await asyncio.sleep(1.5)
            later = sum(p.stat().st_size for p in tmp_path.glob("disk*/rclonepool_data/*/*") if p.is_file())
            # Two megabytes and more would have come meanwhile.
            assert later - used < 1 << 20
            assert not await pool.exists("/f")

    asyncio.run(run())


def test_an_exception_from_progress_stops_the_work(tmp_path: Path) -> None:
    def stop(_: rclonepool.Progress) -> None:
        raise KeyError("enough")

    async def run() -> None:
        async with AsyncPool.create(keys_for(tmp_path, bandwidth_limit_upload_mbps=2)) as pool:
            with pytest.raises(KeyError, match="enough"):
                await pool.write_bytes("/f", bytes(50 << 20), progress=stop)
            assert not await pool.exists("/f")

    asyncio.run(run())
