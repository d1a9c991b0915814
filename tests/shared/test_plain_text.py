"""One line of what people typed."""

from __future__ import annotations

import pytest

from shared.plain_text import one_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("two\r\n  lines\n", "two lines"),
        ("a\x00b\x7fc\u0085d\ud800e", "a b c d e"),
        ("\u2028 \u00a0\t", ""),
        ("abcd efgh", "abcd"),
    ],
)
def test_a_text_becomes_one_line_of_so_many_characters(text: str, line: str) -> None:
    assert one_line(text, 5 if text == "abcd efgh" else None) == line
