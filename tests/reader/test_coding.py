"""CRC-32C and Reed-Solomon: known answers, and against slow code that shares nothing with it."""

from __future__ import annotations

import itertools
import time
import unittest

from fixtures import crc32c_slow, gf_inverse, gf_times, lagrange, noise, parity_unit, shards_of
from pool_coding import coding_matrix, crc32c, encode_row, invert, matrix_inverse, multiply, power, solve_row


class Crc32c(unittest.TestCase):
    def test_vectors_of_rfc_3720(self) -> None:
        command = bytes.fromhex(  # an iSCSI SCSI Read command
            "01c00000 00000000 00000000 00000000 14000000 0000040000000014 00000018 28000000 00000000 02000000 00000000"
        )
        vectors = [
            (bytes(32), 0x8A9136AA),
            (b"\xff" * 32, 0x62A8AB43),
            (bytes(range(32)), 0x46DD794E),
            (bytes(range(31, -1, -1)), 0x113FDB5C),
            (command, 0xD9963A56),
            (b"123456789", 0xE3069283),
            (b"", 0),
        ]
        for data, expected in vectors:
            self.assertEqual(crc32c(data), expected, data.hex())
            self.assertEqual(crc32c_slow(data), expected, data.hex())

    def test_every_way_to_fold(self) -> None:
        data = noise(70_000, "crc")
        lengths = [
            *range(0, 1030, 3),
            511,
            512,
            513,
            1023,
            1024,
            1025,
            4095,
            4096,
            4097,
            65_535,
            65_536,
            65_537,
            70_000,
        ]
        for length in lengths:
            self.assertEqual(crc32c(data[:length]), crc32c_slow(data[:length]), length)
        self.assertEqual(crc32c(bytes(5000)), crc32c_slow(bytes(5000)))

    def test_is_fast(self) -> None:
        data = bytes(1 << 22)
        crc32c(data)  # makes the tables
        start = time.perf_counter()
        crc32c(data)
        self.assertGreater(len(data) / (time.perf_counter() - start), 3_000_000, "bytes per second")


class Field(unittest.TestCase):
    def test_multiplication(self) -> None:
        for a, b in itertools.product(range(256), repeat=2):
            self.assertEqual(multiply(a, b), gf_times(a, b), (a, b))

    def test_inverse_and_power(self) -> None:
        for a in range(1, 256):
            self.assertEqual(invert(a), gf_inverse(a))
            product = 1
            for exponent in range(6):
                self.assertEqual(power(a, exponent), product)
                product = gf_times(product, a)
        self.assertEqual((power(0, 0), power(0, 1), power(0, 7)), (1, 0, 0))
        self.assertRaises(ZeroDivisionError, invert, 0)

    def test_singular_matrix(self) -> None:
        self.assertRaises(ZeroDivisionError, matrix_inverse, [[3, 3], [5, 5]])


class ReedSolomon(unittest.TestCase):
    def test_known_matrices(self) -> None:
        self.assertEqual(coding_matrix(2, 1), ((1, 0), (0, 1), (3, 2)))
        self.assertEqual(coding_matrix(3, 2)[3:], ((1, 1, 1), (15, 8, 6)))
        # The matrix that klauspost/reedsolomon and Backblaze's JavaReedSolomon make for 4 + 2.
        self.assertEqual(coding_matrix(4, 2)[4:], ((27, 28, 18, 20), (28, 27, 20, 18)))

    def test_with_one_data_shard_parity_is_copies(self) -> None:
        self.assertEqual(coding_matrix(1, 4), ((1,),) * 5)

    def test_is_lagranges_polynomial(self) -> None:
        for data, parity in ((1, 1), (2, 1), (3, 2), (5, 3), (10, 4), (17, 3), (40, 8)):
            matrix = coding_matrix(data, parity)
            for i in range(data):
                self.assertEqual(list(matrix[i]), [int(i == j) for j in range(data)])
            for p in range(parity):
                self.assertEqual(list(matrix[data + p]), lagrange(data, data + p))

    def test_the_largest_code(self) -> None:
        matrix = coding_matrix(3, 253)
        self.assertEqual(list(matrix[255]), lagrange(3, 255))

    def test_encoding(self) -> None:
        for data, parity, length in ((2, 1, 300), (3, 2, 299), (5, 3, 64)):
            units = [noise(length - (7 if i == data - 1 else 0), f"{i}") for i in range(data)]
            self.assertEqual(encode_row(units, parity), [parity_unit(units, data + p) for p in range(parity)])

    def test_any_k_units_are_enough(self) -> None:
        for data, parity, stored in ((2, 1, 1024), (3, 2, 1500), (4, 3, 512 * 3 + 5), (3, 2, 100)):
            shards = shards_of(noise(stored, "rs"), data, parity, 512)
            row = [shard[0] if shard else b"" for shard in shards]
            length = len(row[0])
            expected = [unit.ljust(length, b"\0") for unit in row[:data]]
            for rows in itertools.combinations(range(data + parity), data):
                self.assertEqual(solve_row({i: row[i] for i in rows}, data, parity, length), expected, rows)

    def test_too_few_units(self) -> None:
        self.assertRaises(ValueError, solve_row, {0: b"a"}, 2, 1, 1)


if __name__ == "__main__":
    unittest.main()
