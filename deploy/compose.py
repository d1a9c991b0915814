"""The stack with Docker: the same operations as the local one, through ``docker compose``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deploy.local.databases import DATABASES
from deploy.local.ports import choose_ports
from deploy.local.programs import own_file
from deploy.local.state import ROOT, StackState, dotenv
from deploy.processes import PUBLISHED_PORTS
from deploy.progress import Progress, ServiceFailed

DEVELOPMENT_PORTS: dict[str, int] = {
    "users-db": 15431,
    "pay-db": 15432,
    "billing-db": 15433,
    "movies-db": 15434,
    "admin-db": 15435,
    "redis": 16379,
}
# under compose the demo's staff have these passwords outside production (admin_panel/staff/demo.py)
DEMO_LOGINS = {
    name: {"username": name, "password": f"dev-{name}-password"}
    for name in ("viewer", "support", "finance", "marketing", "admin")
}
OPERATED = ("user-api", "pay-api", "billing-api")


def engine_answers() -> bool:
    """True when a Docker engine with Compose v2 can be used by us."""
    if not shutil.which("docker"):
        return False
    for command in (["docker", "compose", "version"], ["docker", "info", "--format", "{{.ServerVersion}}"]):
        try:
            done = subprocess.run(command, capture_output=True, timeout=10, check=False)
        except subprocess.TimeoutExpired:
            return False
        if done.returncode != 0:
            return False
    return True


def port_variable(name: str) -> str:
    """The variable of the compose file that holds a published port (``USER_API_PORT``)."""
    return f"{name.upper().replace('-', '_')}_PORT"


class ComposeStack:
    """Every operation of the stack under Docker, with the development ports of deploy/compose.dev.yml."""

    def __init__(self, root: Path = ROOT) -> None:
        self.state = StackState.open(root)
        self.root = root
        self._settings = self.state.directory / "compose.env"

    def command(self, *arguments: str) -> list[str]:
        """``docker compose`` with the files, settings and ports of this stack."""
        files = ["-f", "docker-compose.yml", "-f", "deploy/compose.dev.yml"]
        environments = [str(path) for path in (self.root / ".env", self._settings) if path.exists()]
        return [
            "docker",
            "compose",
            *files,
            *(x for e in environments for x in ("--env-file", e)),
            *arguments,
        ]

    def _setting(self, name: str) -> str | None:
        return os.environ.get(name) or dotenv(self.root).get(name)

    def _read(self, *arguments: str) -> str:
        command = self.command(*arguments)
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
        return done.stdout

    def _running(self) -> list[dict[str, Any]]:
        lines = self._read("ps", "-a", "--format", "json").splitlines()
        rows = [json.loads(line) for line in lines if line.strip()]
        return [row for item in rows for row in (item if isinstance(item, list) else [item])]

    def _remember_ports(self) -> None:
        """Chooses ports unless the stack runs, which holds its own."""
        path = self.state.directory / "compose-ports.json"
        remembered = json.loads(path.read_text()) if path.exists() else {}
        wanted = PUBLISHED_PORTS | DEVELOPMENT_PORTS
        running = any(row.get("State") == "running" for row in self._running())
        if running and remembered:
            return
        # a stack started by a plain `docker compose up` holds the documented ports already
        chosen = wanted if running else choose_ports(wanted, remembered)
        own_file(path, json.dumps(chosen, indent=1), None)
        own_file(self._settings, "".join(f"{port_variable(k)}={v}\n" for k, v in chosen.items()), None)

    def up(self, progress: Progress) -> None:
        """Builds what changed and starts everything; raises ServiceFailed with the end of a log."""
        if self._setting("APP_ENV") == "production":
            raise SystemExit(
                "make up is for development: it publishes the databases, which production refuses"
            )
        self._remember_ports()
        self._build(progress)
        done = subprocess.run(
            self.command("up", "-d", "--wait", "--wait-timeout", "300", "--remove-orphans"),
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode != 0:
            raise self._failure()
        progress.step("every container is healthy")
        own_file(self.state.demo_logins, json.dumps(DEMO_LOGINS, indent=2) + "\n", None)

    def _build(self, progress: Progress) -> None:
        done = subprocess.run(
            self.command("build", "-q"), cwd=self.root, stdin=subprocess.DEVNULL, check=False
        )
        if done.returncode != 0:
            raise ServiceFailed("docker compose build", f"exit code {done.returncode}", "(see above)")
        progress.step("images built")

    def _failure(self) -> ServiceFailed:
        for row in self._running():
            ended = row.get("State") in {"exited", "restarting", "dead"} and row.get("ExitCode") != 0
            if ended or row.get("Health") == "unhealthy":
                log = self._read("logs", "--no-color", "--no-log-prefix", "--tail", "30", row["Service"])
                return ServiceFailed(row["Service"], row.get("Status", "failed"), log)
        return ServiceFailed("docker compose up", "did not become healthy in time", self._read("ps", "-a"))

    def urls(self) -> dict[str, object]:
        """What ``make urls`` prints, read from the effective configuration: overridden secrets count."""
        services = json.loads(self._read("config", "--format", "json"))["services"]

        def port(service: str, target: int) -> str:
            return str(next(p["published"] for p in services[service]["ports"] if p["target"] == target))

        def http(service: str, target: int) -> str:
            return f"http://127.0.0.1:{port(service, target)}"

        owners: dict[str, object] = {}
        for database, roles in DATABASES.items():
            password = services[f"{database}-db"]["environment"][f"{roles[0].upper()}_PASSWORD"]
            address = f"127.0.0.1:{port(f'{database}-db', 5432)}"
            owners[database] = f"postgresql://{roles[0]}:{password}@{address}/{database}"
        reader = json.loads(services["broker-migrate"]["environment"]["RABBITMQ_PASSWORDS"])[
            "data-bus-reader"
        ]
        redis_password = services["redis"]["environment"]["REDIS_PASSWORD"]
        return {
            "gateway": http("gateway", 8080),
            "user_api": http("user-api", 8001),
            "pay_api": http("pay-api", 8002),
            "billing_api": http("billing-api", 8003),
            "admin_panel": http("admin-panel", 8004),
            "cloudpayments_sandbox": http("cloudpayments-sandbox", 8005),
            "amqp": f"amqp://data-bus-reader:{reader}@127.0.0.1:{port('rabbitmq', 5672)}/",
            "rabbitmq_management": http("rabbitmq", 15672),
            "redis": f"redis://:{redis_password}@127.0.0.1:{port('redis', 6379)}/0",
            "databases": owners,
        }

    def operator_tokens(self) -> dict[str, str]:
        """The operator's token per service, as the containers are configured."""
        services = json.loads(self._read("config", "--format", "json"))["services"]
        accepted = {
            name: json.loads(services[name]["environment"]["ACCEPTED_CREDENTIALS"]) for name in OPERATED
        }
        return {name: tokens["operator"][0] for name, tokens in accepted.items()}

    def run_in(self, service: str, argv: Sequence[str]) -> int:
        """Runs an operator's command in a service's container, in a new one when none runs; its exit code.

        A one-shot has ended, and a service may have: the command then gets a container of its own.
        """
        rows = {row["Service"]: row["State"] for row in self._running()}
        if service not in rows:
            raise SystemExit(f"no service {service} here; one of: {', '.join(sorted(rows))}")
        how = ["exec", "-T"] if rows[service] == "running" else ["run", "--rm", "--no-deps", "-T"]
        command = self.command(*how, service, *argv)
        return subprocess.run(command, cwd=self.root, check=False).returncode

    def down(self) -> None:
        """Stops and removes the containers; volumes stay."""
        subprocess.run(self.command("down", "--remove-orphans"), cwd=self.root, check=True)

    def reset(self) -> None:
        """Stops everything and drops the volumes."""
        subprocess.run(self.command("down", "-v", "--remove-orphans"), cwd=self.root, check=True)

    def ps(self) -> list[tuple[str, str, str]]:
        """(service, state, detail) of every container."""
        return [(row["Service"], row["State"], row.get("Status", "")) for row in self._running()]

    def follow_logs(self, service: str | None) -> None:
        """Hands the terminal over to ``docker compose logs``."""
        command = self.command("logs", "--tail", "200", *([service] if service else []))
        os.chdir(self.root)
        os.execvp(command[0], command)  # noqa: S606 - the terminal is the user's
