"""CRC-32C and Reed-Solomon over GF(2^8), as FORMAT.md says, in plain Python but fast.

Whole units are worked on at once: `bytes.translate` maps every byte of a unit through a 256-byte
table, and exclusive-or is done on units turned into one big integer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache

_CASTAGNOLI = 0x82F63B78  # reflected
_FIELD = 0x11D  # x^8 + x^4 + x^3 + x^2 + 1


def xor(a: bytes, b: bytes) -> bytes:
    """The exclusive-or of two byte strings of one length."""
    return (int.from_bytes(a, "little") ^ int.from_bytes(b, "little")).to_bytes(len(a), "little")


# --- CRC-32C ---


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (_CASTAGNOLI if byte & 1 else 0)
        table.append(byte)
    return table


_CRC = _crc_table()


def _apply(operator: Sequence[int], word: int) -> int:
    """A linear map of 32-bit words (given by the images of the single bits) applied to `word`."""
    image = 0
    for bit in range(32):
        if word >> bit & 1:
            image ^= operator[bit]
    return image


@cache
def _skip(log: int) -> tuple[int, ...]:
    """The map that feeds 2^log zero bytes to a CRC register."""
    if log == 0:
        return tuple(1 << bit >> 8 ^ _CRC[1 << bit & 255] for bit in range(32))
    half = _skip(log - 1)
    return tuple(_apply(half, image) for image in half)


@cache
def _skip_tables(log: int) -> list[list[bytes]]:
    """`_skip(log)` as `translate` tables: [byte of the result][byte of the register]."""
    operator = _skip(log)
    images = [[_apply(operator, byte << 8 * source) for byte in range(256)] for source in range(4)]
    return [[bytes(i >> 8 * target & 255 for i in images[source]) for source in range(4)] for target in range(4)]


def crc32c(data: bytes) -> int:
    """The CRC-32C of `data` (RFC 3720).

    Folding: the CRC is linear, so the first half of a message may be moved onto its second half when
    it is fed as many zero bytes as lie between. The halves are kept as four planes, plane i holding
    byte i of every 32-bit word, so that one `translate` serves all words of a half.
    """
    if len(data) < 512:
        return _crc_bytes(data, 0xFFFFFFFF) ^ 0xFFFFFFFF
    # The initial value is the same as inverting the first four bytes; zeros in front change nothing then.
    message = xor(data[:4], b"\xff\xff\xff\xff") + data[4:]
    log = (len(message) - 1).bit_length()  # folding needs a power of two
    message = message.rjust(1 << log, b"\0")
    planes = [message[i::4] for i in range(4)]
    while log > 7:
        log -= 1
        words = 1 << log - 2
        tables = _skip_tables(log)
        folded = []
        for target in range(4):
            total = int.from_bytes(planes[target][words:], "little")
            for source in range(4):
                total ^= int.from_bytes(planes[source][:words].translate(tables[target][source]), "little")
            folded.append(total.to_bytes(words, "little"))
        planes = folded
    rest = bytes(byte for word in zip(*planes) for byte in word)
    return _crc_bytes(rest, 0) ^ 0xFFFFFFFF


def _crc_bytes(data: bytes, register: int) -> int:
    for byte in data:
        register = register >> 8 ^ _CRC[(register ^ byte) & 255]
    return register


# --- GF(2^8) ---


def _logarithms() -> tuple[list[int], list[int]]:
    power, log = [0] * 510, [0] * 256
    value = 1
    for exponent in range(255):
        power[exponent] = power[exponent + 255] = value
        log[value] = exponent
        value <<= 1
        if value > 255:
            value ^= _FIELD
    return power, log


_POWER, _LOG = _logarithms()  # the generator is 2


def multiply(a: int, b: int) -> int:
    return _POWER[_LOG[a] + _LOG[b]] if a and b else 0


def invert(a: int) -> int:
    if a == 0:
        raise ZeroDivisionError("0 has no inverse in GF(2^8)")
    return _POWER[255 - _LOG[a]]


def power(a: int, exponent: int) -> int:
    """a^exponent, with 0^0 = 1."""
    if exponent == 0:
        return 1
    return _POWER[_LOG[a] * exponent % 255] if a else 0


Matrix = list[list[int]]


def matrix_product(a: Matrix, b: Matrix) -> Matrix:
    product = [[0] * len(b[0]) for _ in a]
    for row, target in zip(a, product):
        for factor, source in zip(row, b):
            for column, value in enumerate(source):
                target[column] ^= multiply(factor, value)
    return product


def matrix_inverse(matrix: Matrix) -> Matrix:
    """Gauss-Jordan elimination; raises ZeroDivisionError for a singular matrix."""
    size = len(matrix)
    work = [list(row) + [int(i == j) for j in range(size)] for i, row in enumerate(matrix)]
    for column in range(size):
        pivot = next((row for row in range(column, size) if work[row][column]), column)
        work[column], work[pivot] = work[pivot], work[column]
        scale = invert(work[column][column])
        work[column] = [multiply(scale, value) for value in work[column]]
        for row in range(size):
            factor = work[row][column]
            if row != column and factor:
                work[row] = [value ^ multiply(factor, lead) for value, lead in zip(work[row], work[column])]
    return [row[size:] for row in work]


@lru_cache(maxsize=64)
def coding_matrix(data: int, parity: int) -> tuple[tuple[int, ...], ...]:
    """V · T⁻¹: k rows of the identity, then one row per parity shard."""
    vandermonde = [[power(row, column) for column in range(data)] for row in range(data + parity)]
    product = matrix_product(vandermonde, matrix_inverse(vandermonde[:data]))
    return tuple(tuple(row) for row in product)


@lru_cache(maxsize=256)
def _times(factor: int) -> bytes:
    return bytes(multiply(factor, byte) for byte in range(256))


def _combine(factors: Sequence[int], units: Sequence[bytes], length: int) -> bytes:
    """The sum of factor × unit; units are padded with zeros to `length`."""
    total = 0
    for factor, unit in zip(factors, units):
        if factor:
            # Little-endian: missing bytes at the end are zeros by themselves.
            total ^= int.from_bytes(unit if factor == 1 else unit.translate(_times(factor)), "little")
    return total.to_bytes(length, "little")


def encode_row(units: Sequence[bytes], parity: int) -> list[bytes]:
    """The parity units of one row. `units` holds all k data units; absent ones are empty."""
    data = len(units)
    return [_combine(coding_matrix(data, parity)[data + p], units, len(units[0])) for p in range(parity)]


@lru_cache(maxsize=64)
def _solution(rows: tuple[int, ...], data: int, parity: int) -> Matrix:
    matrix = coding_matrix(data, parity)
    return matrix_inverse([list(matrix[row]) for row in rows])


def solve_row(good: Mapping[int, bytes], data: int, parity: int, length: int) -> list[bytes]:
    """All k data units of a row, each padded to `length`, out of any k units, given by shard index."""
    rows = sorted(good)[:data]
    if len(rows) < data:
        raise ValueError(f"{len(rows)} units, but {data} are needed")
    inverse = _solution(tuple(rows), data, parity)
    units = [good[row] for row in rows]
    return [_combine(inverse[i], units, length) for i in range(data)]
