"""Redis users of the local stack and the tests, by the same file as the container's."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_LINES: Final = [
    line
    for line in (Path(__file__).parent / "users.acl").read_text().splitlines()
    if line.startswith("user ")
]
USERS: Final = tuple(line.split()[1] for line in _LINES)


def acl_lines(passwords: Mapping[str, str]) -> list[str]:
    """Lines of redis.conf that make the users, with hashes for their passwords; KeyError when one lacks."""
    return [
        line.replace(f"@{name}@", hashlib.sha256(passwords[name].encode()).hexdigest())
        for name, line in zip(USERS, _LINES, strict=True)
    ]
