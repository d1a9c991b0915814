"""Fixtures every test may use: the run's real servers (see tests/servers.py), a share per worker."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from httpx._transports import default as httpx_transport

from deploy.local.stack import LocalStack
from deploy.progress import Progress, ServiceFailed
from deploy.stack import wait_for_catalogue
from shared.queue import outbox
from tests import asyncapi_schemas, servers
from tests.servers import Broker, DatabaseUrls, PostgresServer
from tests.shared.operators.running import Collector

_RUN = pytest.StashKey[Path]()
_TESTS = Path(__file__).parent
# xdist gives a worker a stretch of the list, at the end a short one: long tests go first, short ones last
_FIRST = ("admin_panel", "deploy")
_LAST = ("user_api/accounts",)


def pytest_configure(config: pytest.Config) -> None:
    """The controller opens the run; workers find it in their environment.

    A client of httpx reads all certificates of the machine when it is made, 40 ms: here once a process.
    """
    httpx_transport.create_ssl_context = functools.cache(httpx_transport.create_ssl_context)
    if not hasattr(config, "workerinput") and servers.RUN_VARIABLE not in os.environ:
        config.stash[_RUN] = servers.open_run()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Runs after the last worker has ended."""
    if (run := config.stash.get(_RUN, None)) is not None:
        servers.close_run(run)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps a folder together, in the order chance gave: one worker, not each, makes what its tests share."""
    places: dict[str, int] = {}

    def place(item: pytest.Item) -> tuple[int, int]:
        folder = item.path.parent.relative_to(_TESTS).as_posix()
        chance = places.setdefault(folder, len(places))
        if folder in _FIRST:
            return -1, _FIRST.index(folder)
        return int(folder in _LAST), chance

    items.sort(key=place)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Shows what the tests measured, whichever worker ran them."""
    reports = [report for found in terminalreporter.stats.values() for report in found]
    told = [
        text
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, text in report.user_properties
        if name == "figure"
    ]
    if told:
        terminalreporter.section("figures")
        terminalreporter.write_line("\n".join(sorted(told)))


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """``figure("10,000 rows in 9 s")``: what a test measured, shown at the end of the run."""
    return lambda text: record_property("figure", text)


@pytest.fixture(scope="session")
def postgres_server() -> PostgresServer:
    """The run's Postgres (superuser)."""
    return servers.postgres_server()


@pytest.fixture(scope="session")
def create_database() -> Callable[..., DatabaseUrls]:
    """``create_database("users", migrate=["alembic", ...])``: a fresh database with its roles."""
    return servers.create_database


@pytest.fixture(scope="session")
def redis_url() -> str:
    """A logical Redis database of this worker's own."""
    return servers.redis_database()


@pytest.fixture(scope="session")
def new_redis_url() -> Callable[[], str]:
    """Gives further empty logical Redis databases."""
    return servers.redis_database


@pytest.fixture(scope="session")
def broker() -> Broker:
    """A vhost of this worker's own."""
    return servers.amqp_vhost()


@pytest.fixture(scope="session")
def new_broker() -> Callable[[], Broker]:
    """Gives further fresh vhosts."""
    return servers.amqp_vhost


@pytest.fixture(scope="session")
def amqp_url(broker: Broker) -> str:
    """AMQP address of this worker's vhost."""
    return broker.amqp_url


@pytest.fixture(scope="session")
def management_url(broker: Broker) -> str:
    """Address of the management API, with the owner's credentials in it."""
    return broker.management_url


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """Collects the traces of the running stack."""
    made = Collector()
    yield made
    made.close()


@pytest.fixture(scope="session")
def running_stack(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[LocalStack]:
    """The whole local stack with the real services, dropped at the end; for tests marked e2e.

    It has ports and data of its own, runs this checkout's code and sends its traces to ``collector``. The
    tests run one after another (`make test`).
    """
    root = tmp_path_factory.mktemp("stack")
    servers.give_ports(root)
    stack = LocalStack(root)
    try:
        try:
            with pytest.MonkeyPatch.context() as environment:
                environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
                stack.up(Progress())
            wait_for_catalogue(stack, Progress())
        except ServiceFailed as failure:
            pytest.fail(f"{failure.name} failed: {failure.what}\n{failure.log}", pytrace=False)
        yield stack
        for url in stack.urls()["databases"].values():  # type: ignore[attr-defined]
            for event in _written_events(url):
                asyncapi_schemas.check(event)
    finally:
        stack.reset()


def _written_events(url: str) -> list[dict[str, Any]]:
    """Every event in the outbox of a database, if it has one."""
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('outbox') IS NOT NULL")
        if not cursor.fetchone()[0]:
            return []
        cursor.execute("SELECT envelope FROM outbox")
        return [row[0] for row in cursor.fetchall()]


@pytest.fixture(autouse=True)
def _every_event_is_as_documented(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test writes into an outbox, in its own process, must agree with docs/asyncapi.json."""
    build, wrong = outbox.build_envelope, []

    def checked(*arguments: Any, **named: Any) -> Any:
        envelope = build(*arguments, **named)
        try:
            asyncapi_schemas.check(envelope.to_json())
        except AssertionError as error:
            wrong.append(str(error))
        return envelope

    monkeypatch.setattr(outbox, "build_envelope", checked)
    yield
    assert not wrong, "\n".join(wrong)
