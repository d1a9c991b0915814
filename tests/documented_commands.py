"""The commands the documents tell an operator to type: ``make in S=<service> DO='<command>'``."""

from __future__ import annotations

import re
from typing import Final

from deploy.local.state import ROOT

PATTERN: Final = re.compile(r"make in S=([a-z-]+) DO='(python -m [^'…]+)'")
COMMANDS: Final = sorted(
    {found for page in (ROOT / "docs").glob("*.md") for found in PATTERN.findall(page.read_text("utf-8"))}
)
IDS: Final = [f"{service}: {command}" for service, command in COMMANDS]
EXPECTED: Final = 8  # fewer: a page has lost its commands, or writes them another way
