"""The snippets of the feature list, each by its effect."""

import hashlib
import json
import os
import random
import socket
from pathlib import Path
from typing import Any

import pytest
import rclonepool
from conftest import MakePool, keys_for

CONTENT = random.Random(10).randbytes(3_500_000)


def test_retry(make: MakePool, tmp_path: Path) -> None:
    from rclonepool.retry import RetryConfig, retry_with_backoff

    pool = make()
    backend, slept, calls = pool.backend, list[float](), 0

    @retry_with_backoff(RetryConfig(max_retries=5, base_delay=1.0, jitter=False, sleep=slept.append))
    def upload_chunk(data: bytes, remote: str, path: str) -> None:
        nonlocal calls
        calls += 1
        if calls < 4:
            raise rclonepool.UnavailableError("away", retryable=True)
        return backend.upload_bytes(data, remote, path)

    disk = backend.remotes()[0]
    upload_chunk(b"data", disk, "mine/chunk.0")
    assert slept == [1.0, 2.0, 4.0] and (tmp_path / "disk0/mine/chunk.0").read_bytes() == b"data"
    assert backend.download_bytes(disk, "mine/chunk.0") == b"data" and backend.size(disk, "mine/chunk.0") == 4
    backend.delete(disk, "mine/chunk.0")
    assert backend.size(disk, "mine/chunk.0") is None
    # What no retry helps is not called again.
    slept.clear()
    with pytest.raises(rclonepool.InvalidArgumentError):
        upload_chunk(b"", disk, "../escape")
    with pytest.raises(rclonepool.InvalidArgumentError, match="keeps its own"):
        upload_chunk(b"", disk, "rclonepool_data/0/x")
    assert slept == []
    calls = -100
    with pytest.raises(rclonepool.UnavailableError):
        upload_chunk(b"", disk, "x")
    assert len(slept) == 5


def test_retry_waits_within_its_bounds() -> None:
    from rclonepool.retry import RetryConfig

    rules = RetryConfig(base_delay=2, max_delay=10)
    assert all(rules.delay(0) <= 2 and rules.delay(0) >= 1 and 5 <= rules.delay(9) <= 10 for _ in range(100))
    assert rules.is_retryable(TimeoutError()) and not rules.is_retryable(KeyError())


def test_manifest_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rclonepool.cache import ManifestCache

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "rclonepool").mkdir()
    (tmp_path / "rclonepool/config.json").write_text(json.dumps(keys_for(tmp_path)))
    with rclonepool.Pool.create() as pool:
        pool.write_bytes("/backups/file.mkv", CONTENT)
    cache = ManifestCache()
    manifest = cache.get("/backups/file.mkv")
    assert manifest is not None and manifest["entry"]["content"]["file"]["size"] == len(CONTENT)
    assert [chunk["size"] for chunk in manifest["chunks"]] == [1 << 20] * 3 + [len(CONTENT) - (3 << 20)]
    assert cache.get("/nope") is None and [e.path for e in cache.list()] == ["/backups/file.mkv"]
    cache.pool.close()


def test_chunk_cache() -> None:
    from rclonepool.cache import ChunkCache

    chunk_cache = ChunkCache(max_size_mb=1)
    assert chunk_cache.get("chunk_key") is None
    chunk_cache.put("chunk_key", bytes(600_000))
    assert chunk_cache.get("chunk_key") == bytes(600_000)
    chunk_cache.put("small", b"1")
    chunk_cache.get("chunk_key")
    chunk_cache.put("other", bytes(448_576))
    # The one that was not used for longest made room.
    assert chunk_cache.get("small") is None and "chunk_key" in chunk_cache and "other" in chunk_cache
    chunk_cache.put("huge", bytes(2 << 20))
    assert "huge" not in chunk_cache and chunk_cache.size == 1 << 20
    assert (chunk_cache.hits, chunk_cache.misses) == (2, 2)


def test_prefetcher(pool: rclonepool.Pool) -> None:
    from rclonepool.cache import ChunkCache
    from rclonepool.performance import ChunkPrefetcher

    pool.write_bytes("/f", CONTENT)
    backend, cache = pool.backend, ChunkCache()
    prefetcher = ChunkPrefetcher(backend, cache, prefetch_count=2)
    prefetcher.start()
    assert prefetcher.read("/f", 0) == CONTENT[: 1 << 20]
    prefetcher.wait()
    assert [prefetcher.key("/f", i) in cache for i in range(4)] == [True, True, True, False]
    assert prefetcher.read("/f", 2) == CONTENT[2 << 20 : 3 << 20]
    prefetcher.wait()
    assert cache.get(prefetcher.key("/f", 3)) == CONTENT[3 << 20 :]
    prefetcher.stop()


def rclone() -> str:
    return os.environ.get("RCLONEPOOL_TEST_RCLONE") or "rclone"


def test_rclone_daemon(keys: dict[str, Any]) -> None:
    from rclonepool.performance import RcloneDaemon

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    config = {**keys, "rclone_binary": rclone()}
    daemon = RcloneDaemon(config, port=port)
    assert not answers()
    daemon.start()
    assert answers() and daemon.running
    # A fork's child lets it run.
    child = os.fork()
    if not child:
        daemon._running = None
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 and answers()
    daemon.stop()
    assert not answers() and not daemon.running


def test_redundancy_manager(tmp_path: Path) -> None:
    from rclonepool.redundancy import RedundancyManager, RedundancyMode

    file = tmp_path / "config.json"
    keys = keys_for(tmp_path, 4, redundancy_mode="none")
    file.write_text(json.dumps(keys))
    with rclonepool.Pool.create(file) as pool:
        redundancy_mgr = RedundancyManager(pool.config, pool.backend, pool.manifests)
        redundancy_mgr.set_mode(RedundancyMode.PARITY)
        redundancy_mgr.set_parity_config(data_shards=3, parity_shards=1)
        pool.write_bytes("/p", CONTENT)
        assert {len(chunk["shards"]) for chunk in pool.manifest("/p")["chunks"]} == {4}
        assert redundancy_mgr.mode is RedundancyMode.PARITY

        redundancy_mgr.set_mode(RedundancyMode.REPLICATION)
        redundancy_mgr.set_replication_factor(3)
        pool.write_bytes("/r", CONTENT)
        assert {len(chunk["shards"]) for chunk in pool.manifest("/r")["chunks"]} == {3}
        assert pool.read_bytes("/p") == pool.read_bytes("/r") == CONTENT
    # The file has it, its other keys are as they were, and so is the next opening's pool.
    written = json.loads(file.read_text())
    assert (written["redundancy_mode"], written["replication_factor"]) == ("replication", 3)
    assert written["remotes"] == keys["remotes"] and "rclone_binary" not in written
    with rclonepool.Pool(file) as again:
        assert again.status()["redundancy"] == {"mode": "replication", "data": 1, "parity": 0, "copies": 3}


def test_deduplicator(pool: rclonepool.Pool) -> None:
    from rclonepool.advanced_features import Deduplicator

    pool.write_bytes("/inline", b"small")
    pool.write_bytes("/d/chunk", CONTENT[:900_000])
    dedup = Deduplicator(pool.manifests)
    assert dedup.find_duplicate(hashlib.sha256(b"small").hexdigest()) == "/inline"
    assert dedup.find_duplicate(hashlib.sha256(CONTENT[:900_000]).hexdigest().upper()) == "/d/chunk"
    assert dedup.find_duplicate(hashlib.sha256(b"other").hexdigest()) is None
    pool.reconfigure(file_hashes=["sha256"])
    pool.write_bytes("/long", CONTENT)
    assert dedup.find_duplicate(hashlib.sha256(CONTENT).hexdigest()) == "/long"
