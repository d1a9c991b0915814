"""The world of the access figures: real servers, users with rights, UserAPI in its own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg

from shared import keys
from shared.clock import SystemClock
from shared.ids import new_id
from tests import servers
from tests.servers import DatabaseUrls
from user_api.user_service.access_tokens import AccessTokens

USERS = 2000
GRANTED, REFUSED = "feature:uhd", "feature:hd"
OPERATOR = "bench-operator-credential"
MIGRATE = ["alembic", "-c", "user_api/alembic.ini", "upgrade", "head"]


@dataclass
class World:
    """Ports and people; ``tokens`` and ``users`` go together."""

    database: DatabaseUrls
    keys_dir: Path
    users: list[UUID]
    tokens: list[str]
    redis_url: str


async def prepare(folder: Path) -> World:
    """A migrated Users database with ``USERS`` people who all have ``GRANTED`` and nobody ``REFUSED``."""
    database = servers.create_database("users", migrate=MIGRATE)
    keys_dir = folder / "keys"
    keys.create(keys_dir)
    issuer = AccessTokens(keys_dir, SystemClock())
    users = [new_id() for _ in range(USERS)]
    now = datetime.now(UTC)
    connection = await asyncpg.connect(database.owner)
    await connection.executemany(
        "INSERT INTO users (id, email, email_normalized, password_hash, locale, time_zone, status,"
        " token_epoch, password_changed_at, created_at, updated_at)"
        " VALUES ($1, $2, $2, '-', 'ru', 'Europe/Moscow', 'active', 1, $3, $3, $3)",
        [(user, f"{user}@example.com", now) for user in users],
    )
    rights = [
        (user, f"subscription:{new_id()}", resource, now + timedelta(days=30), now)
        for user in users
        for resource in (GRANTED, "collection:basic", "collection:premium")
    ]
    await connection.copy_records_to_table("access_rights", records=rights)
    await connection.copy_records_to_table("access_versions", records=[(user, 1, now) for user in users])
    await connection.execute("INSERT INTO catalog_version (id, version) VALUES (1, 1)")
    await connection.execute("ANALYZE")
    await connection.close()
    tokens = [issuer.issue(user, new_id(), 1) for user in users]
    return World(database, keys_dir, users, tokens, servers.redis_database())


@dataclass(frozen=True)
class Server:
    """A process that serves on a port."""

    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """What the process has used so far: steadier than the wall clock on a machine that others use."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def environment(world: World, redis_url: str) -> dict[str, str]:
    return os.environ | {
        "APP_ENV": "test",
        "LOG_LEVEL": "INFO",
        "DATABASE_URL": world.database.service,
        "CACHE_REDIS_URL": redis_url,
        "SESSION_REDIS_URL": world.redis_url,
        "CLOCK_REDIS_URL": world.redis_url,
        "JWT_KEYS_DIR": str(world.keys_dir),
        "ACCEPTED_CREDENTIALS": json.dumps({"operator": [OPERATOR]}),
    }


@contextmanager
def served(factory: str, variables: dict[str, str], ready_path: str) -> Iterator[Server]:
    """The app under uvicorn with one worker, started as in production."""
    port = servers.free_port()
    listen = ["--host", "127.0.0.1", "--port", str(port), "--no-access-log"]
    command = [sys.executable, "-m", "uvicorn", "--factory", factory, *listen]
    log = servers.run_directory() / f"bench-{port}.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=servers.ROOT, env=variables, stdout=output, stderr=output)
    try:
        _wait(f"http://127.0.0.1:{port}{ready_path}", process, log)
        yield Server(port, process.pid)
    finally:
        process.terminate()
        process.wait(15)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"{url} does not answer:\n{log.read_text()[-2000:]}")
