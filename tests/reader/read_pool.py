#!/usr/bin/env python3
"""Restores the files of a pool from the raw objects of its remotes, with nothing but Python (3.10 or later).

    read_pool.py [OPTIONS] REMOTE_DIR... ls [-l] [PATH]   lists what the pool holds, or what lies at and below PATH
    read_pool.py [OPTIONS] REMOTE_DIR... get PATH OUT     writes one file to OUT
    read_pool.py [OPTIONS] REMOTE_DIR... restore DIR      writes everything below DIR
    read_pool.py [OPTIONS] REMOTE_DIR... check            reads everything and tells what is wrong

Each REMOTE_DIR is one remote, made a plain directory by `rclone copy` or `rclone mount`. Their order
does not matter; any of them may be missing, empty, damaged or not of this pool.

Exit code 0: all that was asked for is bit-exact. 1: something is not, and was named. 2: nothing to read,
or wrong arguments. FORMAT.md says what the objects mean; this program follows it and nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import tempfile
from collections import Counter
from datetime import datetime, timezone

from pool_chunks import Contents, Unreadable
from pool_journal import Journal, RemoteDir, Report, counting, load_commits, shown
from pool_records import ID, Entry

MANIFEST_PREFIX = "rclonepool_manifests"
DATA_PREFIX = "rclonepool_data"  # where no record of the pool says another
COMMANDS = ("ls", "get", "restore", "check")


class NoPool(Exception):
    """There is no pool, or more than one."""


class Pool:
    """A pool as far as the given directories show it."""

    def __init__(self, options: argparse.Namespace, report: Report, every: bool) -> None:
        self.report = report
        self.remotes = [RemoteDir(d, options.manifest_prefix, report) for d in options.remotes]
        commits, damaged = load_commits(self.remotes, every, report)
        self.id = options.pool or self._only({c.pool for c in commits.values()})
        for remote in self.remotes:
            if self.id not in remote.markers and os.path.isdir(remote.root):
                report.note(f"{remote.root}: has no marker of pool {self.id}; what it holds is tried all the same")
        mine = {name: commit for name, commit in commits.items() if commit.pool == self.id}
        # A damaged commit does not say its pool; on a remote of other pools alone it is not ours.
        damaged = [d for d in damaged if self.id in d.remote.markers or not d.remote.markers]
        if not mine and not damaged:
            raise NoPool(f"no commit of pool {self.id} is there")
        self.journal = Journal(counting(mine, damaged, report), report)
        prefix = options.data_prefix or self.journal.data_prefix or DATA_PREFIX
        for remote in self.remotes:
            remote.data_prefix = prefix.strip("/")
        self.contents = Contents(self.journal, self.remotes, self.id)
        present = {remote_id for remote in self.remotes for remote_id in remote.markers.get(self.id, ())}
        for remote_id, label in sorted(self.journal.labels.items()):
            if remote_id not in present:
                report.note(f"remote {label} ({remote_id}, {self.journal.states[remote_id]}) is not among those given")

    def _only(self, of_commits: set[str]) -> str:
        pools = of_commits | {pool for remote in self.remotes for pool in remote.markers}
        if not pools:
            raise NoPool("no commit and no marker of a pool is there (are the prefixes right?)")
        if len(pools) > 1:
            raise NoPool(f"there are several pools; choose one with --pool: {', '.join(sorted(pools))}")
        return pools.pop()

    def tree(self) -> dict[str, Entry | None]:
        """Every live path; None is a directory that only follows from what lies in it."""
        tree: dict[str, Entry | None] = dict(self.journal.live)
        for path in self.journal.live:
            while path := path.rpartition("/")[0]:
                if path in tree:
                    break
                tree[path] = None
        return dict(sorted(tree.items()))


# --- ls ---


def list_paths(pool: Pool, path: str, long: bool) -> None:
    path = "/" + path.strip("/")
    below = path.rstrip("/") + "/"
    found = False
    for name, entry in pool.tree().items():
        if name == path or name.startswith(below):
            found = True
            print(_line(name, entry) if long else _name(name, entry))
    if not found and path != "/":
        pool.report.fail(f"{path}: the pool holds no such path")


def _name(path: str, entry: Entry | None) -> str:
    return shown(path) + ("/" if entry is None or entry.kind == "directory" else "")


def _line(path: str, entry: Entry | None) -> str:
    kind, size, when, target = "d", 0, "", ""
    if entry is not None:
        kind = {"directory": "d", "link": "l", "file": "-", "inline": "-"}.get(entry.kind, "?")
        size = entry.size
        if entry.mtime_ns is not None:
            when = str(entry.mtime_ns)
            with contextlib.suppress(OverflowError, ValueError, OSError):
                when = datetime.fromtimestamp(entry.mtime_ns // 10**9, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        if entry.kind == "link":
            target = f" -> {shown(entry.target)}"
    mark = "x" if entry is not None and entry.executable else "-"
    return f"{kind}{mark} {size:>15} {when:<20} {_name(path, entry)}{target}"


# --- get and restore ---


def _write(pool: Pool, entry: Entry, out: str) -> None:
    """Writes a file under another name first: `out` is whole or untouched."""
    handle, partial = tempfile.mkstemp(prefix=".read_pool-", dir=os.path.dirname(out) or ".")
    try:
        with open(handle, "wb") as file:
            file.writelines(pool.contents.read(entry))
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(partial, (0o777 if entry.executable else 0o666) & ~mask)
        _set_time(pool, entry, partial)
        os.replace(partial, out)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise


def _set_time(pool: Pool, entry: Entry, out: str) -> None:
    if entry.mtime_ns is None:
        return
    try:
        times = (entry.mtime_ns, entry.mtime_ns)
        if os.utime in os.supports_follow_symlinks:
            os.utime(out, ns=times, follow_symlinks=False)
        elif not os.path.islink(out):
            os.utime(out, ns=times)
    except (OSError, OverflowError) as error:
        pool.report.fail(f"{entry.path}: its modification time cannot be set: {error}")


def get(pool: Pool, path: str, out: str) -> None:
    path = "/" + path.strip("/")
    entry = pool.journal.live.get(path)
    if entry is None:
        pool.report.fail(f"{path}: the pool holds no such file")
    elif entry.kind in ("link", "directory"):
        pool.report.fail(f"{path}: is a {entry.kind}, not a file" + (f": -> {entry.target}" if entry.target else ""))
    else:
        try:
            _write(pool, entry, out)
        except (Unreadable, OSError) as error:
            pool.report.fail(f"{path}: {error}")


class Restore:
    """Writes everything below one directory, and never through a link out of it."""

    def __init__(self, pool: Pool, root: str) -> None:
        self.pool = pool
        self.root = root
        self.done: Counter[str] = Counter()
        self._written: set[tuple[int, int]] = set()

    def run(self) -> None:
        os.makedirs(self.root, exist_ok=True)
        tree = self.pool.tree()
        parents = {path.rpartition("/")[0] for path in tree}
        # Links come after all files, times of directories after all that is written into them.
        for phase in range(3):
            for path, entry in tree.items():
                kind = entry.kind if entry else "directory"
                if phase == {"directory": 0, "link": 2}.get(kind, 1):
                    self._one(path, entry, path in parents, tree)
        for path, entry in reversed(tree.items()):
            if entry and entry.kind == "directory":
                out = self._out(path)
                if os.path.isdir(out) and not os.path.islink(out):
                    _set_time(self.pool, entry, out)

    def _one(self, path: str, entry: Entry | None, is_parent: bool, tree: dict[str, Entry | None]) -> None:
        try:
            if entry and entry.problem:
                raise Unreadable(entry.problem)
            if entry is None or entry.kind == "directory":
                self._directory(path)
                self.done["directories"] += 1
                return
            name = path
            while is_parent and name in tree:
                name += "~"  # a plain file system cannot hold both
            self._directory(path.rpartition("/")[0])
            out = self._out(name)
            with contextlib.suppress(FileNotFoundError):
                if self._identity(out) in self._written:
                    raise ValueError("this file system takes its name for that of another path")
            if entry.kind == "link":
                if os.path.lexists(out):
                    os.unlink(out)
                os.symlink(entry.target, out)
                _set_time(self.pool, entry, out)
                self.done["links"] += 1
            else:
                _write(self.pool, entry, out)
                self.done["files"] += 1
            self._written.add(self._identity(out))
            if is_parent:
                self.pool.report.fail(f"{path}: other paths lie below it, so it was written as {name}")
        except (Unreadable, OSError, ValueError) as error:
            self.pool.report.fail(f"{path}: {error}")

    @staticmethod
    def _identity(out: str) -> tuple[int, int]:
        status = os.lstat(out)
        return status.st_dev, status.st_ino

    def _out(self, path: str) -> str:
        parts = path.split("/")[1:]  # records with empty, "." or ".." components were refused already
        if os.name == "nt" and any(set(part) & set('\\:*?"<>|') for part in parts):
            raise ValueError("this system cannot hold such a name")
        return os.path.join(self.root, *parts)

    def _directory(self, path: str) -> None:
        """Makes a directory and those above it. A link in their place is refused: it could lead anywhere."""
        out = self.root
        for part in path.split("/")[1:]:
            out = os.path.join(out, part)
            if os.path.islink(out):
                raise ValueError(f"{out} is a link: refused to write through it")
            if not os.path.isdir(out):
                os.mkdir(out)


# --- check ---


def check(pool: Pool) -> None:
    report = pool.report
    needed = {extent.chunk: None for entry in pool.journal.live.values() for extent in entry.extents}
    states: Counter[str] = Counter()
    for chunk in needed:
        with contextlib.suppress(Unreadable):  # its files say so
            states += pool.contents.reader(chunk).check(report)
    whole = broken = 0
    for path, entry in pool.journal.live.items():
        try:
            if entry.problem:
                raise Unreadable(entry.problem)
            if entry.kind in ("file", "inline"):
                for _ in pool.contents.read(entry):
                    pass
            whole += 1
        except Unreadable as error:
            broken += 1
            report.fail(f"{path}: {error}")
    print(f"pool {pool.id}: {whole} paths whole, {broken} not")
    summary = ", ".join(f"{states[state]} {state}" for state in ("good", "damaged", "misplaced", "missing", "offline"))
    print(f"{len(needed)} chunks, shards: {summary}")


# --- command line ---


def _pool_id(value: str) -> str:
    if not ID.fullmatch(value):
        raise argparse.ArgumentTypeError("a pool id is 32 lower-case hex digits")
    return value


def parse(arguments: list[str]) -> argparse.Namespace:
    usage = "read_pool.py [OPTIONS] REMOTE_DIR... {ls [-l] [PATH] | get PATH OUT | restore DIR | check}"
    head = argparse.ArgumentParser(
        usage=usage, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    head.add_argument("--manifest-prefix", default=MANIFEST_PREFIX, metavar="P")
    head.add_argument("--data-prefix", metavar="P", help="default: what the pool itself says")
    head.add_argument("--pool", type=_pool_id, metavar="ID", help="where the remotes hold several pools")
    head.add_argument("remotes", nargs="+", metavar="REMOTE_DIR")
    at = next((i for i, argument in enumerate(arguments) if argument in COMMANDS), len(arguments))
    options = head.parse_args(arguments[:at])
    if at == len(arguments):
        head.error(f"a command is missing: {', '.join(COMMANDS)}")
    options.command = arguments[at]
    tail = argparse.ArgumentParser(prog=f"read_pool.py REMOTE_DIR... {options.command}", allow_abbrev=False)
    if options.command == "ls":
        tail.add_argument("-l", dest="long", action="store_true")
        tail.add_argument("path", nargs="?", default="/", metavar="PATH")
    elif options.command == "get":
        tail.add_argument("path", metavar="PATH")
        tail.add_argument("out", metavar="OUT")
    elif options.command == "restore":
        tail.add_argument("out", metavar="DIR")
    return tail.parse_args(arguments[at + 1 :], options)


def main(arguments: list[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    options = parse(arguments)
    report = Report()
    try:
        pool = Pool(options, report, every=options.command == "check")
        with contextlib.closing(pool.contents):
            if options.command == "ls":
                list_paths(pool, options.path, options.long)
            elif options.command == "get":
                get(pool, options.path, options.out)
            elif options.command == "restore":
                restore = Restore(pool, options.out)
                restore.run()
                print(", ".join(f"{restore.done[kind]} {kind}" for kind in ("files", "links", "directories")))
            else:
                check(pool)
    except (NoPool, OSError) as error:
        print(f"read_pool.py: {shown(str(error))}", file=sys.stderr)
        return 2
    if report.failures:
        print(f"{report.failures} failures: see above", file=sys.stderr)
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
