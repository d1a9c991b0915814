"""The stack without Docker: brings everything up in order, tells what failed, takes it down again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from deploy.local import databases, gateway, packages
from deploy.local.environment import PASSED_ON, Addresses, environment, owners, urls
from deploy.local.programs import Program, own_directory, own_file, remove_tree
from deploy.local.servers import PostgresServer, RabbitServer, RedisServer
from deploy.local.state import ROOT, StackState, dotenv
from deploy.local.supervisor import Supervisor
from deploy.processes import (
    BROKER_TOPOLOGY,
    BROKER_USERS,
    CATALOGUE,
    MIGRATIONS,
    PROCESSES,
    OneShot,
    Process,
)
from deploy.progress import Progress, ServiceFailed, log_tail
from deploy.readiness import Watch, wait_for_all
from deploy.redis import users as redis_users

# settings come from a file, not by a command line everyone can list; figures of an earlier start are dropped
START = 'set -a; . "$0"; set +a; rm -f "${PROMETHEUS_MULTIPROC_DIR:-/nonexistent}"/*.db; exec "$@"'
SERVERS = ("postgres", "redis", "epmd", "rabbitmq")
BROKER = "broker-migrate"  # the one-shot with the credentials of the broker's owner


class LocalStack:
    """Every operation of the local stack; ``root`` is the folder whose ``.stack/`` it uses."""

    def __init__(
        self,
        root: Path = ROOT,
        processes: tuple[Process, ...] = PROCESSES,
        migrations: tuple[OneShot, ...] = MIGRATIONS,
        catalogue: OneShot | None = CATALOGUE,
        broker: tuple[tuple[str, ...], ...] = (BROKER_USERS, BROKER_TOPOLOGY),
    ) -> None:
        self.state = StackState.open(root)
        self.supervisor = Supervisor(self.state)
        self._root = root
        self._processes = processes
        self._migrations = migrations
        self._catalogue = catalogue
        self._broker = broker

    # --- what is where -------------------------------------------------------------------------------------

    def _servers(self) -> tuple[PostgresServer, RedisServer, RabbitServer]:
        ports, secret, data = self.state.ports(), self.state.secrets(), self.state.data_path
        rabbit = RabbitServer(
            data / "rabbitmq",
            ports["rabbitmq"],
            ports["rabbitmq-management"],
            ports["epmd"],
            ports["rabbitmq-distribution"],
            secret["erlang-cookie"],
            "owner",
            secret["rabbitmq:owner"],
        )
        postgres = PostgresServer(data / "postgres", ports["postgres"], secret["postgres"])
        users = {name: secret[f"redis:{name}"] for name in redis_users.USERS}
        redis = RedisServer(data / "redis", ports["redis"], secret["redis"], users)
        return postgres, redis, rabbit

    def _role_passwords(self) -> dict[str, str]:
        return {role: self.state.secrets()[f"role:{role}"] for role in databases.ROLES}

    def addresses(self) -> Addresses:
        """Where everything is; raises SystemExit before the first ``up``."""
        if not self.state.ports():
            raise SystemExit("the stack was never started here; run: make up")
        postgres, _, _ = self._servers()
        passwords = self._role_passwords()
        made = {name: databases.urls(postgres, name, name, passwords) for name in databases.DATABASES}
        return Addresses(
            self.state.ports(), self.state.secrets(), made, self.state.keys, self.state.demo_logins
        )

    def urls(self) -> dict[str, object]:
        """What ``make urls`` prints."""
        return urls(self.addresses())

    def operator_tokens(self) -> dict[str, str]:
        """The operator's token per service."""
        at = self.addresses()
        return {callee: at.token("operator", callee) for callee in ("user-api", "pay-api", "billing-api")}

    # --- programs ------------------------------------------------------------------------------------------

    def _environment_file(self, name: str, values: dict[str, str]) -> Path:
        text = "".join(f"{key}={_shell_quoted(value)}\n" for key, value in sorted(values.items()))
        return own_file(self.state.directory / "env" / f"{name}.env", text, None)

    def _command(self, argv: Iterable[str]) -> tuple[str, ...]:
        """The command with its first word found in the virtual environment."""
        first, *rest = argv
        program = sys.executable if first == "python" else str(Path(sys.executable).with_name(first))
        return (program if Path(program).exists() else str(shutil.which(first) or first), *rest)

    def _settings(self, at: Addresses, name: str, process: Process | OneShot) -> dict[str, str]:
        passed = dotenv(self._root) | dict(os.environ)
        values = environment(at, process.group) | {key: passed[key] for key in PASSED_ON if passed.get(key)}
        values |= {
            "SERVICE_NAME": name,
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": str(ROOT),
        }
        if isinstance(process, OneShot) and process.migrates:
            values |= owners(at, process.group)
        if isinstance(process, Process) and not process.serves:
            values["HEALTH_PORT"] = str(at.ports[name])
        if isinstance(process, Process) and process.shares_metrics:
            values["PROMETHEUS_MULTIPROC_DIR"] = str(own_directory(self.state.directory / "metrics", None))
        return values

    def _program(self, at: Addresses, process: Process) -> Program:
        file = self._environment_file(process.name, self._settings(at, process.name, process))
        command = self._command(process.command(at.ports[process.name]))
        argv = ("/bin/sh", "-c", START, str(file), *command)
        return Program(process.name, argv, ROOT, {"HOME": str(self.state.directory)}, stop_seconds=30)

    def _programs(self, at: Addresses) -> list[Program]:
        postgres, redis, rabbit = self._servers()
        servers = [postgres.program(), redis.program(), rabbit.epmd_program(), rabbit.program()]
        front = gateway.program(self.state.data_path / "gateway")
        return [*servers, *(self._program(at, process) for process in self._processes), front]

    # --- up ------------------------------------------------------------------------------------------------

    def up(self, progress: Progress) -> None:
        """Starts or restarts everything; raises ServiceFailed naming what failed with the end of its log.

        Servers that run stay; every process with our code is restarted, so changed code is always taken over.
        """
        if (os.environ.get("APP_ENV") or dotenv(self._root).get("APP_ENV")) == "production":
            raise SystemExit(
                "make up is for development; in production run the containers (docs/operations.md)"
            )
        installed = packages.ensure(packages.SERVER_PACKAGES | packages.GATEWAY_PACKAGES)
        if installed:
            progress.step(f"installed {', '.join(installed)}")
        self._start_supervisor(progress)
        self._start_servers(progress)
        at = self.addresses()
        for job in self._migrations:
            self._run_once(at, job.name, job, job.argv)
        progress.step("databases migrated")
        self._run_broker(at)
        progress.step("queues and streams declared")
        self._start_processes(progress)
        if self._catalogue:
            self._run_once(at, self._catalogue.name, self._catalogue, self._catalogue.argv)
            progress.step("catalogue published")

    def _start_supervisor(self, progress: Progress) -> None:
        fresh = not self.supervisor.is_running()
        if fresh:
            for_sure_gone = self.supervisor.orphans()
            if for_sure_gone:
                progress.step("ending what an interrupted start left behind")
                self.supervisor.shutdown()
            self.state.choose_ports()
        self.state.data()
        for server in self._servers():
            if fresh:
                server.prepare()
        if fresh:
            gateway.prepare(self.state.data_path / "gateway", self.state.ports())
        changed = self.supervisor.write(self._programs(self.addresses()))
        if fresh:
            self.supervisor.launch()
        elif changed:
            self.supervisor.reload_configuration()

    def _start_servers(self, progress: Progress) -> None:
        postgres, redis, rabbit = self._servers()
        for name in SERVERS:
            self.supervisor.start(name)
        ready = {"postgres": postgres.is_ready, "redis": redis.is_ready, "rabbitmq": rabbit.is_ready}
        watches = [Watch(name, check) for name, check in ready.items()]
        wait_for_all(watches, self.supervisor, self.state.logs, progress, patience_seconds=90)
        passwords = self._role_passwords()
        for name in databases.DATABASES:
            databases.create(postgres, name, name, passwords)

    def _start_processes(self, progress: Progress) -> None:
        at = self.addresses()
        names = [process.name for process in self._processes]
        self.supervisor.stop([*names, "gateway"])
        for name in [*names, "gateway"]:
            self.supervisor.start(name)
        watches = [Watch.http(name, f"{at.http(name)}/readyz") for name in names]
        watches.append(Watch.http("gateway", f"{at.http('gateway')}/healthz"))
        wait_for_all(watches, self.supervisor, self.state.logs, progress, patience_seconds=120)

    def _run_broker(self, at: Addresses) -> None:
        for argv in self._broker:
            self._run_once(at, BROKER, OneShot(BROKER, "sandbox", argv), argv)

    def _settings_of_a_command(self, at: Addresses, name: str, job: Process | OneShot) -> dict[str, str]:
        settings = self._settings(at, name, job)
        settings |= {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(self.state.directory)}
        settings["LANG"] = "C.UTF-8"
        if name == BROKER:
            users = {
                key.removeprefix("rabbitmq:"): value
                for key, value in at.secrets.items()
                if "rabbitmq:" in key
            }
            settings |= {
                "RABBITMQ_MANAGEMENT_URL": at.management,
                "RABBITMQ_PASSWORDS": json.dumps(users),
                "AMQP_URL": at.amqp("owner"),
            }
        return settings

    def _run_once(self, at: Addresses, name: str, job: OneShot, argv: Iterable[str]) -> None:
        log = self.state.logs / f"{name}.log"
        settings = self._settings_of_a_command(at, name, job)
        with log.open("wb") as output:
            done = subprocess.run(
                self._command(argv),
                cwd=ROOT,
                env=settings,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=300,
                check=False,
            )
        if done.returncode != 0:
            raise ServiceFailed(name, f"exit code {done.returncode}", log_tail(log))

    def run_in(self, service: str, argv: Sequence[str]) -> int:
        """Runs an operator's command with a service's (or one-shot's) settings; gives its exit code."""
        jobs: dict[str, Process | OneShot] = {BROKER: OneShot(BROKER, "sandbox", ())}
        jobs |= {process.name: process for process in self._processes}
        jobs |= {job.name: job for job in self._migrations}
        if service not in jobs:
            raise SystemExit(f"no service {service} here; one of: {', '.join(sorted(jobs))}")
        settings = self._settings_of_a_command(self.addresses(), service, jobs[service])
        return subprocess.run(self._command(argv), cwd=ROOT, env=settings, check=False).returncode

    # --- the rest ------------------------------------------------------------------------------------------

    def down(self) -> None:
        """Stops everything and keeps the data: ours first, while the servers they finish their work with run.

        supervisord alone would go through the list one by one, a second each, servers in between.
        """
        running = {name for name, _, _ in self.ps()}
        self.supervisor.stop(running.difference(SERVERS))
        self.supervisor.stop(running.intersection(SERVERS))
        self.supervisor.shutdown()

    def reset(self) -> None:
        """Stops everything and forgets it: data, secrets, ports, logs."""
        self.down()
        remove_tree(self.state.data_path)
        remove_tree(self.state.directory)

    def ps(self) -> list[tuple[str, str, str]]:
        """(name, state, detail) of every process; empty when nothing runs."""
        if not self.supervisor.is_running():
            return []
        return [(info.name, info.state, info.description) for info in self.supervisor.processes()]

    def log_files(self, service: str | None) -> list[Path]:
        """The logs of one service, or all."""
        files = sorted(self.state.logs.glob(f"{service}*.log" if service else "*.log"))
        access = self.state.data_path / "gateway" / "access.log"
        return [*files, access] if service == "gateway" and access.exists() else files


def _shell_quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"
