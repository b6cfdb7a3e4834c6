"""A storage backend: each object is a file. Use it as `storage_backend:files:/some/directory`."""

import os
from pathlib import Path

from plugin_system import PluginMetadata, PluginType, StorageBackendPlugin


class FileStore(StorageBackendPlugin):
    def get_metadata(self):
        return PluginMetadata(
            name="files",
            version="1.0",
            description="Keeps each object in a file",
            plugin_type=PluginType.STORAGE_BACKEND,
        )

    def put(self, root, name, data):
        path = Path(root) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(path.name + ".partial")
        with new.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)

    def get(self, root, name, offset, length):
        with (Path(root) / name).open("rb") as file:
            file.seek(offset)
            return file.read(length)

    def stat(self, root, name):
        path = Path(root) / name
        return path.stat().st_size if path.is_file() else None

    def delete(self, root, name):
        path = Path(root) / name
        if path.is_file():
            path.unlink(missing_ok=True)

    def list(self, root, directory):
        for path in (Path(root) / directory).rglob("*"):
            if path.is_file() and path.suffix != ".partial":
                yield path.relative_to(root).as_posix(), path.stat().st_size

    def usage(self, root):
        disk = os.statvfs(root)
        total, free = disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize
        return {"total": total, "used": total - free, "free": free}
