"""The commands of the reader, and that a hostile pool cannot make them write elsewhere."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import unittest

from fixtures import MTIME, NONE, flip
from reader_case import PROGRAM, ReaderCase


class Commands(ReaderCase):
    def setUp(self) -> None:
        super().setUp()
        self.pool = self.make(1)
        self.pool.commit(
            self.pool.inline("/docs/a.txt", b"aaa", executable=True, content_type="text/plain"),
            self.pool.inline("/docs/sub/\u00e4 \u65e5\u672c\x1b[2J", b"bb", mtime_ns=-1_500_000_000),
            self.pool.entry("/docs/link", {"link": {"target": "a.txt"}}),
            self.pool.entry("/void", {"directory": {}}, mtime_ns=MTIME + 7),
            self.pool.inline("/docs-not", b""),
        )

    def test_ls(self) -> None:
        status, output, _ = self.run_reader(self.pool.dirs, "ls")
        self.assertEqual(status, 0)
        odd = "/docs/sub/\u00e4 \u65e5\u672c\\x1b[2J"
        paths = ["/docs/", "/docs-not", "/docs/a.txt", "/docs/link", "/docs/sub/", odd, "/void/"]
        self.assertEqual(output.splitlines(), paths)
        _, output, _ = self.run_reader(self.pool.dirs, "ls", "docs/")
        self.assertEqual(output.splitlines(), ["/docs/", "/docs/a.txt", "/docs/link", "/docs/sub/", odd])
        _, output, _ = self.run_reader(self.pool.dirs, "ls", "-l", "/docs")
        self.assertRegex(output, r"-x +3 2023-11-14T22:15:23Z +/docs/a\.txt\n")
        self.assertRegex(output, r"l- +0 2023-11-14T22:15:23Z +/docs/link -> a\.txt\n")
        self.assertRegex(output, r"-- +2 1969-12-31T23:59:58Z +/docs/sub/")
        self.assertEqual(self.run_reader(self.pool.dirs, "ls", "/nothing")[0], 1)

    def test_restore_everything(self) -> None:
        out = self.root / "out"
        got, _ = self.restore(self.pool.dirs)
        self.assertEqual(
            got,
            {
                "/docs": "dir",
                "/docs-not": "",
                "/docs/a.txt": "aaa",
                "/docs/link": "-> a.txt",
                "/docs/sub": "dir",
                "/docs/sub/\u00e4 \u65e5\u672c\x1b[2J": "bb",
                "/void": "dir",
            },
        )
        out = self.root / "out1"
        self.assertEqual(os.stat(out / "docs/a.txt").st_mtime_ns, MTIME)
        self.assertEqual(os.lstat(out / "docs/link").st_mtime_ns, MTIME)
        self.assertEqual(os.stat(out / "void").st_mtime_ns, MTIME + 7)
        self.assertEqual(os.stat(out / "docs/sub/\u00e4 \u65e5\u672c\x1b[2J").st_mtime_ns, -1_500_000_000)
        self.assertTrue(os.stat(out / "docs/a.txt").st_mode & stat.S_IXUSR)
        self.assertFalse(os.stat(out / "docs-not").st_mode & stat.S_IXUSR)
        self.assertEqual(self.run_reader(self.pool.dirs, "restore", str(out))[0], 0, "a second time, over the first")

    def test_get(self) -> None:
        self.assertEqual(self.get(self.pool.dirs, "docs/a.txt"), b"aaa")
        self.assertTrue(os.stat(self.root / "got").st_mode & stat.S_IXUSR)
        for path, reason in (("/no", "holds no such file"), ("/void", "is a directory"), ("/docs/link", "is a link")):
            status, _, errors = self.run_reader(self.pool.dirs, "get", path, str(self.root / "none"))
            self.assertEqual(status, 1)
            self.assertIn(reason, errors)
        self.assertFalse((self.root / "none").exists())

    def test_wrong_arguments(self) -> None:
        for arguments in ([], ["ls"], [str(self.root)], [str(self.root), "get", "/a"], [str(self.root), "ls", "-x"]):
            done = subprocess.run([sys.executable, PROGRAM, *arguments], capture_output=True, check=False)
            self.assertEqual(done.returncode, 2, arguments)

    def test_failed_get_leaves_the_target_alone(self) -> None:
        made = self.pool.chunk(b"data", NONE)
        self.pool.commit(made.record, self.pool.file("/f", b"data", (made, 0, 4)))
        flip(made.files[0, 0])
        target = self.root / "target"
        target.write_text("before")
        self.assertEqual(self.run_reader(self.pool.dirs, "get", "/f", str(target))[0], 1)
        self.assertEqual(target.read_text(), "before")
        self.assertEqual([p for p in self.root.iterdir() if p.name.startswith(".read_pool")], [])


class Escapes(ReaderCase):
    """Whatever a hostile pool says, nothing is written outside of the target."""

    def test_paths(self) -> None:
        pool = self.make(1)
        bad = ["/../up", "/a/../../up", "up", "", "/", "//up", "/a//b", "/a/", "/./a", "/a\0b", "/" + "n" * 256]
        bad += ["/" + "/".join(["long"] * 900), "/\udcff"]
        for path in bad:
            body = pool.inline(path, b"bad")
            pool.commit(body)
        pool.commit(pool.inline("/good", b"good"))
        got, errors = self.restore(pool.dirs, code=1)
        self.assertEqual(got, {"/good": "good"})
        self.assertEqual(errors.count("the record is left out"), len(bad))
        self.assertEqual(sorted(p.name for p in self.root.iterdir()), ["out1", "pool-r0"])

    def test_links(self) -> None:
        pool = self.make(1)
        outside = self.root / "outside"
        outside.mkdir()
        pool.commit(
            pool.entry("/l", {"link": {"target": str(outside)}}),
            pool.inline("/l/x", b"through the link"),
            pool.entry("/m", {"link": {"target": "../outside"}}),
        )
        got, errors = self.restore(pool.dirs, code=1)
        self.assertEqual(list(outside.iterdir()), [])
        expected = {"/l": "dir", "/l/x": "through the link", "/l~": f"-> {outside}", "/m": "-> ../outside"}
        self.assertEqual(got, expected)
        self.assertIn("/l: other paths lie below it, so it was written as /l~", errors)

    def test_links_that_were_there(self) -> None:
        pool = self.make(1)
        pool.commit(pool.inline("/l/x", b"new"), pool.inline("/f", b"new"))
        outside = self.root / "outside"
        outside.mkdir()
        (outside / "f").write_text("old")
        out = self.root / "out"
        out.mkdir()
        (out / "l").symlink_to(outside)
        (out / "f").symlink_to(outside / "f")
        status, _, errors = self.run_reader(pool.dirs, "restore", str(out))
        self.assertEqual(status, 1)
        self.assertIn("refused to write through it", errors)
        self.assertEqual(sorted(p.name for p in outside.iterdir()), ["f"])
        self.assertEqual((outside / "f").read_text(), "old")
        self.assertEqual((out / "f").read_text(), "new")

    def test_files_above_files(self) -> None:
        pool = self.make(1)
        pool.commit(pool.inline("/a", b"file"), pool.inline("/a/b", b"below"), pool.inline("/a~", b"taken"))
        got, errors = self.restore(pool.dirs, code=1)
        self.assertEqual(got, {"/a": "dir", "/a/b": "below", "/a~": "taken", "/a~~": "file"})
        self.assertIn("/a: other paths lie below it", errors)
        self.assertEqual(self.get(pool.dirs, "/a"), b"file")

    def test_ids(self) -> None:
        """No field of a record gets into a path that is opened."""
        pool = self.make(1)
        secret = self.root / "secret"
        secret.write_text("secret")
        made = pool.chunk(b"x", NONE)
        body = dict(made.body)
        body["chunk"] = "../../../secret"
        pool.commit({"chunk": body}, pool.inline("/ok", b"ok"))
        got, errors = self.restore(pool.dirs, code=1)
        self.assertEqual(got, {"/ok": "ok"})
        self.assertIn("`chunk` is wrong", errors)


if __name__ == "__main__":
    unittest.main()
