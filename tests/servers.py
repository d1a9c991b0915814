"""Real Postgres, Redis and RabbitMQ for the tests: one private set per run, started when first asked for.

Functions (importable from anywhere in the tests; fixtures of the same purpose are in ``tests/conftest.py``):

    postgres_server()                       -> PostgresServer (superuser ``.url()``, ``.sql("...")``)
    create_database("users", migrate=[...]) -> DatabaseUrls, a fresh database with its roles:
        urls.owner, urls.service, urls["users_ro"], urls.superuser   postgresql://role:password@127.0.0.1:port/...
        urls.environment()        {"DATABASE_URL": ..., "MIGRATION_DATABASE_URL": ...} as processes read them
      ``migrate`` is a command (argv; ``python`` means this interpreter) or a callable given the DatabaseUrls.
      It runs once per run and service; every later database is a copy (CREATE DATABASE ... TEMPLATE).
      ``environment={...}`` adds settings the command needs, ``variant="x"`` keeps templates apart.
      A Django service migrates one alias per database; the admin panel asks for each of its databases.
    drop_database(urls)                     optional: everything goes when the run ends
    redis_server()                          -> RedisServer
    redis_database()                        -> redis URL of a logical database nobody else has (256 per run)
    rabbit_server()                         -> RabbitServer (owner account is administrator)
    amqp_vhost()                            -> Broker of a fresh vhost: .amqp_url .management_url .vhost
    free_port()                             -> a port nobody listens on

Fixture ``running_stack`` (marker e2e): the whole local stack with the real services, on ports of its own;
``.urls()`` as ``make urls`` prints, ``.operator_tokens()``, ``.state.demo_logins`` the file of staff logins.

Everything listens on 127.0.0.1 only. Under xdist all workers share the set: the first to ask starts a server
under a file lock, and the controller ends them all by process id. The next run cleans up after a killed one.
Missing Debian packages are installed with apt when we are root, else the run ends naming them.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local import databases, packages
from deploy.local.databases import DatabaseUrls
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.programs import (
    Program,
    record,
    recorded,
    remove_tree,
    start_detached,
    start_time,
    stop,
)
from deploy.local.servers import PostgresServer, RabbitServer, RedisServer, wait_until
from deploy.processes import LOCAL_PORTS
from deploy.redis.users import USERS as REDIS_USERS

__all__ = [
    "Broker",
    "DatabaseUrls",
    "amqp_vhost",
    "create_database",
    "drop_database",
    "free_port",
    "give_ports",
    "postgres_server",
    "rabbit_server",
    "redis_database",
    "redis_server",
]

ROOT = Path(__file__).resolve().parents[1]
RUN_VARIABLE = "CINEMA_TEST_SERVERS"  # the run's folder, inherited by xdist workers
PREFIX = "cinema-tests-"
PASSWORD = "test-password"
PASSWORDS: Mapping[str, str] = dict.fromkeys(databases.ROLES, PASSWORD)
Migrate = Sequence[str] | Callable[[DatabaseUrls], None]


def open_run() -> Path:
    """Makes the folder of this run; called once, by the pytest controller (or by whoever runs alone)."""
    clear_abandoned_runs()
    run = Path(tempfile.mkdtemp(prefix=PREFIX))
    run.chmod(0o711)  # the accounts of the servers pass through it to their own folders
    (run / "controller").write_text(json.dumps([os.getpid(), start_time(os.getpid())]))
    os.environ[RUN_VARIABLE] = str(run)
    return run


def close_run(run: Path) -> None:
    """Ends every server of the run and removes its folder."""
    for state in sorted(run.glob("*.pids"), reverse=True):
        for pid in reversed(recorded(state).values()):
            stop(pid, wait_seconds=10)
    remove_tree(run)
    if os.environ.get(RUN_VARIABLE) == str(run):
        del os.environ[RUN_VARIABLE]


def clear_abandoned_runs() -> None:
    """Ends what killed runs left behind: folders of ours whose controller is gone."""
    for run in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if run.is_dir() and run.owner() == Path("/proc/self").owner() and not recorded_controller_lives(run):
            close_run(run)


def recorded_controller_lives(run: Path) -> bool:
    """False only for a run whose controller is known and gone."""
    with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
        pid, born = json.loads((run / "controller").read_text())
        return start_time(pid) == born
    return True  # another run is just being opened


def run_directory() -> Path:
    """The folder of this run."""
    if not (known := os.environ.get(RUN_VARIABLE)):
        raise RuntimeError("tests.servers is used under pytest; elsewhere call open_run() first")
    return Path(known)


@contextlib.contextmanager
def _turn(name: str) -> Iterator[Path]:
    """One process of the run at a time for this name."""
    run = run_directory()
    with (run / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield run


def _number(name: str) -> int:
    """1, 2, 3, ... over all workers."""
    with _turn(f"number-{name}") as run:
        counter = run / f"{name}.count"
        value = int(counter.read_text()) + 1 if counter.exists() else 1
        counter.write_text(str(value))
        return value


def _start(run: Path, name: str, programs: list[Program], ready: Callable[[], bool]) -> None:
    log = run / f"{name}.log"
    pids: dict[str, int] = {}
    for program in programs:
        pids[program.name] = start_detached(program, log)
        record(run / f"{name}.pids", pids)
    wait_until(ready, name, log)


def _ports(run: Path, name: str, count: int) -> tuple[list[int], bool]:
    """(ports, already started) of a server of this run."""
    known = run / f"{name}.ports"
    if known.exists():
        return json.loads(known.read_text()), True
    ports: list[int] = []
    while len(ports) < count:
        ports.append(free_port(ports))
    return ports, False


def postgres_server() -> PostgresServer:
    """The run's Postgres."""
    with _turn("postgres") as run:
        (port,), started = _ports(run, "postgres", 1)
        server = PostgresServer(run / "postgres", port, PASSWORD, durable=False)
        if not started:
            packages.ensure({"postgresql": packages.SERVER_PACKAGES["postgresql"]})
            server.prepare()
            _start(run, "postgres", [server.program()], server.is_ready)
            (run / "postgres.ports").write_text(json.dumps([port]))
        return server


def redis_server() -> RedisServer:
    """The run's Redis."""
    with _turn("redis") as run:
        (port,), started = _ports(run, "redis", 1)
        server = RedisServer(
            run / "redis", port, PASSWORD, dict.fromkeys(REDIS_USERS, PASSWORD), durable=False
        )
        if not started:
            packages.ensure({"redis-server": packages.SERVER_PACKAGES["redis-server"]})
            server.prepare()
            _start(run, "redis", [server.program()], server.is_ready)
            (run / "redis.ports").write_text(json.dumps([port]))
        return server


def rabbit_server() -> RabbitServer:
    """The run's RabbitMQ, management plugin included."""
    with _turn("rabbitmq") as run:
        ports, started = _ports(run, "rabbitmq", 4)
        server = RabbitServer(run / "rabbitmq", *ports, "test-cookie", "owner", PASSWORD, durable=False)
        if not started:
            packages.ensure({"rabbitmq-server": packages.SERVER_PACKAGES["rabbitmq-server"]})
            server.prepare()
            _start(run, "rabbitmq", [server.epmd_program(), server.program()], server.is_ready)
            (run / "rabbitmq.ports").write_text(json.dumps(ports))
        return server


def create_database(
    database: str,
    migrate: Migrate | None = None,
    environment: Mapping[str, str] | None = None,
    variant: str = "",
) -> DatabaseUrls:
    """A fresh database of this service with its roles, migrated when ``migrate`` says how (see above)."""
    server = postgres_server()
    suffix = secrets.token_hex(4)
    name = f"{database}_{suffix}"
    with _turn("databases"):
        if migrate is None:
            return databases.create(server, database, name, PASSWORDS)
    template = _template(server, database, migrate, environment or {}, variant)
    server.sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
    with _turn("databases"):  # rights on the database itself are not copied with a template
        databases.grant_roles(server, database, name, PASSWORDS)
    return databases.urls(server, database, name, PASSWORDS)


def _template(
    server: PostgresServer, database: str, migrate: Migrate, environment: Mapping[str, str], variant: str
) -> str:
    how = getattr(migrate, "__qualname__", None) or json.dumps(list(migrate))  # type: ignore[arg-type]
    key = hashlib.sha256(f"{how}|{sorted(environment)}|{variant}".encode()).hexdigest()[:8]
    name = f"template_{database}_{key}"
    with _turn(name) as run:
        done = run / f"{name}.done"
        if not done.exists():
            with _turn("databases"):
                server.sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
                made = databases.create(server, database, name, PASSWORDS)
            if callable(migrate):
                migrate(made)
            else:
                _run_migration(list(migrate), made, environment)
            end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
            server.sql(end)
            done.touch()
    return name


def _run_migration(command: list[str], made: DatabaseUrls, environment: Mapping[str, str]) -> None:
    if command[0] == "python":
        command[0] = sys.executable
    elif (script := Path(sys.executable).with_name(command[0])).exists():
        command[0] = str(script)
    settings = (
        os.environ | {"APP_ENV": "test", "PYTHONPATH": str(ROOT)} | made.environment() | dict(environment)
    )
    done = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        output = (done.stdout + done.stderr)[-4000:]
        raise RuntimeError(f"migration of {made.database} failed: {' '.join(command)}\n{output}")


def drop_database(made: DatabaseUrls) -> None:
    """Removes a database at once, whoever is still connected."""
    postgres_server().sql(f'DROP DATABASE IF EXISTS "{made.name}" WITH (FORCE)')


def redis_database() -> str:
    """``redis://`` URL of an empty logical database that nobody else in the run uses."""
    server = redis_server()
    number = _number("redis")
    if number > 255:
        raise RuntimeError("all 255 logical Redis databases of this run are given out; share one per module")
    return server.url(number)


@dataclass(frozen=True)
class Broker:
    """One vhost of the run's RabbitMQ; its user has every right in it."""

    amqp_url: str
    management_url: str  # http://user:password@127.0.0.1:port
    vhost: str


def amqp_vhost(name: str | None = None) -> Broker:
    """A fresh vhost; a topology declared in one is not seen in another."""
    server = rabbit_server()
    vhost = name or f"test-{_number('vhost')}"
    _manage(server, "PUT", f"vhosts/{vhost}")
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    _manage(server, "PUT", f"permissions/{vhost}/{server.user}", everything)
    return Broker(server.url(vhost=vhost), server.management_url, vhost)


def _manage(server: RabbitServer, method: str, path: str, body: Mapping[str, object] | None = None) -> None:
    request = urllib.request.Request(
        f"http://{LOOPBACK}:{server.management_port}/api/{path}",
        method=method,
        data=json.dumps(body or {}).encode(),
        headers={
            "Content-Type": "application/json",
            "Authorization": "Basic "
            + base64.b64encode(f"{server.user}:{server.password}".encode()).decode(),
        },
    )
    with urllib.request.urlopen(request, timeout=10):
        pass


def give_ports(root: Path) -> None:
    """Lets a local stack whose state is under ``root`` use free ports, away from a developer's own stack."""
    path = root / ".stack" / "ports.json"
    if not path.exists():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        taken: list[int] = []
        while len(taken) < len(LOCAL_PORTS):
            taken.append(free_port(taken))
        path.write_text(json.dumps(dict(zip(LOCAL_PORTS, taken, strict=True))))
