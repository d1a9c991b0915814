"""The containers of the running compose stack, as the engine sees them, and commands inside them."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import Any

from deploy.compose import ComposeStack

PROJECT = "cinema-billing"


@dataclass(frozen=True)
class Container:
    """One container: its compose service and what ``docker inspect`` tells of it."""

    service: str
    facts: dict[str, Any]

    @property
    def host(self) -> dict[str, Any]:
        return dict(self.facts["HostConfig"])

    @property
    def runs(self) -> bool:
        return bool(self.facts["State"]["Running"])

    @property
    def addresses(self) -> dict[str, str]:
        """Network without the project's name -> IP address."""
        attached = self.facts["NetworkSettings"]["Networks"].items()
        prefix = f"{PROJECT}_"
        return {
            name.removeprefix(prefix): how["IPAddress"] for name, how in attached if name.startswith(prefix)
        }

    def setting(self, name: str) -> str:
        """A variable of the container's environment."""
        settings = (item.partition("=") for item in self.facts["Config"]["Env"])
        return next(value for key, _, value in settings if key == name)

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs the command in the container as its own user."""
        return docker("exec", self.facts["Id"], *command)


def docker(*arguments: str, check: bool = False) -> subprocess.CompletedProcess[str]:
    """One docker command."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=check, timeout=300)


def containers() -> dict[str, Container]:
    """Every container of the stack by its service. Fails when nothing runs: `make up MODE=docker` first."""
    label = "com.docker.compose"
    listed = docker("ps", "-aq", "--filter", f"label={label}.project={PROJECT}", check=True).stdout.split()
    assert listed, "the compose stack does not run; start it with: make up MODE=docker"
    everything = json.loads(docker("inspect", *listed, check=True).stdout)
    # `docker compose run` leaves no trace here: only what `up` made counts
    made = [facts for facts in everything if facts["Config"]["Labels"][f"{label}.oneoff"] == "False"]
    found = {facts["Config"]["Labels"][f"{label}.service"]: facts for facts in made}
    assert len(found) == len(made), "a service has more than one container"
    return {service: Container(service, facts) for service, facts in found.items()}


def compose(*arguments: str) -> str:
    """One docker compose command on the stack that runs here, with its ports; its output."""
    stack = ComposeStack()
    done = subprocess.run(
        stack.command(*arguments),
        cwd=stack.root,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
