"""Runs a program detached, as an unprivileged account when we are root, and ends exactly that program."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Program:
    """What it takes to run one process: nothing of the caller's environment but PATH reaches it."""

    name: str
    argv: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    account: str | None = None  # used only when we are root
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: int = 20

    def full_environment(self) -> dict[str, str]:
        """The whole environment of the process, with HOME and USER of its account."""
        base = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "LANG": "C.UTF-8",
            "HOME": str(self.directory),
        }
        if os.geteuid() == 0 and self.account:
            base |= {"USER": self.account, "LOGNAME": self.account}
        return base | dict(self.environment)


def account_ids(account: str | None) -> tuple[int, int] | None:
    """(uid, gid) to switch to, or None when there is nothing to switch: not root, or no account named."""
    if os.geteuid() != 0 or account is None:
        return None
    entry = pwd.getpwnam(account)
    return entry.pw_uid, entry.pw_gid


def own_directory(path: Path, account: str | None, mode: int = 0o700) -> Path:
    """Makes the directory and gives it to the account (to ourselves when not root)."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)
    if ids := account_ids(account):
        os.chown(path, *ids)
    return path


def own_file(path: Path, text: str, account: str | None, mode: int = 0o600) -> Path:
    """Writes the file and gives it to the account; never readable by others, not even for a moment."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as target:
        target.write(text)
    if ids := account_ids(account):
        os.chown(path, *ids)
    return path


def _switch(account: str | None) -> dict[str, object]:
    ids = account_ids(account)
    if ids is None:
        return {}
    return {"user": ids[0], "group": ids[1], "extra_groups": os.getgrouplist(str(account), ids[1])}


def run_once(program: Program, *, text_input: str | None = None, timeout_seconds: float = 120) -> str:
    """Runs to the end and returns its output; raises RuntimeError with the output when it fails."""
    done = subprocess.run(  # type: ignore[call-overload]
        program.argv,
        cwd=program.directory,
        env=program.full_environment(),
        input=text_input,
        stdin=None if text_input is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_seconds,
        check=False,
        **_switch(program.account),
    )
    if done.returncode != 0:
        raise RuntimeError(f"{program.name} failed with exit code {done.returncode}:\n{done.stdout[-4000:]}")
    return str(done.stdout)


def start_detached(program: Program, log: Path) -> int:
    """Starts in a session of its own, output appended to ``log``; returns the process id."""
    with log.open("ab") as output:
        process = subprocess.Popen(  # type: ignore[call-overload]
            program.argv,
            cwd=program.directory,
            env=program.full_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **_switch(program.account),
        )
    process.returncode = 0  # detached on purpose: whoever reads the recorded pid ends it
    return int(process.pid)


def start_time(pid: int) -> int | None:
    """Kernel start time of a live process, which tells it from a later one with the same id; else None."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in {"Z", "X"} else int(fields[19])


def record(path: Path, pids: Mapping[str, int]) -> None:
    """Remembers processes so that a later call, of any process, can end them."""
    path.write_text(json.dumps({name: [pid, start_time(pid)] for name, pid in pids.items()}))


def recorded(path: Path) -> dict[str, int]:
    """The recorded processes that still live, in the order they were started."""
    with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
        content = json.loads(path.read_text())
        return {name: pid for name, (pid, born) in content.items() if born and start_time(pid) == born}
    return {}


def stop(pid: int, stop_signal: signal.Signals = signal.SIGTERM, wait_seconds: float = 20) -> None:
    """Ends one process: asks, waits, then kills. A process already gone is fine."""
    born = start_time(pid)
    if born is None:
        return
    for current, patience in ((stop_signal, wait_seconds), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, current)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            if start_time(pid) != born:
                return
            time.sleep(0.05)


def remove_tree(path: Path) -> None:
    """Removes a directory of ours, whoever of our accounts owns what is in it."""
    shutil.rmtree(path, ignore_errors=True)
