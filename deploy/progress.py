"""Tells a person at the terminal how far the stack has come, and what failed."""

from __future__ import annotations

import sys
import time
from pathlib import Path


class ServiceFailed(Exception):
    """A service that did not start; carries its name, what happened and the end of its log."""

    def __init__(self, name: str, what: str, log: str) -> None:
        super().__init__(f"{name}: {what}\n{log}")
        self.name = name
        self.what = what
        self.log = log


class Progress:
    """Prints lines with the seconds since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def step(self, text: str) -> None:
        """One line."""
        print(f"[{time.monotonic() - self._began:5.1f} s] {text}", file=sys.stderr, flush=True)


def log_tail(path: Path, lines: int = 30) -> str:
    """The last lines of a log; says so when there is none."""
    if not path.exists():
        return f"(no log at {path})"
    text = path.read_text(errors="replace").splitlines()[-lines:]
    return "\n".join(text) or "(the log is empty)"
