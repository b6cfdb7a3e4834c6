"""The REST server, with a pool for each user."""

import atexit
import contextlib
import json
import logging
import os
import threading
import time
import weakref
from types import TracebackType
from typing import Any, Self, cast

from rclonepool._pool import Pool
from rclonepool._rclonepool import Serving, make_token

__all__ = ["APIServer"]

_RUNNING: "weakref.WeakSet[APIServer]" = weakref.WeakSet()


class APIServer:
    """The server of ``rclonepool api``: REST below ``/api/v1`` and the WebSocket, each user with a pool of their own.

    >>> server = APIServer(port=8081)
    >>> token = server.register_user_pool("ann", pool)
    >>> server.start()

    Nobody is let in without a password or token. Users see nothing of one another. The server opens each pool by
    itself, from its configuration: the :class:`Pool` that was registered goes on as before, and may be closed.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 8081,
        *,
        ssl_cert_file: str | os.PathLike[str] | None = None,
        ssl_key_file: str | os.PathLike[str] | None = None,
    ) -> None:
        self._host, self._port = host, port
        self._certificate = {"ssl_cert_file": ssl_cert_file, "ssl_key_file": ssl_key_file}
        self._users: dict[str, dict[str, Any]] = {}
        self._serving: Serving | None = None
        self._stopped = threading.Event()

    def register_user_pool(
        self,
        user: str,
        pool: Pool,
        *,
        password: str | None = None,
        quota: int | str | None = None,
        quota_files: int | None = None,
        read_only: bool = False,
    ) -> str:
        """Gives a user a pool; gives back a token (``X-API-Key``, bearer, or in place of a password), told once.

        `quota` is what the pool may hold, in bytes or as text (``"10GiB"``), before redundancy, the trash included;
        `quota_files` how many files. Users are registered before the server is started.
        """
        if self._serving is not None:
            raise RuntimeError("the server is running: stop it before users are registered")
        if not user or user in self._users:
            raise ValueError(f"{user!r}: {'is registered already' if user else 'a user has a name'}")
        token, kept = make_token(int(time.time()))
        settings: dict[str, Any] = {"read_only": read_only, "tokens": [json.loads(kept)]}
        limits = {"quota": quota, "quota_files": quota_files}
        settings.update({name: limit for name, limit in limits.items() if limit is not None})
        self._users[user] = {"config": pool._text, "password": password, "settings": settings}
        return token

    @property
    def running(self) -> bool:
        """Whether it was started, and not stopped."""
        return self._serving is not None

    @property
    def url(self) -> str:
        """Its address, with the port in use (port 0 takes a free one)."""
        if self._serving is None:
            raise RuntimeError("the server is not running")
        return self._serving.url

    def start(self) -> None:
        """Starts it, in threads of its own, until :meth:`stop` or the end of the program; returns when it listens."""
        if self._serving is not None:
            return
        if not self._users:
            raise RuntimeError("nobody could sign in: register_user_pool comes first")
        certificate = {name: None if file is None else os.fspath(file) for name, file in self._certificate.items()}
        request = {"host": self._host, "port": self._port, **certificate, "users": self._users}
        self._serving = cast(Serving, Serving.start(json.dumps(request)).run())
        self._stopped.clear()
        _RUNNING.add(self)
        for warning in self._serving.warnings:
            logging.getLogger("rclonepool").warning("%s", warning)

    def stop(self) -> None:
        """Ends it in order: requests end or are broken off, and what was broken off leaves nothing half-written."""
        serving, self._serving = self._serving, None
        self._stopped.set()
        if serving is not None:
            serving.stop().run()

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until it is stopped, or so many seconds; gives whether it is. A program that only serves ends with it.

        Ctrl-C ends the waiting, as it ends any call.
        """
        return self._serving is None or self._stopped.wait(timeout)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@atexit.register
def _stop_all() -> None:
    for server in list(_RUNNING):
        # Nobody is left to tell; and in a fork's child the server is not its own.
        with contextlib.suppress(Exception):
            server.stop()
