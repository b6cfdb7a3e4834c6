"""What Pool and AsyncPool ask of the engine, as it takes it."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from rclonepool.exceptions import InvalidArgumentError, IsDirectoryError, NotDirectoryError, PartialError

if TYPE_CHECKING:
    from rclonepool._rclonepool import Engine, Task

PathLike: TypeAlias = str | os.PathLike[str]
Links: TypeAlias = Literal["skip", "store", "follow"]


def path(given: PathLike) -> str:
    """A path of the pool, as text."""
    text = os.fspath(given)
    if not isinstance(text, str):
        raise TypeError(f"a pool path is text, not {type(text).__name__}")
    return text


def paths(given: PathLike | Sequence[PathLike]) -> list[str]:
    """One local path, or several."""
    several = [given] if isinstance(given, (str, os.PathLike)) else list(given)
    return [str(Path(one).absolute()) for one in several]


def words(given: str | Iterable[str]) -> list[str]:
    """One pattern, or several."""
    return [given] if isinstance(given, str) else list(given)


def local(given: PathLike) -> str:
    """A local path, made absolute; a separator at its end says that it is a directory."""
    text = os.fspath(given)
    absolute = str(Path(text).absolute())
    return absolute + os.sep if text.endswith(("/", os.sep)) else absolute


def request(op: str, **arguments: object) -> str:
    """A request for :meth:`Engine.call`."""
    return json.dumps({"op": op, **arguments})


def checked(report: Any, task: "Task", what: str) -> Any:
    """The report, unless files failed."""
    if report.get("failed"):
        failures = task.failures()
        shown = "; ".join(f"{path}: {why}" for path, why in failures[:3])
        error = PartialError(f"{what}: {report['failed']} failed, the others are done ({shown})")
        error.report, error.failures = report, failures
        raise error
    return report


def no_file(engine: "Engine", where: str, error: Exception) -> Exception:
    """`error`, unless the trouble is that the path is a directory."""
    try:
        found = engine.entry(where)
    except InvalidArgumentError:
        return error
    return IsDirectoryError(f"{where}: is a directory", path=where) if found and found.is_dir() else error


def no_directory(engine: "Engine", where: str, error: Exception) -> Exception:
    """`error`, unless the trouble is that the path is a file."""
    try:
        found = engine.entry(where)
    except InvalidArgumentError:
        return error
    if found is None or found.is_dir():
        return error
    return NotDirectoryError(f"{where}: is a file, not a directory", path=where)
