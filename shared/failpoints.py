"""Named places where a test makes a process die or fail; nothing happens outside ``APP_ENV=test``."""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import Final

SETTING: Final = "FAILPOINTS"
_reached: Final[Counter[str]] = Counter()


class FailpointReached(RuntimeError):
    """What a place configured with ``raise`` fails with."""


def configured() -> bool:
    """Whether any place is configured, in whatever mode we run; production then refuses to start."""
    return bool(os.environ.get(SETTING, "").strip())


def failpoint(name: str) -> None:
    """Does what ``FAILPOINTS`` says for this place: ``kill`` (SIGKILL to ourselves, at once), ``freeze``
    (SIGSTOP, as when a machine is paused: the test sends SIGCONT) or ``raise``.

    ``FAILPOINTS=relay.after_claim_before_publish=kill,consumer.after_receive=raise@3``: ``@3`` acts from the
    third passage on. Raises FailpointReached, and ValueError for an action that does not exist.
    """
    setting = os.environ.get(SETTING)
    if not setting or os.environ.get("APP_ENV") != "test":
        return
    for part in setting.split(","):
        place, _, what = part.strip().partition("=")
        if place != name:
            continue
        action, _, passage = what.partition("@")
        _reached[name] += 1
        if _reached[name] < int(passage or 1) or (action == "freeze" and _reached[name] > int(passage or 1)):
            return  # a frozen process goes on once it is woken
        if action in ("kill", "freeze"):
            os.kill(os.getpid(), signal.SIGKILL if action == "kill" else signal.SIGSTOP)
            return
        if action == "raise":
            raise FailpointReached(name)
        raise ValueError(f"{SETTING}: no action {action!r}")
