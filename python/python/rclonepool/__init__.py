"""One storage pool out of many rclone remotes."""

from rclonepool._rclonepool import RclonePoolError, __version__, check_path

__all__ = ["RclonePoolError", "__version__", "check_path"]
