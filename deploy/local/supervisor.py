"""Keeps the local stack's processes alive: renders supervisord's configuration and talks to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shlex
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport  # type: ignore[import-untyped]

from deploy.local.programs import Program, account_ids, own_file, start_time, stop
from deploy.local.state import StackState

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def _is_postgres(pid: int) -> bool:
    """True for Postgres, whose fast shutdown is SIGINT (SIGTERM waits for clients to leave)."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip() == "postgres"
    return False


def _value(text: str) -> str:
    return text.replace("%", "%%")


def _section(program: Program, log: Path) -> str:
    environment = ",".join(f'{key}="{_value(text)}"' for key, text in program.full_environment().items())
    lines = [
        f"[program:{program.name}]",
        f"command={_value(shlex.join(program.argv))}",
        f"directory={_value(str(program.directory))}",
        f"environment={environment}",
        "autostart=false",
        "autorestart=true",
        "startsecs=2",
        "startretries=1000",
        f"stopsignal={program.stop_signal.name.removeprefix('SIG')}",
        f"stopwaitsecs={program.stop_seconds}",
        "stopasgroup=false",
        "killasgroup=true",
        "redirect_stderr=true",
        f"stdout_logfile={_value(str(log))}",
        "stdout_logfile_maxbytes=20MB",
        "stdout_logfile_backups=1",
    ]
    if account_ids(program.account):
        lines.append(f"user={program.account}")
    return "\n".join(lines) + "\n"


def render(state: StackState, programs: Iterable[Program]) -> str:
    """supervisord's whole configuration. Nothing starts by itself: ``up`` starts things in order."""
    directory = state.directory
    head = [
        "[supervisord]",
        f"logfile={_value(str(state.logs / 'supervisord.log'))}",
        f"pidfile={_value(str(directory / 'supervisord.pid'))}",
        f"childlogdir={_value(str(state.logs))}",
        f"directory={_value(str(directory))}",
        "logfile_maxbytes=5MB",
        "logfile_backups=1",
        "minfds=4096",
        *(["user=root"] if os.geteuid() == 0 else []),
        "[unix_http_server]",
        f"file={_value(str(state.supervisor_socket))}",
        "chmod=0700",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
    ]
    sections = (_section(program, state.logs / f"{program.name}.log") for program in programs)
    return "\n".join(head) + "\n" + "\n".join(sections)


@dataclass(frozen=True)
class ProcessInfo:
    """One process as supervisord sees it."""

    name: str
    state: str  # STOPPED STARTING RUNNING BACKOFF STOPPING EXITED FATAL UNKNOWN
    pid: int
    started_at: int  # seconds since the epoch, 0 before the first start
    description: str


class Supervisor:
    """The supervisord of one stack."""

    def __init__(self, state: StackState) -> None:
        self._state = state

    @property
    def _rpc(self) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self._state.supervisor_socket}")
        return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor

    def is_running(self) -> bool:
        """True when it answers."""
        with contextlib.suppress(OSError, http.client.HTTPException, xmlrpc.client.Error):
            return bool(self._rpc.getPID())
        return False

    def write(self, programs: Iterable[Program]) -> bool:
        """Writes the configuration; True when it differs from what was there."""
        path = self._state.directory / "supervisord.conf"
        text = render(self._state, programs)
        if path.exists() and path.read_text() == text:
            return False
        own_file(path, text, None)
        return True

    def launch(self) -> None:
        """Starts supervisord detached; raises RuntimeError when it does not answer within 10 s."""
        command = [
            sys.executable,
            "-m",
            "supervisor.supervisord",
            "-c",
            str(self._state.directory / "supervisord.conf"),
        ]
        environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "LANG": "C.UTF-8",
        }
        environment["HOME"] = str(self._state.directory)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        deadline = time.monotonic() + 10
        while not self.is_running():
            if done.returncode != 0 or time.monotonic() > deadline:
                raise RuntimeError(f"supervisord did not start:\n{done.stdout}{done.stderr}")
            time.sleep(0.1)
        self._remember_session()

    def reload_configuration(self) -> None:
        """Takes over a changed configuration of a running supervisord; changed programs are stopped."""
        added, changed, removed = self._rpc.reloadConfig()[0]
        for name in [*changed, *removed]:
            with contextlib.suppress(xmlrpc.client.Fault):
                self._rpc.stopProcessGroup(name)
            self._rpc.removeProcessGroup(name)
        for name in [*added, *changed]:
            self._rpc.addProcessGroup(name)

    def start(self, name: str) -> None:
        """Starts without waiting; one that runs already is left alone."""
        with contextlib.suppress(xmlrpc.client.Fault):
            self._rpc.startProcess(name, False)

    def stop(self, names: Iterable[str]) -> None:
        """Stops them all at once and waits."""
        wanted = set(names)
        if not wanted:
            return
        for name in wanted:
            with contextlib.suppress(xmlrpc.client.Fault):
                self._rpc.stopProcess(name, False)
        while any(info.name in wanted and info.pid for info in self.processes()):
            time.sleep(0.1)

    def processes(self) -> list[ProcessInfo]:
        """Every process it knows."""
        return [
            ProcessInfo(info["name"], info["statename"], info["pid"], info["start"], info["description"])
            for info in self._rpc.getAllProcessInfo()
        ]

    def shutdown(self, patience_seconds: float = 60) -> None:
        """Stops supervisord with everything it runs, and whatever of the stack outlived a killed one."""
        if self.is_running():
            pid = int(self._rpc.getPID())
            with contextlib.suppress(xmlrpc.client.Fault):
                self._rpc.shutdown()
            deadline = time.monotonic() + patience_seconds
            while start_time(pid) is not None and time.monotonic() < deadline:
                time.sleep(0.1)
        left = {pid: signal.SIGINT if _is_postgres(pid) else signal.SIGTERM for pid in self.orphans()}
        for pid, ask in left.items():  # all at once: Postgres waits for its clients, workers for Postgres
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, ask)
        for pid, ask in left.items():
            stop(pid, ask)

    def _remember_session(self) -> None:
        pid = int(self._rpc.getPID())
        known = {"session": os.getsid(pid), "started": start_time(pid), "boot": BOOT_ID.read_text()}
        own_file(self._state.directory / "session.json", json.dumps(known), None)

    def orphans(self) -> list[int]:
        """Processes of this stack; asked only when no supervisord should be running.

        Known by the session of the last supervisord, which lives as long as a process in it: environments and
        folders of another account cannot be read everywhere, not even by root in a container.
        """
        path = self._state.directory / "session.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        if known.get("boot") != BOOT_ID.read_text():
            return []  # never started, or the machine has
        leader = start_time(known["session"])
        if leader is not None and leader != known["started"]:
            return []  # all of ours are gone and the id is someone else's by now
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                pid = int(entry.name)
                if os.getsid(pid) == known["session"] and (start_time(pid) or 0) >= known["started"]:
                    found.append(pid)
        return found
