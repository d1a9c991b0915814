"""The texts people consent to automatic charges by: every version ever shown, in Russian and English."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# The version to show now. A text that was shown is never edited: a change is a new pair of files.
CURRENT: Final = "2026-01"
_DIRECTORY: Final = Path(__file__).with_name("consent_wording")
_NAME: Final = re.compile(r"(.+)\.(ru|en)\.txt")


@dataclass(frozen=True, slots=True)
class ConsentText:
    """``sha256``: of the text in UTF-8, in hexadecimal; what a recorded consent is proved by."""

    version: str
    language: str
    text: str
    sha256: str


def _read() -> dict[tuple[str, str], ConsentText]:
    found = {}
    for path in sorted(_DIRECTORY.glob("*.txt")):
        name = _NAME.fullmatch(path.name)
        if name is None:
            raise ValueError(f"{path.name} is not <version>.<ru|en>.txt")
        content = path.read_bytes()
        version, language = name[1], name[2]
        digest = hashlib.sha256(content).hexdigest()
        found[version, language] = ConsentText(version, language, content.decode(), digest)
    return found


_TEXTS: Final = _read()


def find(version: str, language: str) -> ConsentText | None:
    """The text of this version in this language; None for a version that was never published here."""
    return _TEXTS.get((version, language))
