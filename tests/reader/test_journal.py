"""Merging the journal: what counts, what does not, and what happens where stamps are equal."""

from __future__ import annotations

import itertools
import json
import unittest

from fixtures import NONE, PARITY_2_1, REPLICATION, Json, an_id, noise, sha256
from pool_records import record_bytes
from reader_case import ReaderCase

OPERATION = an_id("operation")


def body_of(record: Json, kind: str) -> Json:
    body = record[kind]
    assert isinstance(body, dict)
    return body


class Versions(ReaderCase):
    def test_the_later_stamp_wins(self) -> None:
        pool = self.make(2)
        early, late = pool.stamp(), pool.stamp()
        pool.commit(pool.inline("/a", b"late", stamp=late), on=[0])
        pool.commit(pool.inline("/a", b"early", stamp=early), on=[1])
        for dirs in itertools.permutations(pool.dirs):
            self.assertEqual(self.restore(dirs)[0], {"/a": "late"})
        self.assertEqual(self.restore(pool.lose(0))[0], {"/a": "early"})

    def test_all_parts_of_a_stamp_count(self) -> None:
        pool = self.make(1)
        for path, first, second in (("/ms", (5, 9), (6, 0)), ("/counter", (5, 9), (5, 10))):
            pool.commit(pool.inline(path, b"late", stamp=pool.stamp(*second)))
            pool.commit(pool.inline(path, b"early", stamp=pool.stamp(*first)))
        self.assertEqual(set(self.restore(pool.dirs)[0].values()), {"late"})

    def test_revisions(self) -> None:
        pool = self.make(1)
        stamp = pool.stamp()
        pool.commit(pool.inline("/a", b"moved", stamp=stamp, rev=10))
        pool.commit(pool.inline("/a", b"moved once", stamp=stamp, rev=9))
        pool.commit(pool.inline("/a", b"first", stamp=stamp))
        self.assertEqual(self.restore(pool.dirs)[0], {"/a": "moved"})

    def test_equal_stamps(self) -> None:
        """The greater bytes win, whatever order and spacing the fields were written with."""
        pool = self.make(1)
        stamp = pool.stamp()
        winner = pool.inline("/a", b"winner", stamp=stamp, mtime_ns=9)
        loser = pool.inline("/a", b"loser", stamp=stamp, mtime_ns=10)  # "10" is the lesser text
        body = body_of(loser, "entry")
        turned = {"entry": {key: body[key] for key in reversed(body)}}
        text = json.dumps({"records": [turned], "pool": pool.pool, "format": 1}, indent=3)
        for records in ((winner, loser), (loser, winner)):
            pool.commit(*records)
        pool.put_commit(stamp, text.encode())
        self.assertEqual(self.restore(pool.dirs)[0], {"/a": "winner"})

    def test_bytes_of_a_record(self) -> None:
        entry: Json = {
            "future": 1,
            "content": {"file": {"hashes": {"md5": "m", "sha256": "s"}, "extents": [], "chunk_size": 2, "size": 1}},
            "executable": False,
            "rev": 0,
            "content_type": None,
            "mtime_ns": -3,
            "stamp": "t",
            "path": '/\u00e4\n"\\\x01\x7f',
        }
        expected = (
            '{"entry":{"path":"/\u00e4\\n\\"\\\\\\u0001\x7f","stamp":"t","mtime_ns":-3,'
            '"content":{"file":{"size":1,"chunk_size":2,"extents":[],"hashes":{"sha256":"s","md5":"m"}}}}}'
        )
        self.assertEqual(record_bytes("entry", entry), expected.encode())

    def test_raw_utf_8(self) -> None:
        pool = self.make(1)
        record = pool.inline("/\u00e4\U0001f600", b"x")
        text = json.dumps({"format": 1, "pool": pool.pool, "records": [record]}, ensure_ascii=False)
        pool.put_commit(str(body_of(record, "entry")["stamp"]), text.encode())
        self.assertEqual(self.restore(pool.dirs)[0], {"/\u00e4\U0001f600": "x"})

    def test_deleted(self) -> None:
        pool = self.make(1)
        first, second, third = pool.stamp(), pool.stamp(), pool.stamp()
        for path in ("/gone", "/newer", "/older"):
            pool.commit(pool.inline(path, b"1", stamp=first), pool.inline(path, b"2", stamp=second))
        pool.commit(pool.deleted("/gone", second), pool.deleted("/newer", second), pool.deleted("/older", first))
        # It names what it saw: a version stored meanwhile stays, though its stamp is below the deletion's own.
        pool.commit(pool.inline("/newer", b"3", stamp=third))
        # The greatest `of` counts, not that of the latest record.
        pool.commit(pool.deleted("/gone", first))
        self.assertEqual(self.restore(pool.dirs)[0], {"/newer": "3", "/older": "2"})

    def test_a_deleted_directory_keeps_what_was_stored_into_it(self) -> None:
        pool = self.make(1)
        stamp = pool.stamp()
        pool.commit(pool.entry("/d", {"directory": {}}, stamp=stamp), pool.inline("/d/f", b"f"))
        pool.commit(pool.deleted("/d", stamp))
        self.assertEqual(self.restore(pool.dirs)[0], {"/d": "dir", "/d/f": "f"})

    def test_kinds_replace_each_other(self) -> None:
        pool = self.make(1)
        pool.commit(pool.inline("/a", b"file"), pool.entry("/b", {"link": {"target": "x"}}))
        pool.commit(pool.entry("/a", {"directory": {}}), pool.inline("/b", b"file"))
        self.assertEqual(self.restore(pool.dirs)[0], {"/a": "dir", "/b": "file"})


class Dropped(ReaderCase):
    def test_void_falls_back_to_the_older_version(self) -> None:
        pool = self.make(1)
        chunk = pool.chunk(b"collected", NONE)
        mixed = pool.chunk(b"kept", NONE)
        pool.commit(chunk.record, mixed.record, pool.inline("/a", b"older"), pool.inline("/b", b"first"))
        pool.commit(pool.inline("/b", b"killed"))
        pool.commit(pool.file("/a", b"keptcollected", (mixed, 0, 4), (chunk, 0, 9)))
        pool.commit(pool.deleted("/c", pool.stamp()))
        pool.commit(pool.file("/c", b"collected", (chunk, 0, 9)))
        pool.commit(pool.dropped(chunk))
        got, errors = self.restore(pool.dirs)
        self.assertEqual(got, {"/a": "older", "/b": "killed"})
        self.assertIn("/a: its version", errors)
        # Void whatever its stamp: even what is stored later.
        pool.commit(pool.file("/a", b"collected", (chunk, 0, 9)))
        self.assertEqual(self.restore(pool.dirs)[0], {"/a": "older", "/b": "killed"})

    def test_deletion_between_void_and_older_version(self) -> None:
        pool = self.make(1)
        chunk = pool.chunk(b"collected", NONE)
        old = pool.stamp()
        pool.commit(chunk.record, pool.inline("/a", b"older", stamp=old), pool.deleted("/a", old))
        pool.commit(pool.file("/a", b"collected", (chunk, 0, 9)), pool.dropped(chunk))
        self.assertEqual(self.restore(pool.dirs)[0], {})

    def test_condemned_is_still_readable(self) -> None:
        pool = self.make(1)
        chunk = pool.chunk(b"data", NONE)
        pool.commit(chunk.record, pool.file("/a", b"data", (chunk, 0, 4)))
        pool.commit({"condemned": {"chunk": chunk.chunk, "stamp": pool.stamp()}})
        self.assertEqual(self.restore(pool.dirs)[0], {"/a": "data"})

    def test_dropped_object(self) -> None:
        """A move whose new object was dropped leaves the shard where it was; the chunk stays."""
        pool = self.make(3)
        data = noise(500, "dropped")
        made = pool.chunk(data, PARITY_2_1)
        place = pool.new_place(made, 0, 0, 2)
        move = pool.moved(made, place)
        pool.commit(made.record, pool.file("/a", data, (made, 0, 500)), move)
        self.assertIn("2 good, 0 damaged, 0 misplaced, 1 missing", self.check(pool.dirs))
        pool.commit(pool.dropped(made, place))
        self.assertIn("3 good, 0 damaged, 0 misplaced, 0 missing", self.check(pool.dirs))
        pool.commit(pool.dropped(made, made.place(1)))
        made.files[1, 0].unlink()
        self.assertIn("2 good, 0 damaged, 0 misplaced, 0 missing", self.check(pool.dirs))
        self.assertEqual(self.get(pool.dirs, "/a"), data)


class Moved(ReaderCase):
    def test_moved_shards(self) -> None:
        pool = self.make(4)
        data = noise(500, "moved")
        made = pool.chunk(data, PARITY_2_1)
        pool.commit(made.record, pool.file("/a", data, (made, 0, 500)))
        for _ in range(2):
            place = pool.new_place(made, 1, 0, 3)
            content = made.files[1, 0].read_bytes()
            made.files[1, 0].unlink()
            made.files[1, 0] = pool.put(made.chunk, place, content)
            pool.commit(pool.moved(made, place))
        self.assertIn("3 good, 0 damaged, 0 misplaced, 0 missing", self.check(pool.dirs))
        self.assertEqual(self.get([pool.dirs[3], pool.dirs[2]], "/a"), data)
        # The chunk's record again, as a later compaction writes it, with the places of then.
        body = {**made.body, "stamp": pool.stamp(), "shards": [made.place(0), place, made.place(2)]}
        pool.commit({"chunk": body})
        self.assertIn("3 good, 0 damaged, 0 misplaced, 0 missing", self.check(pool.dirs))

    def test_an_older_move_does_not_count(self) -> None:
        pool = self.make(2)
        old = pool.stamp()
        made = pool.chunk(b"data", REPLICATION)
        move = pool.moved(made, pool.new_place(made, 0, 1, 0), old)
        pool.commit(move, made.record, pool.file("/a", b"data", (made, 0, 4)))
        self.assertIn("2 good, 0 damaged, 0 misplaced, 0 missing", self.check(pool.dirs))

    def test_shards_come_before_their_chunk(self) -> None:
        pool = self.make(2)
        made = pool.chunk(b"data", NONE)
        place = pool.new_place(made, 0, 0, 1)
        pool.commit(pool.moved(made, place))
        pool.put(made.chunk, place, b"data")
        made.files[0, 0].unlink()
        pool.commit(made.record, pool.file("/a", b"data", (made, 0, 4)))
        self.assertEqual(self.get(pool.dirs, "/a"), b"data")


class Commits(ReaderCase):
    def test_superseded(self) -> None:
        pool = self.make(2)
        stamp = pool.stamp()
        first = pool.commit(pool.inline("/a", b"a", stamp=stamp), pool.inline("/b", b"b"))
        second = pool.commit(pool.deleted("/a", stamp))
        third = pool.commit(pool.inline("/b", b"b"), supersedes=[first, second])
        self.assertEqual(self.restore(pool.dirs)[0], {"/b": "b"})
        # A chain: the middle one is superseded itself, and what it superseded does not return.
        pool.commit(pool.inline("/c", b"c"), supersedes=[third])
        self.assertEqual(self.restore(pool.dirs)[0], {"/c": "c"})

    def test_damage_in_superseded_commits_does_not_matter(self) -> None:
        pool = self.make(1)
        first = pool.commit(pool.inline("/a", b"a"))
        pool.commit(pool.inline("/a", b"a"), supersedes=[first])
        pool.commit_file(first, 0).write_bytes(b"!" * pool.commit_file(first, 0).stat().st_size)
        self.assertEqual(self.restore(pool.dirs)[0], {"/a": "a"})

    def test_parts(self) -> None:
        pool = self.make(2)
        pool.commit(pool.inline("/old", b"old"))
        one = pool.commit(pool.inline("/p1", b"1"), part_of=OPERATION)
        two = pool.commit(pool.inline("/p2", b"2"), part_of=OPERATION, on=[1])
        got, errors = self.restore(pool.dirs)
        self.assertEqual(got, {"/old": "old"})
        self.assertIn(f"is part of operation {OPERATION}, which nothing closes; ignored", errors)
        pool.commit(pool.inline("/last", b"last"), closes=[one, two])
        everything = {"/old": "old", "/p1": "1", "/p2": "2", "/last": "last"}
        self.assertEqual(self.restore(pool.dirs)[0], everything)
        # With a part out of sight, nothing of the operation counts, and that is no success.
        got, errors = self.restore(pool.lose(1), code=1)
        self.assertEqual(got, {"/old": "old"})
        self.assertIn(f"its parts {two} are missing", errors)

    def test_what_does_not_count_supersedes_nothing(self) -> None:
        pool = self.make(1)
        first = pool.commit(pool.inline("/a", b"a"))
        second = pool.commit(pool.inline("/b", b"b"))
        pool.commit(pool.inline("/part", b"x"), supersedes=[first], part_of=OPERATION)
        self.assertEqual(self.restore(pool.dirs)[0], {"/a": "a", "/b": "b"})
        absent = f"{pool.stamp()}-10-{'0' * 16}.json"
        pool.commit(pool.inline("/closer", b"x"), supersedes=[second], closes=[absent])
        self.assertEqual(self.restore(pool.dirs, code=1)[0], {"/a": "a", "/b": "b"})

    def test_superseded_parts(self) -> None:
        """A finished operation, compacted; of the old objects only a part is left."""
        pool = self.make(1)
        one = pool.commit(pool.inline("/p1", b"1"), part_of=OPERATION)
        close = pool.commit(pool.inline("/p2", b"2"), closes=[one])
        pool.commit(pool.inline("/p1", b"1"), pool.inline("/p2", b"2"), supersedes=[one, close])
        pool.commit_file(close, 0).unlink()
        got, errors = self.restore(pool.dirs)
        self.assertEqual((got, errors), ({"/p1": "1", "/p2": "2"}, ""))

    def test_closes_counts_superseded_parts(self) -> None:
        """The parts of an operation were compacted and deleted, the commit that closes it was not."""
        pool = self.make(1)
        one = pool.commit(pool.inline("/p1", b"1"), part_of=OPERATION)
        two = pool.commit(pool.inline("/p2", b"2"), part_of=OPERATION)
        close = pool.commit(pool.inline("/last", b"last"), closes=[one, two])
        # A second operation, of which only the closing commit is left, stands by what the first one's heir says.
        gone = f"{pool.stamp()}-10-{'0' * 16}.json"
        pool.commit(pool.inline("/p1", b"1"), supersedes=[one, gone], closes=[close])
        pool.commit(pool.inline("/heir", b"heir"), closes=[gone], supersedes=[two])
        for name in (one, two):
            pool.commit_file(name, 0).unlink()
        got, errors = self.restore(pool.dirs)
        self.assertEqual((got, errors), ({"/p1": "1", "/last": "last", "/heir": "heir"}, ""))

    def test_compressed_commits(self) -> None:
        pool = self.make(1)
        first = pool.commit(pool.inline("/a", b"a"), packed=True)
        second = pool.commit(pool.inline("/b", b"b"), packed=True, supersedes=[first])
        self.assertTrue(second.endswith(".json.zst"))
        self.assertEqual(self.restore(pool.dirs)[0], {"/b": "b"})

    def test_not_really_compressed(self) -> None:
        pool = self.make(1)
        pool.commit(pool.inline("/a", b"a"))
        data, stamp = b"not zstd", pool.stamp()
        name = f"{stamp}-{len(data)}-{sha256(data)[:16]}.json.zst"
        pool.commit_file(name, 0).write_bytes(data)
        self.assertIn("cannot be decompressed", self.check(pool.dirs, code=1))

    def test_unknown_requirement(self) -> None:
        pool = self.make(1)
        first = pool.commit(pool.inline("/a", b"a"), pool.inline("/b", b"b"))
        name = pool.commit(pool.inline("/b", b"new"), requires=["zstd", "wormholes"], supersedes=[first])
        got, errors = self.restore(pool.dirs, code=1)
        self.assertEqual(got, {"/a": "a", "/b": "b"})
        self.assertIn(f"commit {name} requires wormholes, which this reader does not know", errors)

    def test_later_format(self) -> None:
        pool = self.make(1)
        pool.commit(pool.inline("/a", b"a"))
        record = pool.inline("/b", b"b")
        data = json.dumps({"format": 2, "pool": pool.pool, "records": [record]}).encode()
        pool.put_commit(str(body_of(record, "entry")["stamp"]), data)
        self.assertIn("is of format 2; this reader knows 1", self.check(pool.dirs, code=1))
        self.assertEqual(self.restore(pool.dirs, code=1)[0], {"/a": "a"})

    def test_uses_and_unknown_fields_are_skipped(self) -> None:
        pool = self.make(1)
        stamp = pool.stamp()
        pool.commit(
            pool.pool_record(NONE, trash_hours=24),
            pool.inline("/a", b"a", properties=[{"namespace": "DAV:", "name": "x", "xml": "<x/>"}], colour="red"),
            pool.inline("/killed", b"k", stamp=stamp),
            {"deleted": {"path": "/killed", "stamp": pool.stamp(), "of": stamp, "purge": True}},
            {"upload": {"upload": an_id("u"), "stamp": pool.stamp(), "chunks": []}},
            uses=["properties", "trash", "something new"],
            comment="from the future",
        )
        self.assertEqual(self.restore(pool.dirs)[0], {"/a": "a"})

    def test_unknown_record_types_are_told(self) -> None:
        pool = self.make(1)
        pool.commit(pool.inline("/a", b"a"), {"rainbow": {"stamp": pool.stamp()}})
        got, errors = self.restore(pool.dirs)
        self.assertEqual(got, {"/a": "a"})
        self.assertIn("unknown type `rainbow`", errors)

    def test_wrong_records_leave_the_others(self) -> None:
        pool = self.make(1)
        made = pool.chunk(noise(300, "x"), PARITY_2_1)
        short = dict(made.body, units=["AAAA"] * 3)
        overlap = pool.file("/overlap", bytes(9), (made, 0, 5), (made, 5, 4))
        extents = body_of(overlap, "entry")["content"]["file"]["extents"]  # type: ignore[index]
        extents[1]["offset"] = 4
        pool.commit(
            pool.inline("/a", b"a"),
            {"entry": {"path": "/no-stamp"}},
            {"entry": [], "two": []},
            {"chunk": short},
            pool.file("/f", noise(300, "x"), (made, 0, 300)),
            pool.entry("/gap", {"file": {"size": 5, "chunk_size": 1, "extents": []}}),
            overlap,
        )
        got, errors = self.restore(pool.dirs, code=1)
        self.assertEqual(got, {"/a": "a"})
        self.assertEqual(errors.count("the record is left out"), 2)
        self.assertIn("bytes of checksums for the", errors)
        self.assertIn("/overlap: its entry has a gap or overlap of extents at byte 5", errors)
        self.assertIn("/gap: its entry has extents of 0 bytes for a file of 5", errors)

    def test_name_that_is_not_the_greatest_stamp(self) -> None:
        pool = self.make(1)
        early = pool.stamp()
        record = pool.inline("/a", b"a")
        pool.put_commit(early, json.dumps({"format": 1, "pool": pool.pool, "records": [record]}).encode())
        got, errors = self.restore(pool.dirs)
        self.assertEqual(got, {"/a": "a"})
        self.assertIn("the greatest stamp of its records is", errors)

    def test_states_of_remotes_never_move_back(self) -> None:
        pool = self.make(2)
        early, late = pool.stamp(), pool.stamp()
        pool.commit(pool.remote_record(1, "draining", early), pool.remote_record(0), pool.inline("/a", b"a"))
        pool.commit(pool.remote_record(1, "active", late))
        self.assertIn("(" + pool.remotes[1] + ", draining)", self.restore(pool.lose(1))[1])
        pool.commit(pool.remote_record(1, "removed", early))
        self.assertIn("(" + pool.remotes[1] + ", removed)", self.restore(pool.lose(1))[1])

    def test_commits_of_another_pool_on_the_same_remote(self) -> None:
        pool, other = self.make(1), self.make(1, "other")
        name = other.commit(other.inline("/theirs", b"theirs"))
        pool.commit_file(name, 0).write_bytes(other.commit_file(name, 0).read_bytes())
        pool.commit(pool.inline("/mine", b"mine"), supersedes=[name])
        self.assertEqual(self.restore(pool.dirs, options=["--pool", pool.pool])[0], {"/mine": "mine"})
        self.assertEqual(self.restore(pool.dirs, options=["--pool", other.pool])[0], {"/theirs": "theirs"})


if __name__ == "__main__":
    unittest.main()
