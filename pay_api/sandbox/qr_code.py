"""Draws QR codes of short addresses (ISO/IEC 18004: byte mode, level L, versions 1-6), as PNG and SVG."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from itertools import zip_longest
from typing import Final

Matrix = list[list[bool]]

# By version: data codewords, error correction codewords of one block, blocks, middle of the alignment mark.
_VERSIONS: Final = (
    (19, 7, 1, None),
    (34, 10, 1, 18),
    (55, 15, 1, 22),
    (80, 20, 1, 26),
    (108, 26, 1, 30),
    (136, 18, 2, 34),
)
# Level L with mask 0, protected and masked as the standard says.
_FORMAT_BITS: Final = 0b111011111000100
_BYTE_MODE: Final = 0b0100
_QUIET: Final = 4  # modules of white around the code
LONGEST: Final = 134  # bytes


def matrix(text: str) -> Matrix:
    """Dark modules by row and column. Raises ValueError for a text of more than ``LONGEST`` bytes."""
    data = text.encode()
    for version, (capacity, *_) in enumerate(_VERSIONS, start=1):
        if len(data) + 2 <= capacity:
            return _drawn(version, _codewords(data, version))
    raise ValueError("too long for a QR code of version 6")


def _codewords(data: bytes, version: int) -> list[int]:
    """Data and error correction, interleaved over the blocks."""
    capacity, correction, blocks, _ = _VERSIONS[version - 1]
    bits = f"{_BYTE_MODE:04b}{len(data):08b}" + "".join(f"{byte:08b}" for byte in data) + "0000"
    words = [int(bits[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(bits), 8)][:capacity]
    words += [(0xEC, 0x11)[number % 2] for number in range(capacity - len(words))]
    size = capacity // blocks
    parts = [words[at : at + size] for at in range(0, capacity, size)]
    checks = [_correction(part, correction) for part in parts]
    return [
        word
        for rows in (parts, checks)
        for column in zip_longest(*rows)
        for word in column
        if word is not None
    ]


def _times(one: int, other: int) -> int:
    """Multiplication in GF(256) over x^8 + x^4 + x^3 + x^2 + 1."""
    product = 0
    for bit in range(7, -1, -1):
        product = (product << 1) ^ (0x11D if product & 0x80 else 0)
        product ^= one if other >> bit & 1 else 0
    return product


def _correction(block: list[int], count: int) -> list[int]:
    """The Reed-Solomon remainder of a block."""
    generator, root = [1], 1
    for _ in range(count):
        shifted = [*generator, 0]
        generator = [a ^ _times(b, root) for a, b in zip(shifted, [0, *generator], strict=True)]
        root = _times(root, 2)
    rest = [0] * count
    for word in block:
        factor = word ^ rest[0]
        rest = [a ^ _times(b, factor) for a, b in zip([*rest[1:], 0], generator[1:], strict=True)]
    return rest


def _drawn(version: int, words: list[int]) -> Matrix:
    size = 17 + 4 * version
    cells: list[list[bool | None]] = [[None] * size for _ in range(size)]
    for top, left in ((0, 0), (0, size - 7), (size - 7, 0)):
        _finder(cells, top, left)
    middle = _VERSIONS[version - 1][3]
    if middle is not None:
        for row in range(-2, 3):
            for column in range(-2, 3):
                cells[middle + row][middle + column] = max(abs(row), abs(column)) != 1
    for at in range(8, size - 8):
        cells[6][at] = cells[at][6] = at % 2 == 0
    _format(cells)
    bits = (word >> bit & 1 for word in words for bit in range(7, -1, -1))
    for row, column in _path(size):
        if cells[row][column] is None:
            cells[row][column] = bool(next(bits, 0)) ^ ((row + column) % 2 == 0)
    return [[bool(cell) for cell in line] for line in cells]


def _finder(cells: list[list[bool | None]], top: int, left: int) -> None:
    size = len(cells)
    for row in range(-1, 8):
        for column in range(-1, 8):
            if 0 <= top + row < size and 0 <= left + column < size:
                ring = max(abs(row - 3), abs(column - 3))
                cells[top + row][left + column] = ring in (0, 1, 3)


def _format(cells: list[list[bool | None]]) -> None:
    size = len(cells)
    bits = [bool(_FORMAT_BITS >> bit & 1) for bit in range(15)]
    near = [0, 1, 2, 3, 4, 5, 7, 8]
    for number, at in enumerate(near):
        cells[at][8] = bits[number]
        cells[8][size - 1 - number] = bits[number]
    for number, at in enumerate([7, 5, 4, 3, 2, 1, 0]):
        cells[8][at] = bits[8 + number]
        cells[size - 7 + number][8] = bits[8 + number]
    cells[size - 8][8] = True


def _path(size: int) -> Iterator[tuple[int, int]]:
    """Pairs of columns from the right, upwards and downwards in turn; the timing column is passed over."""
    upwards = True
    for right in (*range(size - 1, 6, -2), 5, 3, 1):
        for step in range(size):
            row = size - 1 - step if upwards else step
            yield row, right
            yield row, right - 1
        upwards = not upwards


def svg(text: str) -> bytes:
    """One path of unit squares."""
    cells = matrix(text)
    side = len(cells) + 2 * _QUIET
    squares = "".join(
        f"M{column + _QUIET} {row + _QUIET}h1v1h-1z"
        for row, line in enumerate(cells)
        for column, dark in enumerate(line)
        if dark
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" width="{side * 8}">'
        f'<rect width="{side}" height="{side}" fill="#fff"/><path d="{squares}"/></svg>'
    ).encode()


def png(text: str, scale: int = 8) -> bytes:
    """One bit a pixel, ``scale`` pixels a module."""
    cells = matrix(text)
    side = (len(cells) + 2 * _QUIET) * scale
    white = [False] * _QUIET
    lines = [white * 2 + [False] * len(cells)] * _QUIET
    rows = [*lines, *([*white, *line, *white] for line in cells), *lines]
    raw = b""
    for line in rows:
        bits = "".join("01"[not dark] * scale for dark in line).ljust(-(-side // 8) * 8, "0")
        raw += (b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")) * scale
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    body = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(raw, 9)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
