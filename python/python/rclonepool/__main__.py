"""The command line: ``rclonepool`` where the package is installed, or ``python -m rclonepool``."""

import os
import shutil
import signal
import sys
import sysconfig

from rclonepool._rclonepool import command

__all__ = ["main"]


def main() -> int:
    """Does what the words of the command line ask for; gives the exit code."""
    if shutil.which("rclone") is None:
        # The one of the package's extra, also where the environment is not activated.
        os.environ["PATH"] = os.pathsep.join(filter(None, [os.environ.get("PATH"), sysconfig.get_path("scripts")]))
    # It has handlers of its own, after which Python's would raise.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return command(["rclonepool", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
