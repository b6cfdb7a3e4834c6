"""Reading data: every redundancy mode, losses and damage, compression, plugins, odd remotes."""

from __future__ import annotations

import itertools
import os
import shutil
import unittest

from fixtures import (
    HYBRID,
    NONE,
    PARITY_2_1,
    PARITY_3_2,
    REPLICATION,
    HandMade,
    Json,
    Layout,
    flip,
    noise,
    raw_zstd,
    sha256,
)
from reader_case import ReaderCase
from zstd_frames import FRAMES

# For units of 64 bytes: one, less than one, exact rows, rows with absent and short units.
SIZES = [1, 63, 64, 65, 128, 129, 192, 200, 384, 385, 700]


def fill(pool: HandMade, layout: Layout) -> dict[str, str]:
    """Puts a file of each size; what a restore should give."""
    records: list[Json] = [pool.pool_record(layout)]
    records += [pool.remote_record(number) for number in range(len(pool.dirs))]
    expected = {"/empty": "", "/tiny": "tiny"}
    for size in SIZES:
        data = noise(size, f"size {size}")
        made = pool.chunk(data, layout, sha256=sha256(data))
        records += [made.record, pool.file(f"/f{size}", data, (made, 0, size))]
        expected[f"/f{size}"] = data.decode("latin-1")
    pool.commit(*records, pool.file("/empty", b""), pool.inline("/tiny", b"tiny"))
    return expected


class Modes(ReaderCase):
    def losses(self, layout: Layout, remotes: int, tolerated: int) -> HandMade:
        """Restores after every loss the mode must bear."""
        pool = self.make(remotes)
        expected = fill(pool, layout)
        output = self.check(pool.dirs)
        self.assertIn("0 not", output)
        self.assertRegex(output, r"[0-9]+ good, 0 damaged, 0 misplaced, 0 missing, 0 offline")
        for lost in itertools.combinations(range(remotes), tolerated):
            self.assertEqual(self.restore(pool.lose(*lost))[0], expected, lost)
        return pool

    def too_many(self, pool: HandMade, *lost: int) -> str:
        """What is said when more is lost than the mode bears: no wrong byte is written."""
        got, errors = self.restore(pool.lose(*lost), code=1)
        for path, content in got.items():
            if path.startswith("/f"):
                self.assertEqual(content, noise(int(path[2:]), f"size {path[2:]}").decode("latin-1"))
        self.assertEqual((got["/empty"], got["/tiny"]), ("", "tiny"))
        return errors

    def test_none(self) -> None:
        pool = self.losses(NONE, 2, 0)
        errors = self.too_many(pool, 0)
        self.assertRegex(
            errors, r"FAILED: /f700: chunk [0-9a-f]{32}: row 0: 0 good units, 1 are needed: shard 0 offline"
        )

    def test_replication(self) -> None:
        pool = self.losses(REPLICATION, 2, 1)
        self.assertNotIn("FAILED", self.check(pool.lose(1)))

    def test_parity_2_1(self) -> None:
        pool = self.losses(PARITY_2_1, 3, 1)
        errors = self.too_many(pool, 1, 2)
        self.assertRegex(
            errors, r"/f700: .*: 1 good units, 2 are needed: shard 1 offline on label1:; shard 2 offline on"
        )
        # A single short unit: the other data unit of its row is known to be zeros.
        self.assertNotIn("/f64:", self.too_many(pool, 0, 1))

    def test_parity_3_2(self) -> None:
        self.too_many(self.losses(PARITY_3_2, 5, 2), 0, 3, 4)

    def test_hybrid(self) -> None:
        pool = self.losses(HYBRID, 6, 2)
        # Both copies of a data shard, and one copy each of the others.
        self.assertEqual(len(self.restore(pool.lose(0, 3, 4, 2))[0]), len(SIZES) + 2)
        self.too_many(pool, 0, 3, 1, 4)

    def test_wide(self) -> None:
        self.losses(Layout(10, 3, 1, 16), 13, 1)

    def test_one_data_shard_with_parity(self) -> None:
        pool = self.losses(Layout(1, 2), 3, 2)
        for path in pool.dirs[0].glob("rclonepool_data/*/*"):  # parity shards are copies
            others = [p for d in pool.dirs[1:] for p in d.glob(f"rclonepool_data/*/{path.name[:32]}.*")]
            self.assertEqual({p.read_bytes() for p in others}, {path.read_bytes()})


class Damage(ReaderCase):
    def one(self, layout: Layout, remotes: int, size: int = 700) -> HandMade:
        self.pool = self.make(remotes)
        self.data = noise(size, "damage")
        self.made = self.pool.chunk(self.data, layout)
        self.name = self.pool.commit(
            *(self.pool.remote_record(number) for number in range(remotes)),
            self.made.record,
            self.pool.file("/f", self.data, (self.made, 0, size)),
        )
        return self.pool

    def test_flipped_bytes_in_data_and_parity(self) -> None:
        pool = self.one(PARITY_2_1, 3)
        flip(self.made.files[0, 0], 5)  # row 0
        flip(self.made.files[2, 0], 70)  # row 1
        self.assertEqual(self.get(pool.dirs, "/f"), self.data)
        output = self.check(pool.dirs)
        self.assertIn("1 good, 2 damaged", output)
        self.assertRegex(output, r"\.0\.[0-9a-f]{16}: damaged in 1 of 6 rows, first in row 0")
        flip(self.made.files[1, 0], 60)
        _, errors = self.restore(pool.dirs, code=1)
        self.assertIn(f"/f: chunk {self.made.chunk}: row 0: 1 good units, 2 are needed", errors)
        self.assertIn("shard 0 damaged (row 0) on label0:; shard 1 damaged (row 0) on label1:", errors)

    def test_one_good_copy_of_each_unit_is_enough(self) -> None:
        pool = self.one(REPLICATION, 2)
        flip(self.made.files[0, 0], 5)
        flip(self.made.files[0, 1], 300)
        self.assertEqual(self.get(pool.dirs, "/f"), self.data)

    def test_cut_shards(self) -> None:
        pool = self.one(PARITY_3_2, 5)
        for index in (0, 4):
            os.truncate(self.made.files[index, 0], 100)
        self.made.files[1, 0].write_bytes(self.made.files[1, 0].read_bytes() + b"more")
        self.assertEqual(self.get(pool.dirs, "/f"), self.data)
        self.assertIn("2 good, 3 damaged", self.check(pool.dirs))

    def test_damaged_commit(self) -> None:
        pool = self.one(NONE, 2)
        flip(pool.commit_file(self.name, 0), 200)
        self.assertEqual(self.get(pool.dirs, "/f"), self.data)
        self.assertIn("its digest is not that of its name; nothing is lost by it", self.check(pool.dirs))
        flip(pool.commit_file(self.name, 1), 200)
        _, errors = self.restore(pool.dirs, code=1)
        self.assertIn("no other copy of it is there", errors)

    def test_truncated_commit(self) -> None:
        pool = self.one(NONE, 2)
        os.truncate(pool.commit_file(self.name, 0), 200)
        self.assertEqual(self.get(pool.dirs, "/f"), self.data)
        os.truncate(pool.commit_file(self.name, 1), 200)  # as if it had never been written
        status, _, errors = self.run_reader(pool.dirs, "check")
        self.assertEqual(status, 2)
        self.assertIn("200 bytes instead of", errors)

    def test_partial_uploads_are_ignored(self) -> None:
        pool = self.one(NONE, 1)
        path = self.made.files[0, 0]
        path.rename(path.with_name(path.name + ".partial"))
        commit = pool.commit_file(self.name, 0)
        commit.with_name(commit.name + ".partial").write_bytes(b"x")
        _, errors = self.restore(pool.dirs, code=1)
        self.assertIn("shard 0 missing on label0:", errors)

    def test_extent_with_a_wrong_digest(self) -> None:
        pool = self.one(PARITY_2_1, 3)
        other = bytes(700)
        pool.commit(pool.file("/wrong", other, (self.made, 0, 700)))
        got, errors = self.restore(pool.dirs, code=1)
        self.assertEqual(list(got), ["/f"])
        self.assertIn(f"/wrong: bytes 0 to 700: SHA-256 differs; chunk {self.made.chunk}, shards 0 on label0:", errors)

    def test_whole_file_with_a_wrong_digest(self) -> None:
        pool = self.one(NONE, 1)
        record = pool.file("/wrong", self.data, (self.made, 0, 700))
        entry = record["entry"]
        assert isinstance(entry, dict)
        entry["content"]["file"]["hashes"]["md5"] = "0" * 32
        pool.commit(record)
        self.assertIn("/wrong: the md5 of the whole differs", self.check(pool.dirs, code=1))

    def test_parity_that_is_not_the_code(self) -> None:
        """Correct by its checksums, but made by another matrix: only `check` can tell before it is needed."""
        pool = self.one(PARITY_2_1, 3)
        other = pool.chunk(noise(700, "other"), PARITY_2_1)
        mine, units = self.made.body["units"], other.body["units"]
        assert isinstance(mine, list) and isinstance(units, list)
        mine[2] = units[2]
        shutil.copy(other.files[2, 0], self.made.files[2, 0])
        for number in range(3):
            pool.commit_file(self.name, number).unlink()
        pool.commit(self.made.record, pool.file("/f", self.data, (self.made, 0, 700)))
        output = self.check(pool.dirs, code=1)
        self.assertIn("row 0: parity shard 2 is not the code of the data", output)
        self.made.files[0, 0].unlink()
        _, errors = self.restore(pool.dirs, code=1)
        self.assertIn("row 0: shards 1, 2 do not give shard 0", errors)

    def test_chunk_without_a_record(self) -> None:
        pool = self.one(NONE, 1)
        lost = pool.chunk(b"lost", NONE)
        pool.commit(pool.file("/lost", b"lost", (lost, 0, 4)))
        got, errors = self.restore(pool.dirs, code=1)
        self.assertEqual(list(got), ["/f"])
        self.assertIn(f"/lost: chunk {lost.chunk} has no record", errors)


class Contents(ReaderCase):
    def test_packed_files_and_files_of_many_chunks(self) -> None:
        pool = self.make(3)
        a, b, c = noise(100, "a"), noise(333, "b"), noise(5, "c")
        packed = pool.chunk(a + b + c, PARITY_2_1)
        second = pool.chunk(a, PARITY_2_1)
        pool.commit(
            packed.record,
            second.record,
            pool.file("/p/a", a, (packed, 0, 100)),
            pool.file("/p/b", b, (packed, 100, 333)),
            pool.file("/p/c", c, (packed, 433, 5)),
            pool.file("/long", b + a + a, (packed, 100, 333), (second, 0, 60), (packed, 60, 40), (second, 0, 100)),
        )
        for lost in (0, 1, 2):
            for path, expected in {"/p/a": a, "/p/b": b, "/p/c": c, "/long": b + a + a}.items():
                self.assertEqual(self.get(pool.lose(lost), path), expected)

    def test_damage_in_a_packed_chunk_hits_only_who_needs_it(self) -> None:
        pool = self.make(2)
        a, b = noise(128, "a"), noise(128, "b")
        packed = pool.chunk(a + b, NONE)
        records = [pool.file("/a", a, (packed, 0, 128)), pool.file("/b", b, (packed, 128, 128))]
        pool.commit(packed.record, *records)
        flip(packed.files[0, 0], 130)
        got, errors = self.restore(pool.dirs, code=1)
        self.assertEqual(list(got), ["/a"])
        self.assertIn("FAILED: /b: ", errors)

    def test_zstd_frames(self) -> None:
        pool = self.make(3)
        digest, frame = FRAMES["blocks"]
        first = noise(300, "plain")
        stored = raw_zstd(first) + frame
        size = 5964
        frames = [{"plain": 300, "stored": len(raw_zstd(first))}, {"plain": size, "stored": len(frame)}]
        plain = first + bytes(size)  # only its length counts here
        made = pool.chunk(plain, PARITY_2_1, stored=stored, compression={"zstd": {"frames": frames}})
        record = pool.file("/second", bytes(size), (made, 300, size))
        entry = record["entry"]
        assert isinstance(entry, dict)
        entry["content"]["file"]["extents"][0]["sha256"] = digest
        del entry["content"]["file"]["hashes"]
        part = first[200:]
        pool.commit(made.record, pool.file("/part", part, (made, 200, 100)), record, requires=["zstd"])
        for lost in (0, 1, 2):
            self.assertEqual(sha256(self.get(pool.lose(lost), "/second")), digest)
            self.assertEqual(self.get(pool.lose(lost), "/part"), part)
        self.check(pool.dirs)  # frame after frame of one chunk

    def test_broken_zstd_frame(self) -> None:
        pool = self.make(1)
        stored = raw_zstd(b"plain")
        frames = {"zstd": {"frames": [{"plain": 6, "stored": len(stored)}]}}
        made = pool.chunk(b"plain!", NONE, stored=stored, compression=frames)
        pool.commit(made.record, pool.file("/f", b"plain!", (made, 0, 6)), requires=["zstd"])
        self.assertIn(f"/f: chunk {made.chunk}: frame 0 has 5 bytes, not 6", self.check(pool.dirs, code=1))

    def test_plugins_refuse_the_files_that_need_them(self) -> None:
        pool = self.make(2)
        secret = pool.chunk(
            b"secret",
            REPLICATION,
            stored=b"ifwhwj+tag",
            compression={"pieces": {"frames": [{"plain": 6, "stored": 10}]}},
            transforms=[{"plugin": "encryption:rot", "version": "1.0"}],
        )
        plain = pool.chunk(b"plain", REPLICATION)
        pool.commit(
            secret.record,
            plain.record,
            pool.file("/secret", b"secret", (secret, 0, 6)),
            pool.file("/plain", b"plain", (plain, 0, 5)),
            requires=["plugins"],
        )
        got, errors = self.restore(pool.dirs, code=1)
        self.assertEqual(got, {"/plain": "plain"})
        self.assertRegex(errors, r"FAILED: /secret: chunk .* needs the plugin encryption:rot 1\.0")
        flip(secret.files[0, 1])
        self.assertIn("3 good, 1 damaged", self.check(pool.dirs, code=1))

    def test_pieces_and_plugins_need_each_other(self) -> None:
        pool = self.make(1)
        pieces = {"pieces": {"frames": [{"plain": 1, "stored": 1}]}}
        alone = pool.chunk(b"x", NONE, compression=pieces)
        without = pool.chunk(b"y", NONE, transforms=[{"plugin": "transformer:t", "version": "2"}])
        files = pool.file("/x", b"x", (alone, 0, 1)), pool.file("/y", b"y", (without, 0, 1))
        pool.commit(alone.record, without.record, *files, requires=["plugins"])
        said = self.check(pool.dirs, code=1)
        self.assertIn("has pieces, and no plugin that made them", said)
        self.assertIn("names the plugin transformer:t 2, and no pieces that it made", said)

    def test_unknown_compression(self) -> None:
        pool = self.make(1)
        made = pool.chunk(b"x", NONE, compression={"lz4": {}})
        pool.commit(made.record, pool.file("/f", b"x", (made, 0, 1)))
        self.assertIn("/f: chunk", self.check(pool.dirs, code=1))
        self.assertIn("unknown compression: lz4", self.check(pool.dirs, code=1))

    def test_unknown_content(self) -> None:
        pool = self.make(1)
        pool.commit(pool.inline("/new", b"old"), pool.inline("/ok", b"ok"))
        pool.commit(pool.entry("/new", {"hologram": {}}))
        got, errors = self.restore(pool.dirs, code=1)
        self.assertEqual(got, {"/ok": "ok"})  # an older version would be a lie
        self.assertIn("/new: its entry has content of an unknown kind: hologram", errors)


class Remotes(ReaderCase):
    def setUp(self) -> None:
        super().setUp()
        self.pool = self.make(3)
        self.expected = fill(self.pool, PARITY_2_1)

    def test_order_does_not_matter(self) -> None:
        for dirs in itertools.permutations(self.pool.dirs):
            self.assertNotIn("note:", self.check(dirs))

    def test_swapped_objects_are_found(self) -> None:
        """The data of two remotes changed places, their markers did not."""
        a, b = (directory / "rclonepool_data" for directory in self.pool.dirs[:2])
        a.rename(a.with_name("x"))
        b.rename(a)
        a.with_name("x").rename(b)
        self.assertEqual(self.restore(self.pool.dirs)[0], self.expected)
        self.assertRegex(self.check(self.pool.dirs), r"[1-9][0-9]* misplaced, 0 missing")

    def test_swapped_markers(self) -> None:
        """Two remotes exchanged as a whole are simply given in another order."""
        a, b = self.pool.dirs[:2]
        a.rename(self.root / "x")
        b.rename(a)
        (self.root / "x").rename(b)
        self.assertIn(" 0 misplaced, 0 missing, 0 offline", self.check(self.pool.dirs))

    def test_missing_empty_and_foreign_remotes(self) -> None:
        (self.root / "empty").mkdir()
        (self.root / "file").write_text("not a directory")
        junk = self.root / "junk"
        (junk / "rclonepool_manifests" / "commits").mkdir(parents=True)
        (junk / "rclonepool_manifests" / "commits" / "hello.txt").write_text("hello")
        (junk / "rclonepool_manifests" / f"remote-{self.pool.pool}-{'0' * 32}.json").write_text("{")
        others = [self.root / name for name in ("empty", "file", "junk", "absent")]
        dirs = [*others, *self.pool.dirs[:2]]
        got, errors = self.restore(dirs)
        self.assertEqual(got, self.expected)
        self.assertIn("absent: no such directory", errors)
        self.assertIn("damaged marker", errors)
        self.assertIn(f"remote label2: ({self.pool.remotes[2]}, active) is not among those given", errors)
        self.assertEqual(self.run_reader(others, "check")[0], 2)

    def test_two_pools_need_a_choice(self) -> None:
        other = self.make(1, "other")
        other.commit(other.inline("/theirs", b"theirs"))
        dirs = [*self.pool.dirs, *other.dirs]
        status, _, errors = self.run_reader(dirs, "check")
        self.assertEqual(status, 2)
        self.assertIn(self.pool.pool, errors)
        self.assertIn(other.pool, errors)
        self.assertEqual(self.restore(dirs, options=["--pool", self.pool.pool])[0], self.expected)
        self.assertEqual(self.restore(dirs, options=["--pool", other.pool])[0], {"/theirs": "theirs"})
        self.assertEqual(self.run_reader(dirs, "check", options=["--pool", "f" * 32])[0], 2)
        self.assertEqual(self.run_reader(dirs, "check", options=["--pool", "F"])[0], 2)

    def test_marker_is_lost(self) -> None:
        """Such a remote counts as offline, but a reader with nothing to lose tries its objects."""
        self.pool.marker(0).unlink()
        got, errors = self.restore(self.pool.dirs)
        self.assertEqual(got, self.expected)
        self.assertIn("has no marker of pool", errors)

    def test_prefixes(self) -> None:
        pool = HandMade(self.root, 2, "elsewhere", manifests="a/m", data="a/d")
        data = noise(300, "prefix")
        made = pool.chunk(data, REPLICATION)
        pool.commit(made.record, pool.file("/f", data, (made, 0, 300)))
        manifests, expected = ["--manifest-prefix", "a/m"], {"/f": data.decode("latin-1")}
        self.assertEqual(self.restore(pool.dirs, options=[*manifests, "--data-prefix", "/a/d/"])[0], expected)
        self.assertEqual(self.run_reader(pool.dirs, "check")[0], 2)
        self.restore(pool.dirs, code=1, options=manifests)
        earlier = pool.pool_record(NONE, data_prefix="wrong")
        pool.commit(pool.pool_record(NONE), earlier)  # the later one says where the data lies
        self.assertEqual(self.restore(pool.dirs, options=manifests)[0], expected)
        pool.commit(pool.pool_record(NONE, data_prefix="../elsewhere"))
        self.assertEqual(self.restore(pool.dirs, code=1, options=manifests)[0], expected)


if __name__ == "__main__":
    unittest.main()
