"""What the pool already holds."""

from rclonepool.cache import ManifestCache

__all__ = ["Deduplicator"]


class Deduplicator:
    """Finds stored files by their content: ``Deduplicator(pool.manifests)``."""

    def __init__(self, manifests: ManifestCache) -> None:
        self.manifests = manifests

    def find_duplicate(self, content_hash: str) -> str | None:
        """The path of a file whose bytes have this SHA-256 (hex), or ``None``.

        The pool knows the hash of files of one chunk, and of all files where ``file_hashes`` lists ``sha256``.
        """
        found = self.find_duplicates(content_hash)
        return found[0] if found else None

    def find_duplicates(self, content_hash: str) -> list[str]:
        """The paths of all such files, sorted."""
        wanted = content_hash.lower()
        return sorted(entry.path for entry in self.manifests.list() if entry.sha256 == wanted)
