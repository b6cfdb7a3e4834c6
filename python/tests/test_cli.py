"""The command line that the package brings."""

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest
import rclonepool
from conftest import keys_for

PROGRAM = str(Path(sysconfig.get_path("scripts")) / "rclonepool")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(keys_for(tmp_path)))
    return file


def run(*words: object, code: int = 0, program: tuple[str, ...] = (PROGRAM,)) -> subprocess.CompletedProcess[str]:
    ran = subprocess.run([*program, *map(str, words)], capture_output=True, text=True, timeout=60)
    assert ran.returncode == code, (ran.args, ran.stdout, ran.stderr)
    return ran


def test_it_is_the_command_line(config: Path, tmp_path: Path) -> None:
    assert f"rclonepool {rclonepool.__version__} " in run("version").stdout
    assert run("version").stdout == run("version", program=(sys.executable, "-m", "rclonepool")).stdout
    with rclonepool.Pool.create(config) as pool:
        pool.write_bytes("/f", b"from the library")
    assert run("--config", config, "cat", "/f").stdout == "from the library"
    (tmp_path / "g").write_text("from the command line")
    run("--config", config, "upload", tmp_path / "g", "/g")
    with rclonepool.Pool(config) as pool:
        assert pool.read_text("/g") == "from the command line"


def test_it_says_what_is_wrong(config: Path) -> None:
    rclonepool.Pool.create(config).close()
    assert "unexpected argument" in run("ls", "--nonsense", code=2).stderr
    wrong = run("--config", config, "--json", "stat", "/nowhere", code=4)
    assert json.loads(wrong.stderr.splitlines()[-1])["message_type"] == "error"


def test_ctrl_c_stops_it(config: Path, tmp_path: Path) -> None:
    config.write_text(json.dumps({**json.loads(config.read_text()), "bandwidth_limit_upload_mbps": 1}))
    rclonepool.Pool.create(config).close()
    (tmp_path / "big").write_bytes(os.urandom(20 << 20))
    words = [PROGRAM, "--config", str(config), "upload", str(tmp_path / "big"), "/big"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as uploading:
        time.sleep(2)
        uploading.send_signal(signal.SIGINT)
        _, said = uploading.communicate(timeout=30)
    assert uploading.returncode == 130 and "Traceback" not in said and "interrupted" in said, said


def test_rclone_of_the_extra_is_found_without_its_directory_in_path(config: Path, tmp_path: Path) -> None:
    assert (Path(sysconfig.get_path("scripts")) / "rclone").exists(), "the extra is installed for the tests"
    (tmp_path / "one").mkdir()
    (tmp_path / "rclone.conf").write_text(f"[one]\ntype = alias\nremote = {tmp_path / 'one'}\n")
    keys = keys_for(
        tmp_path, remotes=["one:"], redundancy_mode="none", rclone_config_file=str(tmp_path / "rclone.conf")
    )
    config.write_text(json.dumps(keys))
    (tmp_path / "empty").mkdir()
    words = [PROGRAM, "--config", str(config), "init", "--yes"]
    bare = {**os.environ, "PATH": str(tmp_path / "empty")}
    ran = subprocess.run(words, capture_output=True, text=True, timeout=60, env=bare)
    assert ran.returncode == 0 and list((tmp_path / "one").iterdir()), ran.stderr
