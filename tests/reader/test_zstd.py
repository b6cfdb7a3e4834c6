"""The Zstandard decoder: frames of the reference encoder, frames made by hand, and damaged ones."""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
import unittest
from pathlib import Path

from fixtures import noise, raw_zstd, sha256
from zstd_decode import ZstdError, decompress, xxh64
from zstd_frames import FRAMES

PROGRAM = Path(__file__).with_name("zstd_decode.py")
SKIPPABLE = struct.pack("<II", 0x184D2A53, 5) + b"12345"


def block(kind: int, size: int, content: bytes, last: bool = True) -> bytes:
    return (size << 3 | kind << 1 | last).to_bytes(3, "little") + content


def frame(content_size: int, *blocks: bytes) -> bytes:
    return b"\x28\xb5\x2f\xfd\xa0" + content_size.to_bytes(4, "little") + b"".join(blocks)


def samples() -> dict[str, bytes]:
    words = [b"remote", b"pool", b"chunk", b"shard", b"unit", b"commit", b"record", b"stamp", b"the", b"of", b"\n"]
    text = b" ".join(words[byte % 11] + str(byte * 7).encode() for byte in noise(16_000, "text"))
    numbers = b"".join(struct.pack("<IHd", n * 3, n % 17, n / 7) for n in range(9_000))
    skewed = bytes(byte * other >> 9 for byte, other in zip(noise(90_000, "a"), noise(90_000, "b")))
    return {
        "empty": b"",
        "one byte": b"x",
        "text": text,
        "binary": numbers,
        "random": noise(140_000, "random"),
        "skewed": skewed,
        "huge repeats": bytes(700_000) + b"abcdefghijk" * 50_000,
        "mixed": text[:30_000] + noise(20_000, "mixed") + bytes(40_000) + numbers[:50_000] + text[:30_000],
    }


def windowed(content: bytes) -> bytes:
    """A frame with a window of 2 MiB, of one compressed block."""
    return b"\x28\xb5\x2f\xfd\x00\x58" + block(2, len(content), content)


def bomb() -> bytes:
    """A block of 10 bytes for 131,075: one literal, then one sequence that repeats it."""
    sequence = bytes([1, 0b01010100, 1, 0, 52])  # tables of one code each: one literal, repeat offset, longest match
    return b"\x08a" + sequence + (1 << 16 | 0xFFFF).to_bytes(3, "little")


class Frames(unittest.TestCase):
    def test_frames_of_the_reference_encoder(self) -> None:
        for name, (digest, data) in FRAMES.items():
            with self.subTest(name):
                self.assertEqual(sha256(decompress(data)), digest)

    def test_several_and_skippable_frames(self) -> None:
        direct = FRAMES["direct"][1]
        content = decompress(direct)
        self.assertEqual(
            decompress(SKIPPABLE + direct + SKIPPABLE + raw_zstd(b"end") + direct), content + b"end" + content
        )
        self.assertEqual(decompress(b""), b"")
        self.assertEqual(decompress(SKIPPABLE), b"")

    def test_raw_and_rle_blocks(self) -> None:
        data = frame(13, block(0, 3, b"abc", False), block(1, 10, b"z"))
        self.assertEqual(decompress(data), b"abc" + b"z" * 10)
        self.assertEqual(decompress(raw_zstd(b"")), b"")
        checksum = (xxh64(b"abc") & 0xFFFFFFFF).to_bytes(4, "little")
        self.assertEqual(decompress(raw_zstd(b"abc", checksum)), b"abc")

    def test_literals_alone(self) -> None:
        """Blocks without sequences, with every header a raw or repeated literal may have."""
        cases = {
            "raw, 5 bits": (b"\x18abc\x00", b"abc"),
            "raw, 12 bits": ((300 << 4 | 4).to_bytes(2, "little") + b"q" * 300 + b"\0", b"q" * 300),
            "raw, 20 bits": ((5000 << 4 | 12).to_bytes(3, "little") + b"q" * 5000 + b"\0", b"q" * 5000),
            "repeated, 5 bits": (bytes([20 << 3 | 1]) + b"r\0", b"r" * 20),
            "repeated, 12 bits": ((300 << 4 | 5).to_bytes(2, "little") + b"r\0", b"r" * 300),
            "repeated, 20 bits": ((99_999 << 4 | 13).to_bytes(3, "little") + b"r\0", b"r" * 99_999),
        }
        for name, (content, expected) in cases.items():
            with self.subTest(name):
                self.assertEqual(decompress(windowed(content)), expected)

    def test_one_sequence(self) -> None:
        """Predefined tables; states 3, 0, 0: three literals, a match of three at the last offset, which is 1."""
        self.assertEqual(decompress(windowed(b"\x18abc\x01\x00\x00\x18\x02")), b"abcccc")

    def test_limit(self) -> None:
        for name, (_, data) in FRAMES.items():
            size = len(decompress(data))
            with self.subTest(name):
                self.assertEqual(len(decompress(data, size)), size)
                self.assertRaises(ZstdError, decompress, data, size - 1)
        bomb = b"\x28\xb5\x2f\xfd\x00\x58" + block(1, 100_000, b"x", False) * 50 + block(1, 1, b"x")
        self.assertRaisesRegex(ZstdError, "larger than allowed", decompress, bomb, 1_000_000)

    def test_xxh64(self) -> None:
        vectors = {
            b"": 0xEF46DB3751D8E999,
            b"abc": 0x44BC2CF5AD770999,
            b"Nobody inspects the spammish repetition": 0xFBCEA83C8A378BF1,
        }
        for data, expected in vectors.items():
            self.assertEqual(xxh64(data), expected)


class Refused(unittest.TestCase):
    def test_with_a_reason(self) -> None:
        good = raw_zstd(b"abc")
        cases = {
            "no frame starts": b"abcdefgh",
            "cut short": good[:-1],
            "no frame starts at byte": good + b"junk!",
            "skippable frame is cut short": SKIPPABLE[:-1],
            "dictionary": b"\x28\xb5\x2f\xfd\x21\x07\x03" + block(0, 3, b"abc"),
            "reserved bit": b"\x28\xb5\x2f\xfd\x28\x03" + block(0, 3, b"abc"),
            "block header": frame(3, block(3, 3, b"abc")),
            "not the size": frame(4, block(0, 3, b"abc")),
            "checksum": raw_zstd(b"abc", b"1234"),
            # One literal whose code has two bits, but one bit is there.
            "Huffman stream": windowed(b"\x12\xc0\x00\x81\x21\x02\x00"),
            "sequence stream": windowed(b"\x18abc\x01\x00\x00\x30\x04"),  # as in `test_one_sequence`, and a bit more
            "block is too large": windowed(bomb()),
            "repeats a Huffman table": frame(9, block(2, 5, b"\x93\x00\x00\x01\x01")),
        }
        for reason, data in cases.items():
            with self.subTest(reason):
                self.assertRaisesRegex(ZstdError, reason, decompress, data)

    def test_no_damage_goes_unnoticed(self) -> None:
        """Frames with a checksum: a flipped bit gives the same content or ZstdError, and nothing else."""
        for name in ("direct", "match_repeat", "treeless4", "runs", "length_rle", "offset_rle", "skewed"):
            data = FRAMES[name][1]
            content = decompress(data)
            for at in range(len(data)):
                for bit in (0, 3, 7):
                    broken = bytearray(data)
                    broken[at] ^= 1 << bit
                    try:
                        self.assertEqual(decompress(bytes(broken), 1 << 20), content, (name, at, bit))
                    except ZstdError:
                        pass

    def test_every_cut(self) -> None:
        for name in ("direct", "match_repeat", "treeless4"):
            data = FRAMES[name][1]
            for length in range(1, len(data)):
                self.assertRaises(ZstdError, decompress, data[:length])


@unittest.skipUnless(shutil.which("zstd"), "needs the `zstd` command")
class AgainstTheCommand(unittest.TestCase):
    def compress(self, content: bytes, *options: str) -> bytes:
        return subprocess.run(["zstd", "-q", "-c", *options], input=content, stdout=subprocess.PIPE, check=True).stdout

    def test_levels(self) -> None:
        for name, content in samples().items():
            for level in range(1, 20):
                with self.subTest(name, level=level):
                    self.assertTrue(decompress(self.compress(content, f"-{level}")) == content)

    def test_options(self) -> None:
        content = samples()["mixed"] * 3
        for options in (["--fast=20"], ["--ultra", "-22"], ["--long=24"], ["--no-check"], ["--rsyncable", "-T2"]):
            with self.subTest(options):
                self.assertTrue(decompress(self.compress(content, *options)) == content)

    def test_program(self) -> None:
        content = samples()["text"]
        with tempfile.TemporaryDirectory() as directory:
            source, target = Path(directory, "in.zst"), Path(directory, "out")
            source.write_bytes(self.compress(content))
            subprocess.run(["python3", "-S", PROGRAM, source, target], check=True)
            self.assertEqual(target.read_bytes(), content)


if __name__ == "__main__":
    unittest.main()
