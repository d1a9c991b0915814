"""Moves the suite's clock forward and waits until everything that is due by then has been done."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from deploy.progress import Progress

PATIENCE_SECONDS = 120
SERVICES = ("user-api", "pay-api", "billing-api")


class StillBusy(Exception):
    """The stack did not become quiet in time; says what it waits for."""


def call(url: str, token: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
    """The JSON a service answers to its operator. Raises SystemExit for a refusal, URLError when away."""
    request = urllib.request.Request(url, data=None if body is None else json.dumps(body).encode())
    request.add_header("Authorization", f"Bearer {token}")
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            content: dict[str, Any] = json.load(answer)
            return content
    except urllib.error.HTTPError as refusal:
        raise SystemExit(
            f"{url} answered {refusal.code}: {refusal.read().decode(errors='replace')[:500]}"
        ) from refusal


def travel(
    urls: Mapping[str, object],
    tokens: Mapping[str, str],
    days: float,
    progress: Progress,
    patience_seconds: float = PATIENCE_SECONDS,
) -> datetime:
    """Moves the clock by ``days`` and returns the suite's new time once all is quiet.

    ``urls`` as ``make urls`` gives them, ``tokens`` the operator's, by service. Quiet means: all three
    services say so twice in a row, 1 s apart, and BillingAPI has completed its runs up to the new time.
    Raises StillBusy.
    """
    amount = {"days": int(days)} if days == int(days) else {"seconds": int(days * 86_400)}
    moved = call(f"{urls['user_api']}/internal/v1/time-travel", tokens["user-api"], amount)
    now = datetime.fromisoformat(str(moved["now"]))
    progress.step(f"the suite's clock says {now.isoformat()}")
    wait_until_quiet(urls, tokens, now, progress, patience_seconds)
    return now


def wait_until_quiet(
    urls: Mapping[str, object],
    tokens: Mapping[str, str],
    since: datetime,
    progress: Progress,
    patience_seconds: float = PATIENCE_SECONDS,
) -> None:
    """Returns once nothing is pending and every run of BillingAPI has reached ``since``; raises StillBusy."""
    deadline = time.monotonic() + patience_seconds
    quiet_rounds = 0
    while True:
        busy = pending(urls, tokens, since)
        quiet_rounds = 0 if busy else quiet_rounds + 1
        if quiet_rounds == 2:
            progress.step("everything due is done")
            return
        if time.monotonic() > deadline:
            raise StillBusy(f"not quiet after {patience_seconds:.0f} s, still waiting for: {'; '.join(busy)}")
        time.sleep(1)


def pending(urls: Mapping[str, object], tokens: Mapping[str, str], since: datetime) -> list[str]:
    """What is not done yet, in words; empty when all is quiet."""
    busy = []
    for service in SERVICES:
        url = f"{urls[service.replace('-', '_')]}/internal/v1/quiescence"
        try:
            answer = call(url, tokens[service])
        except (urllib.error.URLError, OSError) as error:
            busy.append(f"{service} ({error})")
            continue
        if not answer.get("quiet"):
            busy.append(f"{service} {json.dumps(answer.get('pending'))}")
        ticks = answer.get("ticks")
        if service == "billing-api" and isinstance(ticks, dict):
            late = [run for run, at in ticks.items() if at is None or datetime.fromisoformat(str(at)) < since]
            if late:
                busy.append(f"billing-api runs not yet at the new time: {', '.join(late)}")
    return busy
