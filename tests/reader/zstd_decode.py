"""A Zstandard decoder (RFC 8878) in plain Python: everything but dictionaries.

`decompress(data)` decodes all frames of `data`, skippable ones included, and checks every checksum.
As library: `decompress`, `ZstdError`. As program: `zstd_decode.py IN OUT`.

Backward bit streams are turned into a text of "0" and "1" in reading order. A slice of a text is the
cheapest way plain Python has to take some bits, and a Huffman table may be a dict of such slices.
"""

from __future__ import annotations

import sys
from functools import cache

MAGIC = 0xFD2FB528
_SKIPPABLE = 0x184D2A50  # and the 15 after it
_MAX_BLOCK = 128 * 1024
_MAX_HUFFMAN_BITS = 11


class ZstdError(ValueError):
    """The data is damaged, cut short, not Zstandard, needs a dictionary or is larger than allowed."""


def decompress(data: bytes, limit: int | None = None) -> bytes:
    """The content of all frames of `data`; `limit` is the most bytes it may have."""
    out = bytearray()
    position = 0
    while position < len(data):
        magic = _little(data, position, 4)
        if magic & 0xFFFFFFF0 == _SKIPPABLE:
            position += 8 + _little(data, position + 4, 4)
            if position > len(data):
                raise ZstdError("a skippable frame is cut short")
        elif magic == MAGIC:
            content, position = _Frame(data, None if limit is None else limit - len(out)).decode(position + 4)
            out += content
        else:
            raise ZstdError(f"no frame starts at byte {position}")
    return bytes(out)


def _little(data: bytes, position: int, size: int) -> int:
    if position + size > len(data):
        raise ZstdError("cut short")
    return int.from_bytes(data[position : position + size], "little")


# --- FSE tables (RFC 8878, 4.1) ---

# Of every state: the symbol, the base of the next state, and the number of bits to add to it.
_Fse = tuple[list[int], list[int], list[int], int]  # ..., and the table's log


def _fse_distribution(data: bytes, position: int, max_log: int, max_symbol: int) -> tuple[list[int], int, int]:
    """Reads a table description: probabilities, the table's log, the position after it."""
    end = len(data)
    # A description has at most 256 symbols of at most 11 bits, so a short window holds all of it.
    bits = int.from_bytes(data[position : position + 512], "little")
    log = (bits & 15) + 5
    if log > max_log:
        raise ZstdError("an FSE table is too large")
    used = 4
    remaining = 1 << log
    probabilities: list[int] = []
    while remaining > 0:
        if len(probabilities) > max_symbol:
            raise ZstdError("an FSE table has too many symbols")
        width = (remaining + 1).bit_length()
        value = bits >> used & ((1 << width) - 1)
        short = (1 << width) - 2 - remaining  # so many of the values take one bit less
        low = value & ((1 << width - 1) - 1)
        if low < short:
            used += width - 1
            value = low
        else:
            used += width
            if value >= 1 << width - 1:
                value -= short
        probability = value - 1
        remaining -= abs(probability)
        probabilities.append(probability)
        while probability == 0:
            repeat = bits >> used & 3
            used += 2
            probabilities.extend([0] * repeat)
            if repeat != 3:
                break
    position += (used + 7) // 8
    if remaining < 0 or len(probabilities) > max_symbol + 1 or position > end:
        raise ZstdError("an FSE table is damaged")
    return probabilities, log, position


def _fse_table(probabilities: list[int], log: int) -> _Fse:
    size = 1 << log
    symbols = [0] * size
    high = size
    for symbol, probability in enumerate(probabilities):
        if probability == -1:  # "less than 1": one state at the end of the table
            high -= 1
            symbols[high] = symbol
    step = (size >> 1) + (size >> 3) + 3
    at = 0
    for symbol, probability in enumerate(probabilities):
        for _ in range(probability):
            symbols[at] = symbol
            at = (at + step) & (size - 1)
            while at >= high:
                at = (at + step) & (size - 1)
    if at:
        raise ZstdError("an FSE table is damaged")
    following = [abs(probability) for probability in probabilities]
    bases, widths = [], []
    for symbol in symbols:
        state = following[symbol]
        following[symbol] += 1
        width = log + 1 - state.bit_length()
        widths.append(width)
        bases.append((state << width) - size)
    return symbols, bases, widths, log


def _fse_single(symbol: int) -> _Fse:
    return [symbol], [0], [0], 0


# --- backward bit streams ---


def _backward(data: bytes) -> str:
    """The bits of a backward stream, in the order they are read."""
    if not data or not data[-1]:
        raise ZstdError("a bit stream has no end mark")
    return bin(int.from_bytes(data, "little"))[3:]  # without "0b" and the end mark


# --- Huffman coded literals (RFC 8878, 4.2) ---

# Of every text of `width` bits: the symbols it starts with, and how many bits these have.
_Huffman = tuple[dict[str, tuple[bytes, int]], dict[str, tuple[bytes, int]], int]  # one symbol; many; width


def _huffman_weights(data: bytes, position: int) -> tuple[list[int], int]:
    head = _little(data, position, 1)
    position += 1
    if head >= 128:
        count = head - 127
        packed = data[position : position + (count + 1) // 2]
        if len(packed) < (count + 1) // 2:
            raise ZstdError("a Huffman table is cut short")
        return [w for byte in packed for w in (byte >> 4, byte & 15)][:count], position + len(packed)
    end = position + head
    if end > len(data):
        raise ZstdError("a Huffman table is cut short")
    probabilities, log, position = _fse_distribution(data[:end], position, 6, 255)
    symbols, bases, widths, _ = _fse_table(probabilities, log)
    bits = _backward(data[position:end])
    at = 2 * log
    if at > len(bits):
        raise ZstdError("a Huffman table is damaged")
    bits += "0" * 8  # the last update may read beyond the end
    states = [int(bits[:log] or "0", 2), int(bits[log:at] or "0", 2)]
    weights: list[int] = []
    while len(weights) < 255:
        state = states[0]
        weights.append(symbols[state])
        width = widths[state]
        states = [states[1], bases[state] + int(bits[at : at + width] or "0", 2)]
        at += width
        if at > len(bits) - 8:
            weights.append(symbols[states[0]])
            return weights, end
    raise ZstdError("a Huffman table has too many symbols")


def _huffman_table(weights: list[int]) -> _Huffman:
    total = sum(1 << w >> 1 for w in weights)
    width = total.bit_length()
    left = (1 << width) - total
    if total == 0 or width > _MAX_HUFFMAN_BITS or left & (left - 1) or len(weights) > 255:
        raise ZstdError("a Huffman table is damaged")
    weights = [*weights, left.bit_length()]  # the last symbol's weight follows from the others'
    codes: list[tuple[bytes, int]] = []
    for weight in range(1, width + 1):
        for symbol, w in enumerate(weights):
            if w == weight:
                codes += [(bytes((symbol,)), width + 1 - weight)] * (1 << weight - 1)
    texts = [f"{code:0{width}b}" for code in range(1 << width)]
    many = []
    for code, (decoded, used) in enumerate(codes):
        while used < width:
            # The bits left over are the start of the next code; it counts only if they hold all of it.
            next_symbol, more = codes[code << used & ((1 << width) - 1)]
            if used + more > width:
                break
            decoded, used = decoded + next_symbol, used + more
        many.append((decoded, used))
    return dict(zip(texts, codes)), dict(zip(texts, many)), width


def _huffman_stream(data: bytes, size: int, table: _Huffman) -> bytes:
    single, many, width = table
    bits = _backward(data)
    end = len(bits)
    bits += "0" * width
    at = 0
    pieces: list[bytes] = []
    append = pieces.append
    safe = end - width
    while at <= safe:  # all of `width` bits are the stream's own
        decoded, used = many[bits[at : at + width]]
        append(decoded)
        at += used
    while at < end:
        decoded, used = single[bits[at : at + width]]
        append(decoded)
        at += used
    content = b"".join(pieces)
    if at != end or len(content) != size:
        raise ZstdError("a Huffman stream is damaged")
    return content


# --- sequences (RFC 8878, 3.1.1.3.2) ---


def _codes(first: int, start: int, widths: list[int]) -> list[tuple[int, int]]:
    """Base and extra bits of every code: `start` codes for one value each, then ranges of 2^width."""
    table = [(first + code, 0) for code in range(start)]
    base = first + start
    for width in widths:
        table.append((base, width))
        base += 1 << width
    return table


_LITERAL_CODES = _codes(0, 16, [1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16])
_MATCH_CODES = _codes(3, 32, [1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16])
_OFFSET_CODES = [(1 << code, code) for code in range(32)]

_LITERAL_DEFAULT = [4, 3, *[2] * 11, 1, 1, 1, *[2] * 9, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1]
_MATCH_DEFAULT = [1, 4, 3, *[2] * 6, *[1] * 37, *[-1] * 7]
_OFFSET_DEFAULT = [*[1] * 6, 2, 2, 2, *[1] * 15, *[-1] * 5]

# Of every state: base value, extra bits, base of the next state, bits to add to it.
_Sequence = tuple[list[tuple[int, int, int, int]], int]


def _sequence_table(table: _Fse, codes: list[tuple[int, int]]) -> _Sequence:
    symbols, bases, widths, log = table
    if max(symbols) >= len(codes):
        raise ZstdError("a sequence has an unknown code")
    return [(*codes[symbol], base, width) for symbol, base, width in zip(symbols, bases, widths)], log


# Literal lengths, offsets, match lengths: the order of the descriptions and of the first states.
_KINDS = (
    (_LITERAL_CODES, 9, _LITERAL_DEFAULT, 6),
    (_OFFSET_CODES, 8, _OFFSET_DEFAULT, 5),
    (_MATCH_CODES, 9, _MATCH_DEFAULT, 6),
)


@cache
def _predefined(kind: int) -> _Sequence:
    codes, _, probabilities, log = _KINDS[kind]
    return _sequence_table(_fse_table(probabilities, log), codes)


class _Frame:
    """One frame, and what its blocks hand on to the next: tables, offsets, and the window."""

    def __init__(self, data: bytes, limit: int | None) -> None:
        self.data = data
        self.limit = limit
        self.out = bytearray()
        self.window = 0
        self.huffman: _Huffman | None = None
        self.tables: list[_Sequence | None] = [None, None, None]
        self.offsets = (1, 4, 8)

    def decode(self, position: int) -> tuple[bytearray, int]:
        """Decodes the frame whose header starts at `position`: content, position after it."""
        data = self.data
        descriptor = _little(data, position, 1)
        position += 1
        if descriptor & 8:
            raise ZstdError("a frame uses a reserved bit")
        single = descriptor >> 5 & 1
        if not single:
            window = _little(data, position, 1)
            position += 1
            base = 1 << 10 + (window >> 3)
            self.window = base + (base >> 3) * (window & 7)
        id_size = (0, 1, 2, 4)[descriptor & 3]
        if _little(data, position, id_size):
            raise ZstdError("a frame needs a dictionary")
        position += id_size
        flag = descriptor >> 6
        size: int | None = None
        if flag or single:
            width = 1 << flag
            size = _little(data, position, width) + (256 if flag == 1 else 0)
            position += width
            if self.limit is not None and size > self.limit:
                raise ZstdError("the content is larger than allowed")
        if single:
            self.window = size or 0
        position = self._blocks(position, min(_MAX_BLOCK, self.window))
        if size is not None and size != len(self.out):
            raise ZstdError("a frame has not the size it states")
        if descriptor & 4:
            if xxh64(self.out) & 0xFFFFFFFF != _little(data, position, 4):
                raise ZstdError("a frame's checksum does not fit its content")
            position += 4
        return self.out, position

    def _blocks(self, position: int, most: int) -> int:
        data, out = self.data, self.out
        last = 0
        while not last:
            head = _little(data, position, 3)
            position += 3
            last, kind, size = head & 1, head >> 1 & 3, head >> 3
            if kind == 3 or size > most:
                raise ZstdError("a block header is damaged")
            before = len(out)
            stored = 1 if kind == 1 else size
            block = data[position : position + stored]
            if len(block) != stored:
                raise ZstdError("cut short")
            position += stored
            if kind == 0:
                out += block
            elif kind == 1:
                out += block * size
            else:
                self._compressed(block, most)
                if len(out) - before > most:
                    raise ZstdError("a block is too large")
            if self.limit is not None and len(out) > self.limit:
                raise ZstdError("the content is larger than allowed")
        return position

    def _compressed(self, block: bytes, most: int) -> None:
        literals, position = self._literals(block)
        head = _little(block, position, 1)
        if head < 128:
            count = head
            position += 1
        elif head < 255:
            count = (head - 128 << 8) + _little(block, position + 1, 1)
            position += 2
        else:
            count = _little(block, position + 1, 2) + 0x7F00
            position += 3
        if count == 0:
            if position != len(block):
                raise ZstdError("a block has more bytes than it needs")
            self.out += literals
            return
        modes = _little(block, position, 1)
        position += 1
        if modes & 3:
            raise ZstdError("a block uses reserved bits")
        for kind in range(3):
            position = self._table(block, position, kind, modes >> 6 - 2 * kind & 3)
        self._execute(_backward(block[position:]), count, literals, most)

    def _literals(self, block: bytes) -> tuple[bytes, int]:
        head = _little(block, 0, 1)
        kind, form = head & 3, head >> 2 & 3
        if kind < 2:
            width = (1, 2, 1, 3)[form]
            size = _little(block, 0, width) >> (4 if form & 1 else 3)
            stored = size if kind == 0 else 1
            content = block[width : width + stored]
            if len(content) != stored or size > _MAX_BLOCK:
                raise ZstdError("a block's literals are cut short")
            return content if kind == 0 else content * size, width + stored
        width, bits = ((3, 10), (3, 10), (4, 14), (5, 18))[form]
        header = _little(block, 0, width) >> 4
        size, stored = header & (1 << bits) - 1, header >> bits
        end = width + stored
        if end > len(block) or size > _MAX_BLOCK:
            raise ZstdError("a block's literals are cut short")
        position = width
        if kind == 2:
            weights, position = _huffman_weights(block[:end], position)
            self.huffman = _huffman_table(weights)
        if self.huffman is None:
            raise ZstdError("a block repeats a Huffman table, but there was none")
        if form == 0:
            return _huffman_stream(block[position:end], size, self.huffman), end
        content = b""
        each = (size + 3) // 4
        start = position + 6
        for index in range(4):
            stop = end if index == 3 else start + _little(block, position + 2 * index, 2)
            part = size - 3 * each if index == 3 else each
            if stop > end or part < 0:
                raise ZstdError("a block's literals are damaged")
            content += _huffman_stream(block[start:stop], part, self.huffman)
            start = stop
        return content, end

    def _table(self, block: bytes, position: int, kind: int, mode: int) -> int:
        """Makes the table of one kind of code ready, and answers the position after its description."""
        codes, max_log, _, _ = _KINDS[kind]
        if mode == 0:
            self.tables[kind] = _predefined(kind)
        elif mode == 1:
            self.tables[kind] = _sequence_table(_fse_single(_little(block, position, 1)), codes)
            position += 1
        elif mode == 2:
            probabilities, log, position = _fse_distribution(block, position, max_log, len(codes) - 1)
            self.tables[kind] = _sequence_table(_fse_table(probabilities, log), codes)
        elif self.tables[kind] is None:
            raise ZstdError("a block repeats an FSE table, but there was none")
        return position

    def _execute(self, bits: str, count: int, literals: bytes, most: int) -> None:
        """Decodes `count` sequences and does what they say."""
        tables = [table for table in self.tables if table is not None]  # all three were made ready
        (literal_table, literal_log), (offset_table, offset_log), (match_table, match_log) = tables
        out, window = self.out, self.window
        first, second, third = self.offsets
        end = len(bits)
        bits += "0" * 64  # reading beyond the end is found out afterwards
        at = literal_log + offset_log + match_log
        state = int("0" + bits[:at], 2)
        match_state = state & (1 << match_log) - 1
        state >>= match_log
        offset_state = state & (1 << offset_log) - 1
        literal_state = state >> offset_log
        taken = 0
        full = len(out) + most
        for left in range(count - 1, -1, -1):
            length, length_bits, length_next, length_width = literal_table[literal_state]
            offset, offset_bits, offset_next, offset_width = offset_table[offset_state]
            match, match_bits, match_next, match_width = match_table[match_state]
            more = length_bits + match_bits
            if more + offset_bits:
                value = int(bits[at : at + more + offset_bits], 2)
                at += more + offset_bits
                length += value & (1 << length_bits) - 1
                match += value >> length_bits & (1 << match_bits) - 1
                offset += value >> more
            if left:
                more = match_width + offset_width
                value = int(bits[at : at + more + length_width] or "0", 2)
                at += more + length_width
                offset_state = offset_next + (value & (1 << offset_width) - 1)
                match_state = match_next + (value >> offset_width & (1 << match_width) - 1)
                literal_state = length_next + (value >> more)
            if at > end:
                break
            if offset > 3:
                offset -= 3
                third, second, first = second, first, offset
            else:
                repeat = offset if length else offset + 1
                if repeat == 1:
                    offset = first
                elif repeat == 2:
                    offset = second
                    second, first = first, offset
                else:
                    offset = third if repeat == 3 else first - 1
                    third, second, first = second, first, offset
            if length:
                out += literals[taken : taken + length]
                taken += length
            start = len(out) - offset
            if start < 0 or not 0 < offset <= window or taken > len(literals):
                raise ZstdError("a sequence points outside the window")
            if start + offset + match > full:
                raise ZstdError("a block is too large")
            if match <= offset:
                out += out[start : start + match]
            else:
                out += (bytes(out[start:]) * (match // offset + 1))[:match]
        if at != end:
            raise ZstdError("a sequence stream is damaged")
        out += literals[taken:]
        self.offsets = (first, second, third)


# --- XXH64 ---

_P1, _P2, _P3, _P4, _P5 = (
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)
_M = 0xFFFFFFFFFFFFFFFF


def _rotate(value: int, by: int) -> int:
    return (value << by | value >> 64 - by) & _M


def _round(lane: int, word: int) -> int:
    return _rotate((lane + word * _P2) & _M, 31) * _P1 & _M


def xxh64(data: bytes | bytearray) -> int:
    """XXH64 of `data` with seed 0."""
    whole = len(data) & ~31
    value = _P5
    if whole:
        value = 0
        lanes = [(_P1 + _P2) & _M, _P2, 0, -_P1 & _M]
        words = memoryview(data)[:whole].cast("Q") if sys.byteorder == "little" else None
        for lane in range(4):
            total = lanes[lane]
            mine = (
                words[lane::4].tolist()
                if words is not None
                else [int.from_bytes(data[i : i + 8], "little") for i in range(8 * lane, whole, 32)]
            )
            for word in mine:
                total = (total + word * _P2) & _M
                total = ((total << 31 | total >> 33) & _M) * _P1 & _M
            lanes[lane] = total
        for total, by in zip(lanes, (1, 7, 12, 18)):
            value = (value + _rotate(total, by)) & _M
        for total in lanes:
            value = ((value ^ _round(0, total)) * _P1 + _P4) & _M
    value = (value + len(data)) & _M
    at = whole
    while at + 8 <= len(data):
        value = (_rotate(value ^ _round(0, int.from_bytes(data[at : at + 8], "little")), 27) * _P1 + _P4) & _M
        at += 8
    if at + 4 <= len(data):
        value = (_rotate(value ^ int.from_bytes(data[at : at + 4], "little") * _P1 & _M, 23) * _P2 + _P3) & _M
        at += 4
    for byte in data[at:]:
        value = _rotate(value ^ byte * _P5 & _M, 11) * _P1 & _M
    value = (value ^ value >> 33) * _P2 & _M
    value = (value ^ value >> 29) * _P3 & _M
    return value ^ value >> 32


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print("usage: zstd_decode.py IN OUT", file=sys.stderr)
        return 2
    with open(arguments[0], "rb") as source:
        data = source.read()
    try:
        content = decompress(data)
    except ZstdError as error:
        print(f"zstd_decode: {arguments[0]}: {error}", file=sys.stderr)
        return 1
    with open(arguments[1], "wb") as target:
        target.write(content)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
