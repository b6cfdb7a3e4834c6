"""Signals, progress, logging, threads, forks, memory, the end of the process."""

import logging
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import rclonepool
from conftest import MakePool, keys_for

CONTENT = random.Random(9).randbytes(3_000_000)


def script(text: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a program in an interpreter of its own."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(text), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, **environment})


@pytest.mark.parametrize("way", ["upload", "write", "open"])
def test_ctrl_c_stops_a_long_call(make: MakePool, tmp_path: Path, way: str) -> None:
    pool = make(bandwidth_limit_upload_mbps=2, chunk_size=256 << 10)
    (tmp_path / "big").write_bytes(bytes(40 << 20))
    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    began = time.monotonic()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        if way == "upload":
            pool.upload(tmp_path / "big", "/f")
        elif way == "write":
            pool.write_bytes("/f", bytes(40 << 20))
        else:
            with pool.open("/f", "wb") as file:
                for _ in range(40):
                    file.write(bytes(1 << 20))
    assert time.monotonic() - began < 1.5
    timer.join()
    assert not pool.exists("/f")
    # The pool goes on.
    pool.write_bytes("/small", b"1")
    assert pool.read_bytes("/small") == b"1"


def test_ctrl_c_stops_a_long_read(make: MakePool) -> None:
    pool = make(bandwidth_limit_download_mbps=1, enable_prefetch=False)
    pool.write_bytes("/f", random.Random(1).randbytes(20 << 20))
    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    began = time.monotonic()
    timer.start()
    with pytest.raises(KeyboardInterrupt), pool.open("/f", "rb") as file:
        file.read()
    assert time.monotonic() - began < 1.5
    timer.join()


def test_progress(pool: rclonepool.Pool, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for i in range(5):
        (tree / f"f{i}").write_bytes(CONTENT)
    seen: list[rclonepool.Progress] = []
    pool.upload(tree, "/t", progress=seen.append)
    last = seen[-1]
    assert (last.bytes, last.total_bytes, last.items, last.total_items) == (15_000_000, 15_000_000, 5, 5)
    assert last.path is not None and last.path.startswith("/t/f")
    assert [p.bytes for p in seen] == sorted(p.bytes for p in seen)

    def stop(_: rclonepool.Progress) -> None:
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        pool.write_bytes("/g", CONTENT, progress=stop)


def test_progress_bar(pool: rclonepool.Pool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "f").write_bytes(CONTENT)
    # With tqdm or without it.
    pool.upload(tmp_path / "f", "/f", progress=True)
    assert pool.read_bytes("/f") == CONTENT
    shown = capsys.readouterr().err
    tqdm = pytest.importorskip("tqdm")
    assert tqdm and "upload" in shown and "2.86M" in shown


def test_logging(make: MakePool, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "rclonepool")
    pool = make()
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "bad").write_text("")
    pool.write_bytes("/t/bad/inside", b"")
    with pytest.raises(rclonepool.PartialError):
        pool.upload(tree, "/t")
    records = [r for r in caplog.records if r.name == "rclonepool"]
    assert any(r.levelno == logging.WARNING and "bad" in r.getMessage() for r in records)
    caplog.clear()
    # What nobody listens to is not handed over.
    caplog.set_level(logging.ERROR, "rclonepool")
    with pytest.raises(rclonepool.PartialError):
        pool.upload(tree, "/t")
    assert not caplog.records


def test_logging_of_the_core(make: MakePool, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "rclonepool")
    pool = make(3, redundancy_mode="parity", parity_data_shards=2, parity_parity_shards=1)
    pool.write_bytes("/f", CONTENT)
    for shard in tmp_path.glob("disk0/rclonepool_data/*/*"):
        shard.unlink()
    pool.read_bytes("/f")
    pool.verify()
    assert caplog.records, "the core says what it meets"


def test_threads(pool: rclonepool.Pool) -> None:
    pool.write_bytes("/big", CONTENT)

    def one(i: int) -> bool:
        own = random.Random(i).randbytes(20_000)
        pool.write_bytes(f"/d/{i}", own)
        with pool.open("/big", "rb") as file:
            file.seek(i * 1000)
            return file.read(1000) == CONTENT[i * 1000 : i * 1000 + 1000] and pool.read_bytes(f"/d/{i}") == own

    with ThreadPoolExecutor(32) as threads:
        assert all(threads.map(one, range(96)))
    assert len(pool.ls("/d")) == 96


def test_the_interpreter_runs_while_the_core_works(make: MakePool) -> None:
    pool = make(bandwidth_limit_upload_mbps=4)
    counted, stop = 0, threading.Event()

    def count() -> None:
        nonlocal counted
        while not stop.is_set():
            counted += 1
            time.sleep(0.01)

    thread = threading.Thread(target=count)
    thread.start()
    began = time.monotonic()
    pool.write_bytes("/f", random.Random(1).randbytes(4 << 20))
    took = time.monotonic() - began
    stop.set()
    thread.join()
    assert took > 0.4 and counted > took * 20


@pytest.mark.parametrize("order", ["pool file writer", "writer file pool", "file pool writer"])
def test_objects_go_in_any_order(tmp_path: Path, order: str) -> None:
    program = """
        import gc, sys, rclonepool
        pool = rclonepool.Pool.create(sys.argv[1])
        pool.write_bytes("/f", bytes(3_000_000))
        file, writer = pool.open("/f", "rb", 0), pool.open("/g", "wb", 0)
        writer.write(bytes(2_000_000)); file.read(10)
        import warnings; warnings.simplefilter("ignore")
        for name in sys.argv[2].split():
            del globals()[name]
            gc.collect()
        print("done")
    """
    config = tmp_path / "config.json"
    import json

    config.write_text(json.dumps(keys_for(tmp_path)))
    ran = script(program, config, order)
    assert (ran.returncode, ran.stdout) == (0, "done\n"), ran.stderr


def test_the_process_ends_with_all_open(tmp_path: Path) -> None:
    import json

    config = tmp_path / "config.json"
    config.write_text(json.dumps(keys_for(tmp_path)))
    program = """
        import logging, sys, rclonepool
        logging.basicConfig(level=logging.DEBUG)
        pool = rclonepool.Pool.create(sys.argv[1])
        pool.write_bytes("/f", b"1")
        file = pool.open("/f", "rb")
        task = pool._engine.write("/g", bytes(20_000_000))
    """
    ran = script(program, config)
    assert ran.returncode == 0, ran.stderr
    with rclonepool.Pool(config) as pool:
        assert pool.read_bytes("/f") == b"1"


def test_a_forked_child_gets_a_clear_error_and_can_open_its_own(tmp_path: Path) -> None:
    import json

    config = tmp_path / "config.json"
    config.write_text(json.dumps(keys_for(tmp_path)))
    program = """
        import os, sys, rclonepool
        pool = rclonepool.Pool.create(sys.argv[1])
        pool.write_bytes("/f", b"1")
        file = pool.open("/f", "rb", 0)
        child = os.fork()
        if not child:
            code = 1
            try:
                for use in (pool.ls, lambda: file.read(1), lambda: pool.write_bytes("/x", b"")):
                    try:
                        use()
                    except RuntimeError as error:
                        assert "forked" in str(error), error
                    else:
                        raise AssertionError("no error")
                del pool, file
                with rclonepool.Pool(sys.argv[1]) as own:
                    assert own.read_bytes("/f") == b"1"
                    own.write_bytes("/child", b"2")
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        pool.sync()
        assert pool.read_bytes("/child") == b"2" and file.read(1) == b"1"
        pool.close()
        print("done")
    """
    ran = script(program, config)
    assert (ran.returncode, ran.stdout) == (0, "done\n"), ran.stderr


def test_multiprocessing_after_import(tmp_path: Path) -> None:
    import json

    config = tmp_path / "config.json"
    config.write_text(json.dumps(keys_for(tmp_path)))
    program = """
        import multiprocessing, sys, rclonepool
        def work(i):
            with rclonepool.Pool(sys.argv[1]) as pool:
                return pool.read_bytes("/f")
        if __name__ == "__main__":
            with rclonepool.Pool.create(sys.argv[1]) as pool:
                pool.write_bytes("/f", b"1")
                with multiprocessing.get_context("fork").Pool(2) as workers:
                    assert workers.map(work, range(4)) == [b"1"] * 4
            print("done")
    """
    ran = script(program, config)
    assert (ran.returncode, ran.stdout) == (0, "done\n"), ran.stderr


def test_an_open_pool_cannot_be_pickled(pool: rclonepool.Pool) -> None:
    import pickle

    with pytest.raises(TypeError, match="open it anew"):
        pickle.dumps(pool)


def test_long_reads_and_writes_take_no_memory(tmp_path: Path) -> None:
    import json

    config = tmp_path / "config.json"
    keys: dict[str, Any] = {"memory_limit_mb": 32, "enable_chunk_cache": False, "redundancy_mode": "none"}
    config.write_text(json.dumps(keys_for(tmp_path, **keys)))
    program = """
        import resource, sys, rclonepool
        def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        pool = rclonepool.Pool.create(sys.argv[1])
        piece = bytes(range(256)) * 4096
        def write(name, n):
            with pool.open(name, "wb") as file:
                for _ in range(n): file.write(piece)
        def read(name):
            with pool.open(name, "rb") as file:
                while got := file.read(1 << 20): assert len(got) == 1 << 20
        write("/a", 48); read("/a")
        before = peak()
        write("/b", 400); read("/b")
        print(peak() - before)
    """
    ran = script(program, config)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) < 48, "MiB more for ten times as much"
