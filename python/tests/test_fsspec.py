"""The pool as a file system of fsspec, and through it in the packages people use."""

import io
import json
import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rclonepool
from conftest import MakePool, keys_for

fsspec = pytest.importorskip("fsspec")
abstract = pytest.importorskip("fsspec.tests.abstract")

from rclonepool.fsspec import RclonePoolFileSystem  # noqa: E402  only where there is fsspec


class Fixtures(abstract.AbstractFixtures):  # type: ignore[misc, name-defined]
    @pytest.fixture
    def fs(self) -> Iterator[RclonePoolFileSystem]:
        # A pool for each test, as what hundreds of them change would be many commits to list; in memory where that is
        # possible, as each change waits for the disk.
        shm = Path("/dev/shm")
        with tempfile.TemporaryDirectory(dir=shm if os.access(shm, os.W_OK) else None) as base:
            keys = keys_for(Path(base), 1, redundancy_mode="none", enable_manifest_cache=False)
            pool = rclonepool.Pool.create(keys)
            yield RclonePoolFileSystem(pool=pool, skip_instance_cache=True)
            pool.close()

    @pytest.fixture
    def fs_path(self) -> str:
        return "/below/it"

    @pytest.fixture
    def fs_join(self) -> Any:
        return lambda *parts: "/".join(parts)


class TestCopy(Fixtures, abstract.AbstractCopyTests):  # type: ignore[misc, name-defined]
    pass


class TestGet(Fixtures, abstract.AbstractGetTests):  # type: ignore[misc, name-defined]
    pass


class TestPut(Fixtures, abstract.AbstractPutTests):  # type: ignore[misc, name-defined]
    pass


class TestPipe(Fixtures, abstract.AbstractPipeTests):  # type: ignore[misc, name-defined]
    pass


class TestOpen(Fixtures, abstract.AbstractOpenTests):  # type: ignore[misc, name-defined]
    pass


@pytest.fixture
def config(tmp_path: Path) -> Iterator[str]:
    """A configuration file; its pool is there."""
    file = tmp_path / "config.json"
    file.write_text(json.dumps(keys_for(tmp_path)))
    rclonepool.Pool.create(file).close()
    yield str(file)
    for fs in list(RclonePoolFileSystem._cache.values()):
        fs.pool.close()
    RclonePoolFileSystem.clear_instance_cache()


def test_it_is_registered(config: str) -> None:
    fs = fsspec.filesystem("rclonepool", config=config)
    assert isinstance(fs, RclonePoolFileSystem)
    assert fsspec.filesystem("rclonepool", config=config) is fs
    with fsspec.open("rclonepool://d/t.txt", "w", config=config) as file:
        file.write("é")
    assert fs.pool.read_bytes("/d/t.txt") == "é".encode()
    with fsspec.open("rclonepool:///d/t.txt", "rt", encoding="utf-8", config=config) as file:
        assert file.read() == "é"
    with fsspec.open("rclonepool://d/t.gz", "wt", compression="gzip", config=config) as file:
        file.write("packed")
    with fsspec.open("rclonepool://d/t.gz", "rt", compression="gzip", config=config) as file:
        assert file.read() == "packed"


def test_names_and_ranges(config: str) -> None:
    fs = fsspec.filesystem("rclonepool", config=config)
    content = random.Random(1).randbytes(2_000_000)
    fs.pipe({"/a/1": b"1", "/a/b/2": content})
    assert fs.ls("/a", detail=False) == ["/a/1", "/a/b"] == fs.ls("rclonepool://a/", detail=False)
    assert fs.find("/") == ["/a/1", "/a/b/2"] and fs.glob("/a/**/2") == ["/a/b/2"]
    assert fs.info("/a/b")["type"] == "directory" and fs.info("/a/b/2")["size"] == len(content)
    assert fs.isfile("/a/1") and fs.isdir("/a") and not fs.exists("/b") and fs.du("/a") == len(content) + 1
    assert fs.cat_file("/a/b/2", 1_000_000, 1_000_010) == content[1_000_000:1_000_010]
    assert fs.cat_file("/a/b/2", -5) == content[-5:] and fs.head("/a/b/2", 3) == content[:3]
    assert fs.cat_ranges(["/a/b/2"] * 2, [0, 5], [5, 9]) == [content[:5], content[5:9]]
    assert abs(fs.modified("/a/1").timestamp() - fs.created("/a/1").timestamp()) < 5
    fs.mv("/a/b", "/c")
    assert fs.cat("/c/2") == content
    key = fs.ukey("/c/2")
    fs.pipe_file("/c/2", b"other")
    assert fs.ukey("/c/2") != key
    fs.rm("/c/*")
    assert not fs.exists("/c/2")
    with pytest.raises(FileNotFoundError):
        fs.ls("/nope")
    with pytest.raises(FileNotFoundError):
        fs.rm("/nope")
    fs.mkdir("/e")
    with pytest.raises(FileExistsError):
        fs.mkdir("/e")
    fs.rmdir("/e")
    assert not fs.exists("/e")
    with pytest.raises(OSError, match="not empty"):
        fs.rmdir("/a")


def test_a_block_that_raises_stores_nothing(config: str) -> None:
    fs = fsspec.filesystem("rclonepool", config=config)
    for mode in ("w", "wb"):
        with pytest.raises(KeyError), fs.open("/half", mode) as file:
            file.write("x" if mode == "w" else b"x")
            raise KeyError
    assert not fs.exists("/half")
    with pytest.raises(NotImplementedError), fs.transaction:
        fs.open("/half", "wb")


def test_callbacks(config: str, tmp_path: Path) -> None:
    fs = fsspec.filesystem("rclonepool", config=config)
    (tmp_path / "f").write_bytes(bytes(2_000_000))
    back = fsspec.callbacks.Callback()
    fs.put_file(tmp_path / "f", "/f", callback=back)
    assert back.value == back.size == 2_000_000
    back = fsspec.callbacks.Callback()
    fs.get_file("/f", str(tmp_path / "g"), callback=back)
    assert back.value == 2_000_000 and (tmp_path / "g").stat().st_size == 2_000_000


def test_pandas(config: str) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"n": range(50_000), "text": [f"é{i}" for i in range(50_000)]})
    options = {"config": config}
    table.to_csv("rclonepool://data/table.csv", index=False, storage_options=options)
    again = pandas.read_csv("rclonepool://data/table.csv", storage_options=options)
    pandas.testing.assert_frame_equal(again, table, check_dtype=False)
    table.to_csv("rclonepool://data/table.csv.gz", index=False, storage_options=options)
    packed = pandas.read_csv("rclonepool://data/table.csv.gz", storage_options=options)
    pandas.testing.assert_frame_equal(packed, table, check_dtype=False)
    pytest.importorskip("pyarrow")
    table.to_parquet("rclonepool://data/table.parquet", storage_options=options)
    columns = pandas.read_parquet("rclonepool://data/table.parquet", columns=["n"], storage_options=options)
    assert columns["n"].sum() == table["n"].sum()


def test_pandas_over_file_objects(make: MakePool) -> None:
    pandas = pytest.importorskip("pandas")
    pool = make()
    with pool.open("/t.csv", "w") as file:
        pandas.DataFrame({"n": range(1000)}).to_csv(file, index=False)
    with pool.open("/t.csv", "rb") as read:
        assert pandas.read_csv(read)["n"].sum() == 499_500


def test_pyarrow(config: str) -> None:
    pa = pytest.importorskip("pyarrow")
    ds, pq = pytest.importorskip("pyarrow.dataset"), pytest.importorskip("pyarrow.parquet")
    fs = fsspec.filesystem("rclonepool", config=config)
    table = pa.table({"year": [2024] * 500 + [2025] * 500, "n": list(range(1000))})
    ds.write_dataset(table, "/set", format="parquet", partitioning=["year"], filesystem=fs)
    assert len(fs.glob("/set/*/*.parquet")) == 2
    read = ds.dataset("/set", partitioning=["year"], filesystem=fs, format="parquet")
    assert read.to_table(filter=ds.field("year") == 2025)["n"].to_pylist() == list(range(500, 1000))
    # Over our own file objects, with and without a buffer.
    fs.pool.write_bytes("/one.parquet", _parquet(pa, pq, table))
    for buffering in (-1, 0):
        with fs.pool.open("/one.parquet", "rb", buffering) as file:
            assert pq.read_table(file).equals(table)
    with fs.pool.open("/two.parquet", "wb") as target:
        pq.write_table(table, target)
    assert pq.read_table("/two.parquet", filesystem=fs).equals(table)


def _parquet(pa: Any, pq: Any, table: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def test_zarr_style_mappings(config: str) -> None:
    store = fsspec.get_mapper("rclonepool://array.zarr", config=config)
    store.update({"a/.zarray": b"{}", "a/0.0": bytes(100)})
    assert sorted(store) == ["a/.zarray", "a/0.0"] and store["a/0.0"] == bytes(100) and "a/0.1" not in store
    assert store.getitems(["a/.zarray", "a/0.1"], on_error="omit") == {"a/.zarray": b"{}"}
    del store["a/0.0"]
    assert len(store) == 1
