"""What Pool.open gives: files that Python's libraries cannot tell from others."""

import csv
import gc
import io
import os
import random
import shutil
import tarfile
import zipfile
from typing import Any, cast

import pytest
import rclonepool

CONTENT = random.Random(5).randbytes(3_300_000)


@pytest.fixture
def stored(pool: rclonepool.Pool) -> rclonepool.Pool:
    pool.write_bytes("/f", CONTENT)
    return pool


@pytest.mark.parametrize("buffering", [-1, 0, 7])
def test_reading_is_as_of_a_local_file(stored: rclonepool.Pool, buffering: int) -> None:
    dice, mirror = random.Random(6), io.BytesIO(CONTENT)
    with stored.open("/f", "rb", buffering) as file:
        assert file.readable() and file.seekable() and not file.writable()
        for _ in range(200):
            match dice.randrange(5):
                case 0:
                    offset = dice.randrange(len(CONTENT) + 1000)
                    assert file.seek(offset) == mirror.seek(offset)
                case 1:
                    back = dice.randrange(len(CONTENT))
                    assert file.seek(-back, os.SEEK_END) == mirror.seek(-back, os.SEEK_END)
                case 2:
                    size = dice.choice([0, 1, 4096, 1 << 20, 1_500_001])
                    assert file.read(size) == mirror.read(size)
                case 3:
                    ours, theirs = bytearray(dice.randrange(1, 70_000)), bytearray(0)
                    theirs = bytearray(len(ours))
                    count = mirror.readinto(theirs)
                    assert file.readinto(ours) == count and ours[:count] == theirs[:count]
                case 4:
                    assert file.seek(0, os.SEEK_CUR) == mirror.tell() == file.tell()
        file.seek(1)
        assert file.read() == CONTENT[1:]
        assert file.read() == file.read(10) == b""
        with pytest.raises(ValueError, match="negative"):
            file.seek(-1)
    assert file.closed
    with pytest.raises(ValueError, match="closed"):
        file.read(1)


def test_readinto_any_buffer(stored: rclonepool.Pool) -> None:
    import array

    with stored.open("/f", "rb", buffering=0) as file:
        words = array.array("I", bytes(4000))
        assert file.readinto(words) == 4000 and words.tobytes() == CONTENT[:4000]
        assert file.readinto(bytearray()) == 0
        inside = memoryview(bytearray(100))
        assert file.readinto(inside[10:20]) == 10 and bytes(inside[10:20]) == CONTENT[4000:4010]
        with pytest.raises((TypeError, BufferError)):
            file.readinto(b"fixed")


def test_peek_and_lines(pool: rclonepool.Pool) -> None:
    with pool.open("/t", "w", newline="") as file:
        csv.writer(file).writerows([["n", "é"], ["1", "2"]])
    assert pool.read_bytes("/t") == "n,é\r\n1,2\r\n".encode()
    with pool.open("/t", newline="") as text:
        assert list(csv.reader(text)) == [["n", "é"], ["1", "2"]]
    with pool.open("/t") as text:
        assert text.readlines() == ["n,é\n", "1,2\n"]
    with pool.open("/t", "rb") as file2:
        assert file2.peek(3)[:1] == b"n" and file2.tell() == 0
    with pool.open("/t", encoding="latin-1") as text:
        assert text.readline() == "n,Ã©\n"


def test_an_open_file_stays_as_it_was(stored: rclonepool.Pool) -> None:
    with stored.open("/f", "rb") as file:
        stored.write_bytes("/f", b"new")
        assert file.read() == CONTENT
    assert stored.read_bytes("/f") == b"new"


def test_archives(pool: rclonepool.Pool) -> None:
    with pool.open("/a.zip", "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", "text " * 1000)
        archive.writestr("b.bin", CONTENT)
    with pool.open("/a.zip", "rb") as packed, zipfile.ZipFile(packed) as read:
        assert read.testzip() is None
        assert read.read("b.bin") == CONTENT
        assert read.open("a.txt").readline() == b"text " * 1000
    with pool.open("/a.tar.gz", "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as tar:
        info = tarfile.TarInfo("x")
        info.size = len(CONTENT)
        tar.addfile(info, io.BytesIO(CONTENT))
    with pool.open("/a.tar.gz", "rb") as packed, tarfile.open(fileobj=packed) as tar:
        member = tar.extractfile("x")
        assert member is not None and member.read() == CONTENT


def test_copying(stored: rclonepool.Pool) -> None:
    with stored.open("/f", "rb") as source, stored.open("/g", "wb") as target:
        shutil.copyfileobj(source, target)
    assert stored.read_bytes("/g") == CONTENT


@pytest.mark.parametrize("size", [0, 1, 4096, 4097, 1 << 20, 9_000_000])
def test_what_is_written_is_there_when_it_is_closed(pool: rclonepool.Pool, size: int) -> None:
    content = random.Random(size).randbytes(size)
    with pool.open("/f", "wb") as file:
        assert file.writable() and not file.seekable() and not file.readable()
        assert file.write(content) == size
        assert file.tell() == size
        assert not pool.exists("/f")
    assert pool.read_bytes("/f") == content


@pytest.mark.parametrize("mode", ["wb", "w"])
@pytest.mark.parametrize("size", [10, 6_000_000])
def test_a_block_that_raises_stores_nothing(pool: rclonepool.Pool, mode: str, size: int) -> None:
    pool.write_bytes("/f", b"before")
    with pytest.raises(KeyError), pool.open("/f", mode) as file:
        file.write(cast("Any", "x" * size if mode == "w" else b"x" * size))
        raise KeyError
    assert file.closed
    assert pool.read_bytes("/f") == b"before"
    assert [e.path for e in pool.ls()] == ["/f"]


def test_discarded_and_forgotten_files_store_nothing(pool: rclonepool.Pool) -> None:
    for mode in ("wb", "w"):
        file = pool.open("/f", mode)
        file.write(cast("Any", "x" if mode == "w" else b"x"))
        file.discard()
        assert file.closed
    with pytest.warns(ResourceWarning, match="/forgotten was not closed, and is not stored"):
        forgotten = pool.open("/forgotten", "wb")
        forgotten.write(b"x" * 5_000_000)
        del forgotten
        gc.collect()
    assert pool.ls() == []


def test_exclusive(pool: rclonepool.Pool) -> None:
    with pool.open("/f", "xb") as file:
        file.write(b"1")
    with pytest.raises(FileExistsError):
        pool.open("/f", "x")
    late = pool.open("/g", "xb")
    late.write(b"late")
    pool.write_bytes("/g", b"early")
    with pytest.raises(FileExistsError):
        late.close()
    assert pool.read_bytes("/g") == b"early"


def test_modes_are_checked(pool: rclonepool.Pool) -> None:
    for mode in ("", "rw", "rbt", "rr", "q", "ab", "r+"):
        with pytest.raises(ValueError, match="mode"):
            pool.open("/f", mode)
    with pytest.raises(ValueError, match="encoding"):
        pool.open("/f", "rb", encoding="utf-8")
    with pytest.raises(ValueError, match="buffered"):
        pool.open("/f", "w", 0)


def test_what_cannot_be_opened(pool: rclonepool.Pool) -> None:
    pool.write_bytes("/d/f", b"")
    for mode in ("rb", "r"):
        with pytest.raises(FileNotFoundError, match="/nope"):
            pool.open("/nope", mode)
        with pytest.raises(IsADirectoryError):
            pool.open("/d", mode)
    with pytest.raises(FileExistsError):
        pool.open("/d", "wb")
    with pytest.raises(FileNotFoundError):
        pool.ls("/nope")
    with pytest.raises(NotADirectoryError):
        pool.ls("/d/f")
    with pytest.raises(FileExistsError), pool.open("/d/f/below", "wb") as file:
        file.write(b"x")
    with pytest.raises(TypeError):
        pool.open(b"/bytes")  # type: ignore[call-overload]


def test_a_failed_upload_is_told_while_writing(pool: rclonepool.Pool) -> None:
    pool.write_bytes("/f", b"")
    with pytest.raises(FileExistsError), pool.open("/f/below", "wb", buffering=0) as file:
        for _ in range(1000):
            file.write(bytes(1 << 20))
    assert not pool.exists("/f/below")
