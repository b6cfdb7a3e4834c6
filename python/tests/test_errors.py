"""Exceptions: one class for each kind of error of the core."""

import pickle
import re
from pathlib import Path

import pytest
import rclonepool
from rclonepool import exceptions

SOURCES = Path(__file__).parents[2]


def core_kinds() -> set[str]:
    text = (SOURCES / "core/src/error.rs").read_text()
    body = re.search(r"pub enum ErrorKind \{(.*?)\n\}", text, re.DOTALL)
    assert body is not None
    names = re.findall(r"^    (\w+),$", body[1], re.MULTILINE)
    return {re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower() for name in names}


def test_every_kind_has_a_class() -> None:
    assert len(core_kinds()) > 15
    for kind in core_kinds():
        error = exceptions.make(kind, "text", True, "r:", "/p", "do")
        assert error.kind == kind and error.retryable is True
        assert (error.remote, error.path, error.hint, str(error)) == ("r:", "/p", "do", "text")
        assert type(error).__name__ in exceptions.__all__ and type(error).__name__ in rclonepool.__all__
    kinds = [cls.kind for cls in exceptions.RclonePoolError.__subclasses__()]
    assert len(kinds) == len(set(kinds)) and set(kinds) == core_kinds()


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        ("not_found", FileNotFoundError),
        ("directory_not_found", FileNotFoundError),
        ("already_exists", FileExistsError),
        ("invalid_argument", ValueError),
        ("config", ValueError),
        ("unsupported", NotImplementedError),
        ("unavailable", ConnectionError),
        ("rate_limited", ConnectionError),
        ("timeout", TimeoutError),
        ("auth", PermissionError),
        ("full", OSError),
        ("corrupt", OSError),
        ("unrecoverable", OSError),
        ("busy", OSError),
        ("io", OSError),
        ("internal", RuntimeError),
    ],
)
def test_they_are_what_people_catch(kind: str, builtin: type[Exception]) -> None:
    error = exceptions.make(kind, "text", False, None, "/p", None)
    assert isinstance(error, builtin) and isinstance(error, exceptions.RclonePoolError)
    if isinstance(error, OSError):
        assert error.errno is not None and error.filename == "/p"


def test_they_can_be_pickled() -> None:
    for kind in core_kinds():
        error = exceptions.make(kind, "text", True, "r:", "/p", "do")
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error) and vars(again) == vars(error) and str(again) == "text"


def test_an_error_of_the_core_arrives_whole(pool: rclonepool.Pool) -> None:
    with pytest.raises(rclonepool.NotFoundError) as caught:
        pool.download("/nope", "/tmp/nope")
    assert caught.value.path == "/nope" and caught.value.kind == "not_found" and str(caught.value).startswith("/nope: ")
    with pytest.raises(rclonepool.InvalidArgumentError) as wrong:
        pool.convert("twice")
    assert "twice" in str(wrong.value)
