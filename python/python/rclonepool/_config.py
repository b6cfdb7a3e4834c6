"""The configuration as the engine takes it: JSON text."""

import json
import os
import shutil
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from rclonepool.exceptions import ConfigError

Config: TypeAlias = str | os.PathLike[str] | Mapping[str, Any]
"""The path of a configuration file, or its keys."""


def default_path() -> Path:
    """Where the configuration lies: ``$XDG_CONFIG_HOME/rclonepool/config.json``, else below ``~/.config``."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".config") / "rclonepool" / "config.json"


def source(config: Config | None, keys: Mapping[str, Any]) -> str | None:
    """The file that the configuration came from, if it is all there is."""
    if isinstance(config, Mapping) or keys:
        return None
    return str(default_path() if config is None else Path(config))


def text(config: Config | None, keys: Mapping[str, Any]) -> str:
    """The configuration's JSON: a file's (the default one's without `config` and `keys`), with `keys` on top of it."""
    if isinstance(config, Mapping):
        merged = {**config, **keys}
    elif config is None and keys:
        merged = dict(keys)
    else:
        path = default_path() if config is None else Path(config)
        try:
            given = path.read_text(encoding="utf-8")
        except FileNotFoundError as missing:
            raise ConfigError(
                f"there is no configuration {path} (name another file, or give the keys: Pool(remotes=[…]))",
                path=str(path),
            ) from missing
        try:
            read = json.loads(given)
        except ValueError:
            # The engine says what is wrong with it, and where.
            return given
        if not isinstance(read, dict) or (not keys and "rclone_binary" in read):
            return given
        with_rclone = _with_rclone({**read, **keys})
        # As it stands, the engine sees keys that stand twice, and names lines.
        return given if with_rclone == read else json.dumps(with_rclone)
    return json.dumps(_with_rclone(merged), default=_plain)


def _with_rclone(keys: dict[str, Any]) -> dict[str, Any]:
    """Names the rclone that came with the package's extra, where the system has none."""
    if "rclone_binary" in keys or shutil.which("rclone"):
        return keys
    beside = shutil.which("rclone", path=sysconfig.get_path("scripts"))
    return {**keys, "rclone_binary": beside} if beside else keys


def _plain(value: object) -> object:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    raise TypeError(f"{value!r} cannot stand in a configuration")
