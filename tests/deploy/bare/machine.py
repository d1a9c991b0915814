"""A bare Debian machine: a container with nothing on it but what a user brings, and commands inside it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from deploy.local.state import ROOT

IMAGE = os.environ.get("BARE_IMAGE", "debian:bookworm-slim")
CPUS = os.environ.get("BARE_CPUS", "2")
BROUGHT = "python3 python3-venv git make"  # what README asks for
# how this machine reaches a package index is this machine's matter: handed on, never written down
HANDED_ON = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "UV_DEFAULT_INDEX",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)


@dataclass(frozen=True)
class Result:
    """What a command said and how it ended."""

    code: int
    output: str
    seconds: float


class Machine:
    """One container; commands run as root or as the user named, in their home."""

    def __init__(self, name: str) -> None:
        self.name = f"cinema-bare-{name}-{os.getpid()}"
        self._began = time.monotonic()
        settings = [x for key in HANDED_ON if os.environ.get(key) for x in ("-e", key)]
        _docker(
            "run", "-d", "--init", "--cpus", CPUS, "--name", self.name, *settings, IMAGE, "sleep", "infinity"
        )
        self.run(f"command -v git make >/dev/null || (apt-get -q update && apt-get -q -y install {BROUGHT})")

    def remove(self) -> None:
        """Ends the machine with everything on it."""
        _docker("rm", "-f", "-v", self.name)

    def say(self, text: str) -> None:
        """One line of what is going on, with the seconds since the machine was made."""
        print(f"[{time.monotonic() - self._began:6.1f} s] {text}", file=sys.stderr, flush=True)

    def clone(self, home: str = "/root", user: str = "root") -> None:
        """A fresh clone of this checkout's last commit in ``~/cinema``."""
        bundle = Path(f"/tmp/{self.name}.bundle")
        subprocess.run(
            ["git", "bundle", "create", "-q", str(bundle), "HEAD"], cwd=ROOT, check=True, timeout=60
        )
        _docker("cp", str(bundle), f"{self.name}:/tmp/cinema.bundle")
        bundle.unlink()
        self.run("chmod 644 /tmp/cinema.bundle")
        self.run(f"cd {home} && git clone -q /tmp/cinema.bundle cinema", user=user)

    def run(
        self, command: str, *, user: str = "root", seconds: float = 900, succeeds: bool | None = True
    ) -> Result:
        """Runs a shell command; fails the test when its end is not as expected (None: either way)."""
        home = "/root" if user == "root" else f"/home/{user}"
        began = time.monotonic()
        words = [
            "docker",
            "exec",
            "-u",
            user,
            "-e",
            f"HOME={home}",
            "-w",
            home,
            self.name,
            "bash",
            "-c",
            command,
        ]
        done = subprocess.run(words, capture_output=True, text=True, timeout=seconds, check=False)
        result = Result(done.returncode, done.stdout + done.stderr, time.monotonic() - began)
        if succeeds is not None:
            assert (result.code == 0) is succeeds, (
                f"{command}: exit code {result.code}\n{result.output[-6000:]}"
            )
        return result

    def make(self, target: str, *, user: str = "root", seconds: float = 900) -> Result:
        """Runs a target of the Makefile in the clone, and tells how long it took."""
        result = self.run(f"cd cinema && make {target}", user=user, seconds=seconds)
        self.say(f"make {target}: {result.seconds:.0f} s")
        return result

    def interrupt(self, target: str, when: str, signal: str, *, after_seconds: float = 0) -> None:
        """Runs a target and ends it, with everything it started, as soon as its output or a file tells so.

        ``when`` is a shell condition asked ten times a second; it must come true while the target runs.
        """
        log = "/tmp/interrupted.log"
        # a process group of its own, as a terminal gives it: Ctrl-C reaches everything of it
        script = (
            f"cd cinema; set -m; make {target} >{log} 2>&1 & group=$!; set +m; cd; "
            f"until {when}; do kill -0 $group 2>/dev/null || exit 7; sleep 0.1; done; sleep {after_seconds}; "
            f"kill -{signal} -- -$group || exit 8; wait $group; exit 0"
        )
        result = self.run(script, succeeds=None)
        said = self.run(f"tail -n 3 {log}").output
        assert result.code == 0, f"make {target} was not interrupted ({result.code}): {said}"
        assert "the stack is ready" not in said
        self.say(f"make {target} ended by {signal} after {result.seconds:.0f} s when: {when}")

    def processes_of(self, account: str) -> list[str]:
        """Command lines of everything an account runs."""
        found = self.run(
            f'for p in /proc/[0-9]*; do [ "$(stat -c %U $p 2>/dev/null)" = {shlex.quote(account)} ] && '
            "tr '\\0' ' ' <$p/cmdline 2>/dev/null && echo; done; true"
        )
        return [line for line in found.output.splitlines() if line.strip()]


def _docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
