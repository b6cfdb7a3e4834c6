"""The remotes of a pool, one by one."""

from typing import cast

from rclonepool._pool import Pool

__all__ = ["Backend"]


class Backend:
    """Objects on single remotes, beside the pool's own: no redundancy, no index, one name at one place.

    Names are relative, of letters, digits, ``.``, ``_``, ``-`` and ``/``. What lies below the pool's own prefixes can
    be read, and only the pool changes it.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def remotes(self) -> list[str]:
        """The names of the remotes, in the order of the configuration."""
        return [remote["name"] for remote in self.pool.remotes() if remote["configured"]]

    def upload_bytes(self, data: bytes, remote: str, path: str) -> None:
        """Stores `data` as the object `path` on `remote`."""
        self.pool._engine.remote_put(remote, path, data).run()

    def download_bytes(self, remote: str, path: str) -> bytes:
        """The object `path` of `remote`."""
        return cast(bytes, self.pool._engine.remote_get(remote, path).run())

    def size(self, remote: str, path: str) -> int | None:
        """The size of an object in bytes; ``None`` when it is definitely absent."""
        return cast("int | None", self.pool._engine.remote_size(remote, path).run())

    def delete(self, remote: str, path: str) -> None:
        """Removes an object; removing what is absent succeeds."""
        self.pool._engine.remote_delete(remote, path).run()
