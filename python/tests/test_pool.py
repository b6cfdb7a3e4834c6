"""Pool: names, transfers, care."""

import os
import random
import shutil
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import rclonepool
from conftest import MakePool, keys_for


def test_configuration_by_path_dictionary_and_keywords(tmp_path: Path, keys: dict[str, Any]) -> None:
    import json

    with rclonepool.Pool.create(**keys) as made:
        made.write_bytes("/a", b"a")
    file = tmp_path / "config.json"
    file.write_text(json.dumps(keys))
    for pool in (rclonepool.Pool(file), rclonepool.Pool(str(file)), rclonepool.Pool(keys), rclonepool.Pool(**keys)):
        assert pool.id == made.id
        assert pool.read_bytes("/a") == b"a"
        pool.close()
    # Keywords stand above the file.
    with rclonepool.Pool(file, redundancy_mode="none") as plain:
        assert plain.status()["redundancy"]["mode"] == "none"


def test_default_configuration(tmp_path: Path, keys: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    import json

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    with pytest.raises(rclonepool.ConfigError, match=r"home/rclonepool/config\.json"):
        rclonepool.Pool()
    (tmp_path / "home/rclonepool").mkdir(parents=True)
    (tmp_path / "home/rclonepool/config.json").write_text(json.dumps(keys))
    rclonepool.Pool.create().close()
    with rclonepool.Pool() as pool:
        assert len(pool.remotes()) == 2


def test_wrong_configurations_say_what_is_wrong(keys: dict[str, Any]) -> None:
    with pytest.raises(rclonepool.ConfigError, match="chunk_sizes"):
        rclonepool.Pool(keys, chunk_sizes=1)
    with pytest.raises(ValueError, match="redundancy_mode"):
        rclonepool.Pool(keys, redundancy_mode="twice")
    with pytest.raises(rclonepool.UnavailableError, match="no pool was found"):
        # None was made on them.
        rclonepool.Pool(keys)


def test_closed_pools_say_so(keys: dict[str, Any]) -> None:
    with rclonepool.Pool.create(keys) as pool:
        pool.write_bytes("/a", b"abc")
        file = pool.open("/a", "rb", buffering=0)
    assert pool.closed
    pool.close()
    with pytest.raises(ValueError, match="closed"):
        pool.ls()
    with pytest.raises(ValueError, match="closed"):
        file.read(1)


def test_names(pool: rclonepool.Pool) -> None:
    pool.write_bytes("/a/b/one.txt", b"1")
    pool.write_bytes(PurePosixPath("/a/two.bin"), b"22", content_type="application/x-two")
    pool.mkdir("/a/empty")
    assert [(e.name, e.type, e.size) for e in pool.ls("/a")] == [
        ("b", "directory", 0),
        ("empty", "directory", 0),
        ("two.bin", "file", 2),
    ]
    assert [e.path for e in pool.ls(recursive=True)] == ["/a/b/one.txt", "/a/empty", "/a/two.bin"]
    assert list(pool.walk("/a")) == [
        ("/a", ["b", "empty"], ["two.bin"]),
        ("/a/b", [], ["one.txt"]),
        ("/a/empty", [], []),
    ]
    entry = pool.stat("/a/two.bin")
    assert entry.is_file() and not entry.is_dir() and entry.content_type == "application/x-two"
    assert entry == pool.ls("/a")[2] and len({entry, pool.stat("/a/two.bin")}) == 1
    assert entry.modified is not None and entry.modified.tzinfo is not None
    assert entry.mtime_ns is not None and abs(entry.modified.timestamp() - entry.mtime_ns / 1e9) < 1e-3
    assert os.fspath(entry) == "/a/two.bin" and pool.read_bytes(entry) == b"22"
    assert pool.exists("/a/b") and pool.is_dir("/a/b") and pool.is_file("/a/b/one.txt") and not pool.exists("/b")

    pool.mv("/a/b", "/c")
    assert pool.read_bytes("/c/one.txt") == b"1" and not pool.exists("/a/b")
    with pytest.raises(FileExistsError):
        pool.mv("/c/one.txt", "/a/two.bin")
    pool.cp("/c", "/copy")
    assert pool.read_bytes("/copy/one.txt") == pool.read_bytes("/c/one.txt")
    pool.rm("/copy", recursive=True)
    pool.mv("/c/one.txt", "/a/two.bin", overwrite=True)
    assert pool.read_bytes("/a/two.bin") == b"1"
    with pytest.raises(rclonepool.InvalidArgumentError):
        pool.rm("/a")
    assert pool.rm("/a", recursive=True)["entries"] == 2
    assert pool.ls() == []
    pool.mkdir("/d")
    pool.mkdir("/d")
    with pytest.raises(FileExistsError):
        pool.mkdir("/d", exist_ok=False)


def test_glob(pool: rclonepool.Pool) -> None:
    for path in ("/a/1.txt", "/a/2.txt", "/a/b/3.txt", "/a/b/[x].txt", "/z"):
        pool.write_bytes(path, b"")
    assert pool.glob("/a/*.txt") == ["/a/1.txt", "/a/2.txt"]
    assert pool.glob("/a/?.txt") == ["/a/1.txt", "/a/2.txt"]
    assert pool.glob("/a/[!1].txt") == ["/a/2.txt"]
    assert pool.glob("/**/3.txt") == ["/a/b/3.txt"]
    assert pool.glob("/a/**") == ["/a", "/a/1.txt", "/a/2.txt", "/a/b", "/a/b/3.txt", "/a/b/[x].txt"]
    assert pool.glob("/a/b/[[]x].txt") == ["/a/b/[x].txt"]
    assert pool.glob("/*") == ["/a", "/z"]
    assert pool.glob("/z") == ["/z"]
    assert pool.glob("/no/*") == pool.glob("/no") == []


def test_trash(pool: rclonepool.Pool) -> None:
    pool.write_bytes("/a", b"old")
    pool.write_bytes("/a", b"new")
    pool.rm("/a")
    assert {(t["path"], t["by"]) for t in pool.trash()} == {("/a", "deleted"), ("/a", "overwritten")}
    assert pool.restore("/a")["paths"] == ["/a"]
    assert pool.read_bytes("/a") == b"new"
    assert pool.empty_trash() >= 1
    assert pool.trash() == []


def test_transfers(pool: rclonepool.Pool, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    content = random.Random(1).randbytes(3_000_000)
    (tree / "big.bin").write_bytes(content)
    (tree / "sub/small.txt").write_text("small")
    (tree / "sub/other.tmp").write_text("other")
    assert pool.upload(tree, "/tree", exclude="*.tmp")["files"] == 2
    assert pool.upload(str(tree), "/tree", exclude=["*.tmp"])["unchanged"] == 2
    assert pool.upload(tree / "big.bin", "/into/")["bytes"] == len(content)
    assert pool.read_bytes("/into/big.bin") == content
    assert pool.upload([tree / "big.bin", tree / "sub/small.txt"], "/both")["files"] == 2
    assert pool.upload(tree / "sub/small.txt", "/x", dry_run=True)["files"] == 1
    assert not pool.exists("/x")
    with (tree / "big.bin").open("rb") as source:
        assert pool.upload(source, "/from-file")["bytes"] == len(content)
    assert pool.read_bytes("/from-file") == content

    back = tmp_path / "back"
    assert pool.download("/tree", back)["files"] == 2
    assert (back / "big.bin").read_bytes() == content
    assert (back / "sub/small.txt").read_text() == "small"
    assert pool.download("/tree", back)["unchanged"] == 2
    pool.download("/tree/big.bin", f"{tmp_path}/new/")
    assert (tmp_path / "new/big.bin").stat().st_size == len(content)


def test_some_files_fail_and_the_others_are_done(pool: rclonepool.Pool, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "good").write_text("good")
    # A directory of the pool is where this one would go.
    (tree / "bad").write_text("bad")
    pool.write_bytes("/t/bad/inside", b"")
    with pytest.raises(rclonepool.PartialError, match="bad") as caught:
        pool.upload(tree, "/t")
    assert caught.value.report["failed"] == 1 and caught.value.report["files"] == 1
    assert [Path(path).name for path, _ in caught.value.failures] == ["bad"]
    assert pool.read_bytes("/t/good") == b"good"


def test_loss_and_rebuild(make: MakePool, tmp_path: Path) -> None:
    pool = make(3, redundancy_mode="parity", parity_data_shards=2, parity_parity_shards=1)
    content = random.Random(2).randbytes(2_500_000)
    pool.write_bytes("/f", content)
    assert pool.verify()["outcome"] is None
    lost = [p for p in (tmp_path / "disk1").glob("rclonepool_data/*/*") if p.is_file()]
    assert lost
    shutil.copytree(tmp_path / "disk1", tmp_path / "kept")
    for shard in lost:
        shard.unlink()
    report = pool.verify()
    assert report["outcome"] == "degraded" and report["shards"]["missing"] == len(lost)
    health = pool.health()
    assert health["state"] != "healthy" and health["recoverable"]
    plan = pool.rebuild(all=True, accept_loss=True, dry_run=True)
    assert sum(remote["shards"] for remote in plan["remotes"]) == len(lost)
    assert pool.read_bytes("/f") == content
    seen: list[rclonepool.Progress] = []
    assert pool.rebuild(all=True, accept_loss=True, progress=seen.append)["shards"] == len(lost)
    assert seen and seen[-1].items == seen[-1].total_items > 0
    assert pool.verify(deep=True)["outcome"] is None
    assert pool.health(lost=[str(tmp_path / "disk0")])["recoverable"]


def test_repair_from_a_local_copy(make: MakePool, tmp_path: Path) -> None:
    pool = make(2, redundancy_mode="none")
    content = random.Random(3).randbytes(2_500_000)
    pool.write_bytes("/f", content)
    (tmp_path / "copy").write_bytes(content)
    for shard in tmp_path.glob("disk*/rclonepool_data/*/*"):
        shard.unlink()
    assert pool.verify()["outcome"] is not None
    with pytest.raises(rclonepool.RclonePoolError):
        pool.read_bytes("/f")
    assert pool.repair("/f", tmp_path / "copy", dry_run=True)["damaged"]
    assert pool.repair("/f", tmp_path / "copy")["rebuilt"]["shards"] == 3
    assert pool.read_bytes("/f") == content


def test_convert_and_manifest(make: MakePool) -> None:
    pool = make(3, redundancy_mode="none")
    pool.write_bytes("/f", bytes(1_500_000))
    assert [len(chunk["shards"]) for chunk in pool.manifest("/f")["chunks"]] == [1, 1]
    assert len(pool.convert("parity:2+1", dry_run=True)["chunks"]) == 2
    assert pool.convert("parity:2+1")["chunks"] == 2
    assert [len(chunk["shards"]) for chunk in pool.manifest("/f")["chunks"]] == [3, 3]
    assert pool.read_bytes("/f") == bytes(1_500_000)


def test_rebalance(tmp_path: Path) -> None:
    content = random.Random(4).randbytes(8_000_000)
    two = keys_for(tmp_path, 2, redundancy_mode="none", remote_priorities={str(tmp_path / "disk0"): 9})
    with rclonepool.Pool.create(two) as pool:
        pool.write_bytes("/f", content)
        assert [remote["used"] for remote in pool.remotes()] == [len(content), 0]
    del two["remote_priorities"]
    with rclonepool.Pool(two) as pool:
        before = pool.balance_status()["variance"]
        plan = pool.rebalance(dry_run=True)
        assert plan["shards"] > 0 and {flow["to"] for flow in plan["flows"]} == {str(tmp_path / "disk1")}
        report = pool.rebalance()
        assert report["shards"] == plan["shards"] and report["variance"] < before
        assert all(remote["used"] > 0 for remote in pool.remotes())
        assert pool.read_bytes("/f") == content


def test_garbage(pool: rclonepool.Pool, tmp_path: Path) -> None:
    pool.write_bytes("/f", bytes(2_000_000))
    assert pool.orphans()["orphans"] == []
    pool.rm("/f", purge=True)
    assert sum(orphan["bytes"] for orphan in pool.orphans()["orphans"]) == 4_000_000
    assert pool.gc(min_age=0)["reclaimed"] == 4_000_000
    assert not [p for p in tmp_path.glob("disk*/rclonepool_data/*/*") if p.is_file()]


def test_what_other_machines_change_is_seen(pool: rclonepool.Pool, keys: dict[str, Any], tmp_path: Path) -> None:
    with rclonepool.Pool(keys, manifest_cache_dir=str(tmp_path / "other")) as other:
        other.write_bytes("/theirs", b"1")
    assert not pool.exists("/theirs")
    assert pool.sync() == {"complete": True, "lacks": []}
    assert pool.read_bytes("/theirs") == b"1"
