"""What the tests of the reader share: a temporary pool, and the program as users start it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Sequence
from pathlib import Path

from fixtures import HandMade

PROGRAM = Path(__file__).with_name("read_pool.py")


class ReaderCase(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name)
        self.outs = 0

    def make(self, remotes: int, name: str = "pool") -> HandMade:
        return HandMade(self.root, remotes, name)

    def run_reader(self, dirs: Sequence[Path], *command: str, options: Sequence[str] = ()) -> tuple[int, str, str]:
        """Exit code, standard output, standard error. `-S` leaves out all installed packages."""
        line = [sys.executable, "-S", str(PROGRAM), *options, *map(str, dirs), *command]
        done = subprocess.run(line, capture_output=True, encoding="utf-8", check=False)
        self.assertNotIn("Traceback", done.stderr)
        self.assertIn(done.returncode, (0, 1, 2), done.stderr)
        return done.returncode, done.stdout, done.stderr

    def restore(self, dirs: Sequence[Path], code: int = 0, options: Sequence[str] = ()) -> tuple[dict[str, str], str]:
        """What a fresh directory holds after `restore`, and standard error."""
        self.outs += 1
        out = self.root / f"out{self.outs}"
        status, _, errors = self.run_reader(dirs, "restore", str(out), options=options)
        self.assertEqual(status, code, errors)
        return snapshot(out), errors

    def check(self, dirs: Sequence[Path], code: int = 0, options: Sequence[str] = ()) -> str:
        """Output and errors of `check`."""
        status, output, errors = self.run_reader(dirs, "check", options=options)
        self.assertEqual(status, code, errors)
        return output + errors

    def get(self, dirs: Sequence[Path], path: str) -> bytes:
        out = self.root / "got"
        status, _, errors = self.run_reader(dirs, "get", path, str(out))
        self.assertEqual(status, 0, errors)
        return out.read_bytes()


def snapshot(root: Path) -> dict[str, str]:
    """Every path below a directory: "dir", "-> target" or the file's bytes as Latin-1."""
    found = {}
    for directory, dirs, files in os.walk(root):
        for name in dirs + files:
            path = Path(directory, name)
            key = "/" + path.relative_to(root).as_posix()
            if path.is_symlink():
                found[key] = f"-> {os.readlink(path)}"
            elif path.is_dir():
                found[key] = "dir"
            else:
                found[key] = path.read_bytes().decode("latin-1")
    return found
