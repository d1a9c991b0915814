"""Waits until everything answers, and gives up at once on a process that keeps ending."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from deploy.progress import Progress, ServiceFailed, log_tail

STARTS_ALLOWED = 4  # a process may meet a server that is a moment late; after so many ends it is broken


class Process(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def started_at(self) -> int: ...


class Processes(Protocol):
    """Who knows the state of processes (supervisord)."""

    def processes(self) -> Sequence[Process]: ...


@dataclass
class Watch:
    """One thing waited for; ``last`` is the last answer, told when it never becomes ready."""

    name: str
    check: Callable[[], bool]
    last: str = ""
    starts: set[int] = field(default_factory=set)

    @classmethod
    def http(cls, name: str, url: str) -> Watch:
        """Ready when the address answers 200."""
        watch = cls(name, lambda: False)

        def ask() -> bool:
            status, body = get(url)
            watch.last = f"GET {url} -> {status} {body[:500]}"
            return status == 200

        watch.check = ask
        return watch


def get(url: str, headers: dict[str, str] | None = None, timeout_seconds: float = 3) -> tuple[int, str]:
    """(status, body); status 0 when nobody answers."""
    request = urllib.request.Request(url, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=timeout_seconds) as answer:
            return int(answer.status), answer.read().decode(errors="replace")
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode(errors="replace")
    except (urllib.error.URLError, OSError) as error:
        return 0, str(error)


def wait_for_all(
    watches: Sequence[Watch],
    processes: Processes,
    logs: Path,
    progress: Progress,
    patience_seconds: float,
) -> None:
    """Returns when every watch is ready; raises ServiceFailed for the first that cannot be."""
    deadline = time.monotonic() + patience_seconds
    waiting = list(watches)
    while waiting:
        for watch in list(waiting):
            if watch.check():
                waiting.remove(watch)
                progress.step(f"{watch.name} is ready")
        _refuse_broken(waiting, processes, logs)
        if waiting and time.monotonic() > deadline:
            watch = waiting[0]
            what = f"not ready after {patience_seconds:.0f} s; {watch.last}"
            raise ServiceFailed(watch.name, what, log_tail(logs / f"{watch.name}.log"))
        if waiting:
            time.sleep(0.2)


def _refuse_broken(waiting: list[Watch], processes: Processes, logs: Path) -> None:
    known = {info.name: info for info in processes.processes()}
    for watch in waiting:
        info = known.get(watch.name)
        if info is None:
            continue
        if info.started_at:
            watch.starts.add(info.started_at)
        if info.state == "FATAL" or len(watch.starts) >= STARTS_ALLOWED:
            raise ServiceFailed(watch.name, "keeps ending", log_tail(logs / f"{watch.name}.log"))
