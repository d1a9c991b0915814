"""The table of processes: what each runs and where it listens, for both kinds of stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SHARED_MEMORY = "/dev/shm"  # noqa: S108 - gunicorn's heartbeat files, which must not wait for a disk
# Longer than our own clients keep a quiet connection (httpx: 5 seconds): no request shall go into one that
# the server is just closing. The defaults (uvicorn 5, gunicorn 2) meet them halfway.
KEEP_ALIVE_SECONDS = 30
Group = Literal["user", "pay", "sandbox", "billing", "admin", "scheduler"]


@dataclass(frozen=True)
class Process:
    """A long-running process; its name is the compose service's and the local process's."""

    name: str
    group: Group
    argv: tuple[str, ...]  # {port} is filled in; the first word is a program of the virtual environment
    serves: bool  # True: an HTTP API on a published port; False: a worker with a health port
    # True: its several workers put their metrics together in PROMETHEUS_MULTIPROC_DIR, emptied at each start
    shares_metrics: bool = False

    def command(self, port: int, address: str = "127.0.0.1") -> list[str]:
        """The command line with the port and address filled in."""
        return [part.format(port=port, address=address) for part in self.argv]


@dataclass(frozen=True)
class OneShot:
    """A command that prepares the stack, ends, and may be repeated at any time."""

    name: str
    group: Group
    argv: tuple[str, ...]
    migrates: bool = False  # works as the owner of its group's databases, whom no other process knows


def _uvicorn(factory: str, longest_answer_seconds: int) -> tuple[str, ...]:
    stop = ("--timeout-graceful-shutdown", str(longest_answer_seconds))
    listen = ("--host", "{address}", "--port", "{port}", *stop)
    quiet = ("--timeout-keep-alive", str(KEEP_ALIVE_SECONDS), "--no-access-log")
    return ("uvicorn", "--factory", factory, *listen, *quiet)


def _gunicorn(application: str) -> tuple[str, ...]:
    size = (
        "--worker-class",
        "gthread",
        "--workers",
        "2",
        "--threads",
        "4",
        "--worker-tmp-dir",
        SHARED_MEMORY,
    )
    return (
        "gunicorn",
        application,
        "--bind",
        "{address}:{port}",
        *size,
        "--graceful-timeout",
        "15",
        "--keep-alive",
        str(KEEP_ALIVE_SECONDS),
        "--no-control-socket",
    )


def _worker(module: str) -> tuple[str, ...]:
    return ("python", "-m", module)


PROCESSES: tuple[Process, ...] = (
    Process("cloudpayments-sandbox", "sandbox", _uvicorn("pay_api.sandbox.main:create_app", 10), True),
    Process("user-api", "user", _uvicorn("user_api.main:create_app", 30), True),
    Process("pay-api", "pay", _uvicorn("pay_api.main:create_app", 26), True),
    Process(
        "billing-api",
        "billing",
        _gunicorn("billing_api.config.wsgi:application"),
        True,
        shares_metrics=True,
    ),
    Process("admin-panel", "admin", _gunicorn("admin_panel.config.wsgi:application"), True),
    Process("user-worker", "user", _worker("user_api.worker"), False),
    Process("pay-worker", "pay", _worker("pay_api.worker"), False),
    Process("billing-worker", "billing", _worker("billing_api.worker"), False),
    Process("admin-worker", "admin", _worker("admin_panel.worker"), False),
    Process(
        "scheduler-beat",
        "scheduler",
        ("celery", "-A", "scheduler.app", "beat", "-S", "redbeat.RedBeatScheduler"),
        False,
    ),
    Process(
        "scheduler-worker",
        "scheduler",
        (
            "celery",
            "-A",
            "scheduler.app",
            "worker",
            "--concurrency",
            "2",
            "--without-gossip",
            "--without-mingle",
        ),
        False,
    ),
)

# in this order; the catalogue follows once the services run
MIGRATIONS: tuple[OneShot, ...] = (
    OneShot("keys", "user", ("python", "-m", "shared.keys")),
    OneShot("users-migrate", "user", ("alembic", "-c", "user_api/alembic.ini", "upgrade", "head"), True),
    OneShot("pay-migrate", "pay", ("alembic", "-c", "pay_api/alembic.ini", "upgrade", "head"), True),
    OneShot("billing-migrate", "billing", ("python", "-m", "billing_api.manage", "migrate"), True),
    OneShot("admin-migrate", "admin", ("python", "-m", "admin_panel.manage", "migrate_all"), True),
)
BROKER_USERS = ("python", "-m", "deploy.rabbitmq.users")
BROKER_TOPOLOGY = ("python", "-m", "shared.queue", "declare")
CATALOGUE = OneShot("catalog-seed", "admin", ("python", "-m", "admin_panel.manage", "seed_catalog"))

# ports preferred on the host; occupied ones are stepped around
PUBLISHED_PORTS: dict[str, int] = {
    "gateway": 8080,
    "user-api": 8001,
    "pay-api": 8002,
    "billing-api": 8003,
    "admin-panel": 8004,
    "cloudpayments-sandbox": 8005,
    "rabbitmq": 5672,
    "rabbitmq-management": 15672,
}
LOCAL_PORTS: dict[str, int] = PUBLISHED_PORTS | {
    "postgres": 15432,
    "redis": 16379,
    "epmd": 14369,
    "rabbitmq-distribution": 25680,
    "user-worker": 9101,
    "pay-worker": 9102,
    "billing-worker": 9103,
    "admin-worker": 9104,
    "scheduler-beat": 9105,
    "scheduler-worker": 9106,
}
