"""The installed package: its version, its paths, its exceptions."""

import importlib.metadata
import importlib.resources
import subprocess
import sys
from pathlib import Path

import pytest
import rclonepool


def test_version_is_that_of_the_package() -> None:
    assert rclonepool.__version__ == importlib.metadata.version("rclonepool")


def test_types_are_shipped() -> None:
    files = importlib.resources.files(rclonepool)
    assert (files / "py.typed").is_file()
    assert (files / "_rclonepool.pyi").is_file()


def test_canonical_paths() -> None:
    assert rclonepool.check_path("/movies/é.mkv") == "/movies/é.mkv"
    assert rclonepool.check_path("/movies/") == "/movies"
    assert rclonepool.check_path("/") == "/"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("movies", "must begin with /"),
        ("/a/../b", r'component "\.\."'),
        ("/a\0b", "NUL"),
        ("/" + "x" * 256, "256 bytes; at most 255"),
        ("/.rclonepool/ui", "reserved"),
    ],
)
def test_bad_paths_raise_with_the_reason(path: str, why: str) -> None:
    with pytest.raises(rclonepool.RclonePoolError, match=why) as caught:
        rclonepool.check_path(path)
    with pytest.raises(ValueError, match=why):
        rclonepool.check_path(path)
    assert caught.value.kind == "invalid_argument"
    assert caught.value.retryable is False
    assert type(caught.value) is rclonepool.InvalidArgumentError


def test_wrong_types_are_type_errors() -> None:
    with pytest.raises(TypeError):
        rclonepool.check_path(b"/a")  # type: ignore[arg-type]


def test_the_tutorial_does_what_it_says() -> None:
    tutorial = Path(__file__).parents[2] / "examples/python/tutorial.py"
    ran = subprocess.run([sys.executable, str(tutorial)], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == f"the sum of the squares is {sum(n * n for n in range(10_000))}"
    assert "recoverable: True" in ran.stdout


def test_the_typed_example_runs(tmp_path: Path) -> None:
    example = Path(__file__).parents[2] / "examples/python/typed.py"
    ran = subprocess.run([sys.executable, str(example), str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "1005 not_found True hello\n"


def test_fsspec_finds_it() -> None:
    found = importlib.metadata.entry_points(group="fsspec.specs")
    assert found["rclonepool"].value == "rclonepool.fsspec:RclonePoolFileSystem"
