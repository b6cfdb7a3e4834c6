"""Plugins: what they derive from, and the host that runs them.

A plugin is a Python file with a class derived from one of the seven below; PLUGINS.md has an example of each.
In the file `from plugin_system import …` and `from rclonepool.plugin_system import …` mean this module.

Nothing here needs more than the standard library of Python 3.10: the programs carry this file inside them, and run it
in a process of its own for each plugin.
"""

from __future__ import annotations

import enum
import inspect
import io
import json
import os
import struct
import sys
import threading
import time
import types
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

PROTOCOL = 1
"""The version of what a host and its program say to each other."""


class PluginType(str, enum.Enum):  # noqa: UP042 - StrEnum is of Python 3.11
    """What a plugin is for; also the first half of its id, as in `balancer:custom_balancer`."""

    BALANCER = "balancer"
    CHUNKER = "chunker"
    STORAGE_BACKEND = "storage_backend"
    COMPRESSION = "compression"
    ENCRYPTION = "encryption"
    EVENT_HANDLER = "event_handler"
    TRANSFORMER = "transformer"


class PluginHook(str, enum.Enum):  # noqa: UP042
    """When an event handler is called."""

    PRE_UPLOAD = "PRE_UPLOAD"
    POST_UPLOAD = "POST_UPLOAD"
    PRE_DOWNLOAD = "PRE_DOWNLOAD"
    POST_DOWNLOAD = "POST_DOWNLOAD"
    PRE_DELETE = "PRE_DELETE"
    POST_DELETE = "POST_DELETE"
    FILE_VERIFIED = "FILE_VERIFIED"
    FILE_REPAIRED = "FILE_REPAIRED"
    CHUNK_MISSING = "CHUNK_MISSING"
    REMOTE_ERROR = "REMOTE_ERROR"


@dataclass(frozen=True)
class PluginMetadata:
    """Who a plugin is."""

    name: str
    version: str
    author: str = ""
    description: str = ""
    plugin_type: PluginType = PluginType.EVENT_HANDLER
    reads: tuple[str, ...] = ()
    """Earlier versions whose data this one can read, too."""


class Plugin:
    """What all plugins have in common."""

    def get_metadata(self) -> PluginMetadata:
        """Says who it is; called before `initialize`."""
        raise NotImplementedError

    def initialize(self, config: dict[str, Any]) -> None:
        """Takes its part of the configuration (`plugins.ID.config`); called once, before everything else."""

    def shutdown(self) -> None:
        """Lets go of what it holds."""


class BalancerPlugin(Plugin):
    """Chooses remotes."""

    def select_remote(self, remotes: list[dict[str, Any]], chunk_size: int) -> str:
        """Names the remote for one shard of `chunk_size` bytes.

        Remotes have `name`, `id`, `used`, `free`, `total`, `weight` and `priority`, and come in the order of the
        configuration; `free` and `total` are None where they are not known. Those that have a shard of the chunk
        already are left out.
        """
        raise NotImplementedError


class ChunkerPlugin(Plugin):
    """Cuts files into chunks."""

    def find_boundary(self, data: bytes, position: int, chunk_size: int) -> int | None:
        """Says after how many bytes of `data` the chunk ends (from 1 on), or None where it goes on.

        `position` bytes of the chunk came before. No chunk gets longer than `chunk_size`, whatever is answered.
        """
        raise NotImplementedError


class CompressionPlugin(Plugin):
    """Makes pieces of at most 1 MiB smaller."""

    def compress(self, data: bytes) -> bytes:
        """Makes it smaller."""
        raise NotImplementedError

    def decompress(self, data: bytes) -> bytes:
        """Brings it back."""
        raise NotImplementedError


class EncryptionPlugin(Plugin):
    """Encrypts pieces of about 1 MiB, each by itself."""

    def encrypt(self, data: bytes) -> bytes:
        """Encrypts it."""
        raise NotImplementedError

    def decrypt(self, data: bytes) -> bytes:
        """Brings it back."""
        raise NotImplementedError


class TransformerPlugin(Plugin):
    """Changes pieces of about 1 MiB in any way that can be undone."""

    def transform(self, data: bytes) -> bytes:
        """Changes it."""
        raise NotImplementedError

    def restore(self, data: bytes) -> bytes:
        """Brings it back."""
        raise NotImplementedError


class EventHandlerPlugin(Plugin):
    """Is told what happens."""

    def get_hooks(self) -> Iterable[PluginHook]:
        """Which hooks it is called for; all, if it does not say."""
        return list(PluginHook)

    def handle_event(self, hook: PluginHook, data: dict[str, Any]) -> None:
        """Takes an event. What a PRE_ hook raises refuses the operation, and its text is the error."""
        raise NotImplementedError


class ObjectWriter(Protocol):
    """An object on its way to a storage backend."""

    def write(self, data: bytes, /) -> Any:
        """Takes the next bytes."""

    def close(self) -> None:
        """All bytes came: stores the object; it is there, whole, when this returns."""

    def abort(self) -> None:
        """There will be no more: forgets it."""


class _Buffered(io.BytesIO):
    def __init__(self, backend: StorageBackendPlugin, root: str, name: str) -> None:
        super().__init__()
        self._to = (backend, root, name)

    def close(self) -> None:
        if not self.closed:
            backend, root, name = self._to
            backend.put(root, name, self.getvalue())
            super().close()

    def abort(self) -> None:
        super().close()

    def __del__(self) -> None:
        """Stores nothing: who forgets to close it did not mean to."""


class StorageBackendPlugin(Plugin):
    """Keeps objects. Remotes are configured as `storage_backend:NAME:ROOT`; ROOT is any text.

    Names are relative paths of letters, digits, `.`, `_`, `-` and `/`; none is stored twice with other bytes.
    """

    def put(self, root: str, name: str, data: bytes) -> None:
        """Stores an object; it is there, whole, when this returns."""
        raise NotImplementedError

    def open_writer(self, root: str, name: str, size: int) -> ObjectWriter:
        """Begins to store an object; for backends that need not have all of it in memory."""
        return _Buffered(self, root, name)

    def get(self, root: str, name: str, offset: int, length: int) -> bytes:
        """Reads `length` bytes from `offset` on; raises FileNotFoundError where there is definitely no object."""
        raise NotImplementedError

    def stat(self, root: str, name: str) -> int | None:
        """The object's size, or None where there is definitely none."""
        raise NotImplementedError

    def delete(self, root: str, name: str) -> None:
        """Removes an object, if it is there."""
        raise NotImplementedError

    def list(self, root: str, directory: str) -> Iterable[tuple[str, int]]:
        """Names (from the root) and sizes of all objects below a directory, at any depth; "" is the root itself."""
        raise NotImplementedError

    def usage(self, root: str) -> dict[str, int | None]:
        """`total`, `used` and `free` bytes, as far as they are known."""
        return {}


KINDS: dict[str, type[Plugin]] = {
    "balancer": BalancerPlugin,
    "chunker": ChunkerPlugin,
    "storage_backend": StorageBackendPlugin,
    "compression": CompressionPlugin,
    "encryption": EncryptionPlugin,
    "event_handler": EventHandlerPlugin,
    "transformer": TransformerPlugin,
}


def load_file(path: str) -> list[Plugin]:
    """Runs a plugin's file, and makes one plugin of each of its classes."""
    us = sys.modules[__name__]
    if "rclonepool" not in sys.modules:
        package = types.ModuleType("rclonepool")
        package.__path__ = []
        sys.modules["rclonepool"] = package
    sys.modules.setdefault("plugin_system", us)
    sys.modules.setdefault("rclonepool.plugin_system", us)
    source = Path(path).read_bytes()
    module = types.ModuleType("rclonepool_plugin_" + Path(path).stem)
    module.__file__ = path
    sys.modules[module.__name__] = module
    exec(compile(source, path, "exec"), module.__dict__)
    found = []
    for value in list(module.__dict__.values()):
        ours = inspect.isclass(value) and value.__module__ == module.__name__ and issubclass(value, Plugin)
        if ours and value.get_metadata is not Plugin.get_metadata:
            found.append(value())
    if not found:
        raise TypeError("the file has no class that is derived from one of plugin_system and has get_metadata")
    return found


def described(plugin: Plugin) -> dict[str, Any]:
    """A plugin's metadata, as the program takes it."""
    data = plugin.get_metadata()
    kind = PluginType(data.plugin_type).value
    if not isinstance(plugin, KINDS[kind]):
        raise TypeError(f"{data.name} says that it is a {kind}, but is not derived from {KINDS[kind].__name__}")
    return {
        "name": data.name,
        "version": data.version,
        "author": data.author,
        "description": data.description,
        "plugin_type": kind,
        "reads": list(data.reads),
    }


class Host:
    """Answers the calls of a program for one plugin."""

    def __init__(self) -> None:
        self.plugin: Any = None
        self.writers: dict[int, ObjectWriter] = {}
        self.next_writer = 0

    def call(self, method: str, args: dict[str, Any], data: bytes) -> tuple[Any, bytes]:
        """Does what was asked; gives a value and bytes."""
        answer = getattr(self, "_" + method)(data=data, **args)
        if isinstance(answer, (bytes, bytearray, memoryview)):
            return None, bytes(answer)
        return answer, b""

    def call_json(self, method: str, args: str, data: bytes) -> tuple[str, bytes]:
        """As `call`, with JSON; for plugins in this process."""
        value, made = self.call(method, json.loads(args), data)
        return json.dumps(value), made

    def _describe(self, path: str, data: bytes) -> Any:
        return [described(plugin) for plugin in load_file(path)]

    def _start(self, path: str, kind: str, name: str, config: dict[str, Any], data: bytes) -> Any:
        for plugin in load_file(path):
            about = described(plugin)
            if (about["plugin_type"], about["name"]) == (kind, name):
                plugin.initialize(config)
                self.plugin = plugin
                return about
        raise LookupError(f"{path} has no {kind}:{name}")

    def _shutdown(self, data: bytes) -> Any:
        if self.plugin is not None:
            self.plugin.shutdown()

    def _select_remote(self, remotes: list[dict[str, Any]], chunk_size: int, data: bytes) -> Any:
        return self.plugin.select_remote(remotes, chunk_size)

    def _find_boundary(self, position: int, chunk_size: int, data: bytes) -> Any:
        return self.plugin.find_boundary(data, position, chunk_size)

    def _bytes(self, method: str, data: bytes) -> bytes:
        made = getattr(self.plugin, method)(data)
        if not isinstance(made, (bytes, bytearray, memoryview)):
            raise TypeError(f"{method} gave {type(made).__name__} instead of bytes")
        return made if isinstance(made, bytes) else bytes(made)

    def _compress(self, data: bytes) -> bytes:
        return self._bytes("compress", data)

    def _decompress(self, data: bytes) -> bytes:
        return self._bytes("decompress", data)

    def _encrypt(self, data: bytes) -> bytes:
        return self._bytes("encrypt", data)

    def _decrypt(self, data: bytes) -> bytes:
        return self._bytes("decrypt", data)

    def _transform(self, data: bytes) -> bytes:
        return self._bytes("transform", data)

    def _restore(self, data: bytes) -> bytes:
        return self._bytes("restore", data)

    def _get_hooks(self, data: bytes) -> Any:
        return [PluginHook(hook).value for hook in self.plugin.get_hooks()]

    def _handle_event(self, hook: str, event: dict[str, Any], data: bytes) -> Any:
        self.plugin.handle_event(PluginHook(hook), event)

    def _put_open(self, root: str, name: str, size: int, data: bytes) -> Any:
        self.next_writer += 1
        self.writers[self.next_writer] = self.plugin.open_writer(root, name, size)
        return self.next_writer

    def _put_write(self, writer: int, data: bytes) -> Any:
        self.writers[writer].write(data)

    def _put_close(self, writer: int, data: bytes) -> Any:
        self.writers.pop(writer).close()

    def _put_abort(self, writer: int, data: bytes) -> Any:
        if writer in self.writers:
            self.writers.pop(writer).abort()

    def _get(self, root: str, name: str, offset: int, length: int, data: bytes) -> bytes:
        return bytes(self.plugin.get(root, name, offset, length))

    def _stat(self, root: str, name: str, data: bytes) -> Any:
        return self.plugin.stat(root, name)

    def _delete(self, root: str, name: str, data: bytes) -> Any:
        self.plugin.delete(root, name)

    def _list(self, root: str, directory: str, data: bytes) -> Any:
        return [[name, size] for name, size in self.plugin.list(root, directory)]

    def _usage(self, root: str, data: bytes) -> Any:
        return self.plugin.usage(root)


def describe_error(error: BaseException) -> dict[str, str]:
    """An exception, as the program takes it."""
    return {"type": type(error).__name__, "message": str(error) or type(error).__name__}


_FRAME = struct.Struct("<4sII")
_MAGIC = b"RPP1"


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def main() -> None:
    """Serves one program: frames come from standard input, which is a socket, and go back there."""
    import socket

    channel = socket.socket(fileno=os.dup(0))
    # What a plugin prints is for people, and must not get between the frames.
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()
    host = Host()

    def take(size: int) -> bytes:
        taken = channel.recv(size, socket.MSG_WAITALL) if size else b""
        while len(taken) < size:
            more = channel.recv(size - len(taken), socket.MSG_WAITALL)
            if not more:
                raise EOFError
            taken += more
        return taken

    def give(head: dict[str, Any], data: bytes = b"") -> None:
        text = json.dumps(head).encode()
        channel.sendall(_FRAME.pack(_MAGIC, len(text), len(data)) + text)
        if data:
            channel.sendall(data)

    give({"hello": PROTOCOL, "python": sys.version.split()[0]})
    while True:
        try:
            magic, text_size, data_size = _FRAME.unpack(take(_FRAME.size))
        except EOFError:
            host.call("shutdown", {}, b"")
            return
        if magic != _MAGIC:
            return
        asked = json.loads(take(text_size))
        data = take(data_size)
        head: dict[str, Any] = {"call": asked["call"]}
        made = b""
        try:
            head["value"], made = host.call(asked["method"], asked["args"], data)
            json.dumps(head)
        except BaseException as error:  # Whatever a plugin raises is its answer, SystemExit included.
            head, made = {"call": asked["call"], "error": describe_error(error)}, b""
        give(head, made)
