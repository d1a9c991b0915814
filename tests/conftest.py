"""Fixtures every test may use: the run's real servers (see tests/servers.py), a share per worker."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.local.stack import LocalStack
from deploy.progress import Progress, ServiceFailed
from deploy.stack import wait_for_catalogue
from tests import servers
from tests.servers import Broker, DatabaseUrls, PostgresServer

_RUN = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """The controller opens the run; workers find it in their environment."""
    if not hasattr(config, "workerinput") and servers.RUN_VARIABLE not in os.environ:
        config.stash[_RUN] = servers.open_run()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Runs after the last worker has ended."""
    if (run := config.stash.get(_RUN, None)) is not None:
        servers.close_run(run)


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
def running_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """The whole local stack with the real services, dropped at the end; for tests marked e2e.

    It has ports and data of its own and runs this checkout's code. They run one after another (`make test`).
    """
    root = tmp_path_factory.mktemp("stack")
    servers.give_ports(root)
    stack = LocalStack(root)
    try:
        try:
            stack.up(Progress())
            wait_for_catalogue(stack, Progress())
        except ServiceFailed as failure:
            pytest.fail(f"{failure.name} failed: {failure.what}\n{failure.log}", pytrace=False)
        yield stack
    finally:
        stack.reset()
