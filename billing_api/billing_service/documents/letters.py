"""Which letters the font of documents has, how wide a text is in it, and where its lines break."""

from __future__ import annotations

import struct
import unicodedata
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

_FONT: Final = Path(__file__).parent / "fonts" / "PTS55F.ttf"
_MM_OF_POINT: Final = 25.4 / 72


def width_mm(text: str, size_points: float) -> float:
    """The sum of the advance widths; kerning, which only draws letters together, is left out."""
    widths, units = _advances()
    usual = widths.get(ord("Ш"), units)  # a letter that the font lacks is taken for a wide one
    return sum(widths.get(ord(letter), usual) for letter in text) / units * size_points * _MM_OF_POINT


def shown(text: str) -> str:
    """The text in letters that the font has: without marks it lacks, else ``?`` for each letter it lacks.

    A PDF/A may not hold a letter without a glyph, and a customer may be called anything.
    """
    if _letters().issuperset(text):
        return text
    return "".join(_shown(letter) for letter in unicodedata.normalize("NFC", text))


def _shown(letter: str) -> str:
    if letter in _letters():
        return letter
    if letter.isspace():
        return " "
    if unicodedata.category(letter) in ("Cc", "Cf", "Mn", "Me"):  # nothing to see but on another letter
        return ""
    return "".join(part for part in unicodedata.normalize("NFD", letter) if part in _letters()) or "?"


@cache
def _letters() -> frozenset[str]:
    return frozenset(chr(code) for code in _advances()[0] if code >= ord(" "))


@lru_cache(maxsize=4096)
def lines_of(text: str, room_mm: float, size_points: float) -> tuple[str, ...]:
    """The text in lines that fit the room, broken between words, and within a word that is too long."""
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if width_mm(longer, size_points) <= room_mm:
            line = longer
            continue
        if line:
            lines.append(line)
        while width_mm(word, size_points) > room_mm:
            fitting = max(1, _letters_that_fit(word, room_mm, size_points))
            lines.append(word[:fitting])
            word = word[fitting:]  # noqa: PLW2901 - the rest of it goes on
        line = word
    return (*lines, line) if line or not lines else tuple(lines)


def _letters_that_fit(word: str, room_mm: float, size_points: float) -> int:
    used = 0.0
    for number, letter in enumerate(word):
        used += width_mm(letter, size_points)
        if used > room_mm:
            return number
    return len(word)


@cache
def _advances() -> tuple[dict[int, int], int]:
    """Advance width by code point, and units per em (OpenType tables head, hhea, hmtx, cmap)."""
    data = _FONT.read_bytes()
    (count,) = struct.unpack_from(">H", data, 4)
    tables = {}
    for number in range(count):
        tag, _, offset, _ = struct.unpack_from(">4sIII", data, 12 + 16 * number)
        tables[tag] = offset
    (units,) = struct.unpack_from(">H", data, tables[b"head"] + 18)
    (metrics,) = struct.unpack_from(">H", data, tables[b"hhea"] + 34)
    advances = struct.unpack_from(f">{2 * metrics}H", data, tables[b"hmtx"])[::2]
    glyphs = _glyphs(data, tables[b"cmap"])
    return {code: advances[min(glyph, metrics - 1)] for code, glyph in glyphs.items()}, units


def _glyphs(data: bytes, cmap: int) -> dict[int, int]:
    """Glyph by code point, from the Unicode subtable of format 4."""
    (count,) = struct.unpack_from(">H", data, cmap + 2)
    for number in range(count):
        platform, encoding, offset = struct.unpack_from(">HHI", data, cmap + 4 + 8 * number)
        start = cmap + offset
        if (platform, encoding) in ((3, 1), (0, 3)) and struct.unpack_from(">H", data, start) == (4,):
            return _segments(data, start)
    raise ValueError("the font has no Unicode map of format 4")


def _segments(data: bytes, start: int) -> dict[int, int]:
    (double,) = struct.unpack_from(">H", data, start + 6)
    count = double // 2
    ends = struct.unpack_from(f">{count}H", data, start + 14)
    starts = struct.unpack_from(f">{count}H", data, start + 16 + double)
    deltas = struct.unpack_from(f">{count}H", data, start + 16 + 2 * double)
    offsets_at = start + 16 + 3 * double
    offsets = struct.unpack_from(f">{count}H", data, offsets_at)
    found: dict[int, int] = {}
    for number, (first, last, delta, offset) in enumerate(zip(starts, ends, deltas, offsets, strict=True)):
        for code in range(first, min(last, 0xFFFE) + 1):
            glyph = code
            if offset:
                (glyph,) = struct.unpack_from(
                    ">H", data, offsets_at + 2 * number + offset + 2 * (code - first)
                )
            if glyph or not offset:
                found[code] = (glyph + delta) & 0xFFFF
    return found
