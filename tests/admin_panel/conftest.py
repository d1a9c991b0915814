"""AdminPanel as it runs: a gunicorn process on five aliases of real databases, a client per staff group.

Other tests of the same run set Django up for BillingAPI, so nothing here imports AdminPanel's Django: pages
are asked over HTTP, and code that needs its Django runs in a process of its own (``panel.inside``).
"""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest

from deploy.local.ports import free_port
from deploy.processes import KEEP_ALIVE_SECONDS
from tests.servers import DatabaseUrls

ROOT = Path(__file__).resolve().parents[2]
BILLING_MIGRATE = ["python", "-m", "billing_api.manage", "migrate", "--skip-checks"]
USERS_MIGRATE = ["alembic", "-c", "user_api/alembic.ini", "upgrade", "head"]
BILLING = "/admin/billing_service"
TOKENS = {"idempotency_key"}  # the tokens of forms


@dataclass(frozen=True)
class Panel:
    """Addresses, environment and the ids of the world."""

    url: str
    environment: dict[str, str]
    databases: dict[str, DatabaseUrls]
    world: dict[str, str]
    start: Callable[..., str]

    def manage(self, *arguments: str, **extra: str) -> str:
        return run(self.environment | extra, "-m", "admin_panel.manage", *arguments)

    def inside(self, function: str, **extra: str) -> Any:
        """The JSON that a function of ``tests.admin_panel.inside`` gives in AdminPanel's Django."""
        said = run(self.environment | extra, "-m", "tests.admin_panel.inside", function)
        return json.loads(said.splitlines()[-1])  # the service's log stands before it

    def rows(self, database: str, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        connection = psycopg2.connect(self.databases[database].superuser)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(sql, values)
                return cursor.fetchall()
        finally:
            connection.close()

    def counts(self) -> dict[str, int]:
        """How many rows every billing table has, the tokens of forms left out."""
        names = self.rows("billing", "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        counted = [f"(SELECT count(*) FROM {name}) AS {name}" for (name,) in names if name not in TOKENS]
        ((counts,),) = self.rows("billing", f"SELECT to_json(row) FROM (SELECT {', '.join(counted)}) row")
        return dict(counts)


def run(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (arguments, (done.stdout + done.stderr)[-3000:])
    return done.stdout


@pytest.fixture(scope="session")
def panel(
    create_database: Callable[..., DatabaseUrls], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Panel]:
    """The migrated, seeded panel with one customer's story in Billing."""
    databases = {
        "billing": create_database("billing", migrate=BILLING_MIGRATE),
        "users": create_database("users", migrate=USERS_MIGRATE),
        "movies": create_database("movies"),
        "admin": create_database("admin"),
    }
    environment = {**os.environ, "APP_ENV": "test", "DJANGO_SETTINGS_MODULE": "admin_panel.config.settings"}
    for urls in databases.values():
        named = urls.environment()
        environment |= {k: v for k, v in named.items() if k not in ("DATABASE_URL", "MIGRATION_DATABASE_URL")}
    environment["USERS_SERVICE_URL"] = databases["users"].service
    environment.pop("CLOCK_REDIS_URL", None)
    run(environment, "-m", "admin_panel.manage", "migrate_all", "-v", "0")
    run(environment, "-m", "admin_panel.manage", "seed_catalog", "--without-promo-code")
    world = json.loads(run(environment, "-m", "tests.admin_panel.world"))
    logs = tmp_path_factory.mktemp("admin")
    running: list[subprocess.Popen[bytes]] = []

    @functools.cache
    def start(**extra: str) -> str:
        """The address of a panel with these settings, too; started when first asked for."""
        port = free_port([])
        url = f"http://127.0.0.1:{port}"
        log = (logs / f"{port}.log").open("wb")
        command = [sys.executable, "-m", "gunicorn", "admin_panel.config.wsgi:application"]
        command += ["--bind", f"127.0.0.1:{port}", "--worker-class", "gthread", "--threads", "4"]
        command += ["--keep-alive", str(KEEP_ALIVE_SECONDS)]
        values = environment | {"PUBLIC_URL": url} | extra
        running.append(subprocess.Popen(command, cwd=ROOT, env=values, stdout=log, stderr=log))
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{url}/healthz", trust_env=False).status_code == 200:
                    return url
            except httpx.HTTPError:
                time.sleep(0.2)
        raise AssertionError((logs / f"{port}.log").read_text()[-3000:])

    try:
        yield Panel(start(), environment, databases, world, start)
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(timeout=20)


class StaffClient:
    """A browser of one member of staff, without scripts."""

    def __init__(self, url: str, language: str = "en") -> None:
        self.url = url
        self.http = httpx.Client(
            base_url=url,
            trust_env=False,
            timeout=30,
            follow_redirects=True,
            headers={"Accept-Language": language},
        )

    def log_in(self, name: str, password: str | None = None) -> httpx.Response:
        page = self.http.get("/admin/account/login/")
        return self.post(page, {"login": name, "password": password or f"dev-{name}-password"})

    def get(self, path: str) -> httpx.Response:
        return self.http.get(path)

    def post(self, page: httpx.Response, values: dict[str, str]) -> httpx.Response:
        """Sends values to the page's own address, with its CSRF token."""
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        data = {"csrfmiddlewaretoken": token[1] if token else "", **values}
        return self.http.post(
            str(page.url), data=data, headers={"Origin": self.url, "Referer": str(page.url)}
        )

    def act(self, path: str, values: dict[str, str]) -> tuple[httpx.Response, dict[str, str]]:
        """Opens an action's form and asks for the preview; gives it with what was sent."""
        page = self.get(path)
        found = re.search(r'name="token" value="([^"]+)"', page.text)
        assert found, (page.status_code, page.text[:500])
        sent = values | {"token": found[1]}
        return self.post(page, sent), sent


@pytest.fixture(scope="session")
def clients(panel: Panel) -> Callable[..., StaffClient]:
    """``clients("finance")``: logged in, one per group and language."""
    known: dict[tuple[str, str], StaffClient] = {}

    def client(group: str, language: str = "en") -> StaffClient:
        if (group, language) not in known:
            known[group, language] = StaffClient(panel.url, language)
            assert known[group, language].log_in(group).url.path == "/admin/"
        return known[group, language]

    return client
