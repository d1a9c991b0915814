"""Private Postgres, Redis and RabbitMQ servers from installed packages, for the local stack and the tests."""

from __future__ import annotations

import base64
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.ports import LOOPBACK, accepts
from deploy.local.programs import Program, own_directory, own_file, run_once, start_time
from deploy.redis.users import acl_lines

RABBITMQ_HOME = Path("/usr/lib/rabbitmq/bin")


def postgres_binaries() -> Path:
    """The bin folder of the newest Postgres installed from packages."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda path: int(re.sub(r"\D", "", path.parent.name) or 0),
    )
    if not found:
        raise SystemExit("no Postgres in /usr/lib/postgresql; install the package postgresql")
    return found[-1]


def wait_until(check: Callable[[], bool], what: str, log: Path, patience_seconds: float = 60) -> None:
    """Waits for ``check``; raises RuntimeError that names the server and shows the end of its log."""
    deadline = time.monotonic() + patience_seconds
    while not check():
        if time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-3000:] if log.exists() else "(no log)"
            raise RuntimeError(f"{what} did not become ready in {patience_seconds:.0f} s:\n{tail}")
        time.sleep(0.1)


@dataclass(frozen=True)
class PostgresServer:
    """One server with superuser ``postgres``. ``durable=False`` (tests) trades safety for speed."""

    directory: Path
    port: int
    password: str
    durable: bool = True
    account: str = "postgres"

    @property
    def data(self) -> Path:
        return self.directory / "data"

    def url(self, database: str = "postgres", role: str = "postgres", password: str | None = None) -> str:
        """``postgresql://role:password@127.0.0.1:port/database``."""
        return f"postgresql://{role}:{password or self.password}@{LOOPBACK}:{self.port}/{database}"

    def prepare(self) -> None:
        """Makes the cluster on the first call. One cut short is made again: data moves in place last."""
        own_directory(self.directory, self.account)
        if (self.data / "PG_VERSION").exists():
            self._forget_dead_postmaster()
            return
        fresh = self.directory / "data.new"
        password_file = own_file(self.directory / "superuser-password", self.password, self.account)
        script = f'rm -rf "{fresh}" && "$0" "$@" && mv "{fresh}" "{self.data}"'
        initdb = (str(postgres_binaries() / "initdb"), "-D", str(fresh), "--username=postgres", "-E", "UTF8")
        options = ("--locale=C.UTF-8", "--auth=scram-sha-256", f"--pwfile={password_file}", "--no-sync")
        run_once(self._as_account("initdb", ("sh", "-c", script, *initdb, *options)))
        password_file.unlink()

    def _forget_dead_postmaster(self) -> None:
        """Removes the lock of a killed server whose id a zombie holds: Postgres would think it alive."""
        lock = self.data / "postmaster.pid"
        if lock.exists() and start_time(int(lock.read_text().split("\n", 1)[0])) is None:
            lock.unlink()

    def program(self) -> Program:
        """The server process; SIGINT is Postgres' fast shutdown."""
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "128MB",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if not self.durable:
            settings |= {
                "fsync": "off",
                "synchronous_commit": "off",
                "full_page_writes": "off",
                "autovacuum": "off",
            }
            settings |= {
                "max_connections": "400",
                "max_wal_size": "256MB",
                "wal_level": "minimal",
                "max_wal_senders": "0",
            }
        flags = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        argv = (str(postgres_binaries() / "postgres"), "-D", str(self.data), *flags)
        return self._as_account("postgres", argv, stop_signal=signal.SIGINT)

    def _as_account(
        self, name: str, argv: tuple[str, ...], stop_signal: signal.Signals = signal.SIGTERM
    ) -> Program:
        return Program(name, argv, self.directory, {}, self.account, stop_signal)

    def is_ready(self) -> bool:
        ask = [str(postgres_binaries() / "pg_isready"), "-q", "-h", LOOPBACK, "-p", str(self.port), "-t", "2"]
        return subprocess.run(ask, check=False).returncode == 0

    def sql(self, text: str, database: str = "postgres", variables: dict[str, str] | None = None) -> str:
        """Runs SQL as superuser through psql (psql variables allowed); returns unaligned rows."""
        definitions = "".join(f"\\set {key} '{_quoted(value)}'\n" for key, value in (variables or {}).items())
        psql = (str(postgres_binaries() / "psql"), "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-f", "-")
        environment = {
            "PGHOST": LOOPBACK,
            "PGPORT": str(self.port),
            "PGUSER": "postgres",
            "PGDATABASE": database,
        }
        environment["PGPASSWORD"] = self.password
        program = Program("psql", psql, Path("/"), environment)
        return run_once(program, text_input=definitions + text).strip()


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


@dataclass(frozen=True)
class RedisServer:
    """One server, ``noeviction``; append-only file when durable. ``password`` is the default user's.

    ``users`` has the password of every user of ``deploy/redis/users.acl``.
    """

    directory: Path
    port: int
    password: str
    users: Mapping[str, str]
    durable: bool = True
    account: str = "redis"

    def url(self, database: int = 0, user: str = "") -> str:
        password = self.users[user] if user else self.password
        return f"redis://{user}:{password}@{LOOPBACK}:{self.port}/{database}"

    def prepare(self) -> None:
        own_directory(self.directory, self.account)
        lines = [
            f"bind {LOOPBACK}",
            f"port {self.port}",
            f"requirepass {self.password}",
            f"dir {self.directory}",
            "databases 256",
            "maxmemory-policy noeviction",
            "daemonize no",
            'save ""',
            f"appendonly {'yes' if self.durable else 'no'}",
            *acl_lines(self.users),
        ]
        own_file(self.directory / "redis.conf", "\n".join(lines) + "\n", self.account)

    def program(self) -> Program:
        argv = ("redis-server", str(self.directory / "redis.conf"))
        return Program("redis", argv, self.directory, {}, self.account)

    def is_ready(self) -> bool:
        ask = ["redis-cli", "-h", LOOPBACK, "-p", str(self.port), "--no-auth-warning", "ping"]
        done = subprocess.run(
            ask,
            env={"PATH": "/usr/bin:/bin", "REDISCLI_AUTH": self.password},
            capture_output=True,
            check=False,
        )
        return b"PONG" in done.stdout


@dataclass(frozen=True)
class RabbitServer:
    """One RabbitMQ node with the management plugin; nothing is shared with any other node of the machine.

    ``epmd_program`` has to run first: the node would otherwise start a port mapper that outlives it.
    """

    directory: Path
    port: int
    management_port: int
    epmd_port: int
    distribution_port: int
    cookie: str
    user: str
    password: str
    durable: bool = True
    account: str = "rabbitmq"

    def url(self, user: str | None = None, password: str | None = None, vhost: str = "/") -> str:
        path = "/" if vhost == "/" else f"/{vhost}"
        credentials = f"{user or self.user}:{password or self.password}"
        return f"amqp://{credentials}@{LOOPBACK}:{self.port}{path}"

    @property
    def management_url(self) -> str:
        """``http://user:password@127.0.0.1:port`` of the management API."""
        return f"http://{self.user}:{self.password}@{LOOPBACK}:{self.management_port}"

    @property
    def log(self) -> Path:
        return self.directory / "log"

    def prepare(self) -> None:
        own_directory(self.directory, self.account)
        for name in ("mnesia", "log", "conf.d"):
            own_directory(self.directory / name, self.account)
        own_file(self.directory / ".erlang.cookie", self.cookie, self.account, 0o400)
        own_file(self.directory / "enabled_plugins", "[rabbitmq_management].\n", self.account)
        own_file(self.directory / "env.conf", "# everything is set by the environment\n", self.account)
        lines = [
            f"listeners.tcp.1 = {LOOPBACK}:{self.port}",
            f"management.tcp.ip = {LOOPBACK}",
            f"management.tcp.port = {self.management_port}",
            f"default_user = {self.user}",
            f"default_pass = {self.password}",
            "disk_free_limit.absolute = 100MB",
            "vm_memory_high_watermark.absolute = 1GB",
            "log.console = true",
            "log.console.level = info" if self.durable else "log.console.level = warning",
            "log.file = false",
            "collect_statistics_interval = 5000" if self.durable else "collect_statistics_interval = 1000",
        ]
        if not self.durable:
            lines.append("raft.wal_max_size_bytes = 16777216")
        own_file(self.directory / "rabbitmq.conf", "\n".join(lines) + "\n", self.account)

    @property
    def environment(self) -> dict[str, str]:
        """The node's environment; ``rabbitmqctl`` needs the same."""
        return {
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "RABBITMQ_NODENAME": f"cinema{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self.distribution_port),
            "RABBITMQ_MNESIA_BASE": str(self.directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.log),
            "RABBITMQ_CONFIG_FILE": str(self.directory / "rabbitmq.conf"),
            "RABBITMQ_CONFIG_FILES": str(self.directory / "conf.d"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.directory / "advanced.config"),
            "RABBITMQ_CONF_ENV_FILE": str(self.directory / "env.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "enabled_plugins"),
            "RABBITMQ_PID_FILE": str(self.directory / "pid"),
            # idle schedulers sleep instead of spinning, and peers can reach the node over loopback only
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none"
            " -kernel inet_dist_use_interface {127,0,0,1}",
            "RUNNING_UNDER_SYSTEMD": "true",  # the start script then becomes the node, one process to watch
        }

    def epmd_program(self) -> Program:
        argv = ("epmd", "-port", str(self.epmd_port), "-address", LOOPBACK, "-relaxed_command_check")
        return Program("epmd", argv, self.directory, {}, self.account)

    def program(self) -> Program:
        argv = (str(RABBITMQ_HOME / "rabbitmq-server"),)
        return Program("rabbitmq", argv, self.directory, self.environment, self.account, stop_seconds=30)

    def is_ready(self) -> bool:
        if not accepts(self.port):
            return False
        request = urllib.request.Request(f"http://{LOOPBACK}:{self.management_port}/api/overview")
        token = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
        try:
            with urllib.request.urlopen(request, timeout=2) as answer:
                return int(answer.status) == 200
        except (urllib.error.URLError, OSError):
            return False
