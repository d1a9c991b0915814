"""Fixtures of the billing tests: a migrated database, Django set up on it, a moment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest

from tests import emptying, servers
from tests.servers import DatabaseUrls

MIGRATE = ["python", "-m", "billing_api.manage", "migrate", "--skip-checks"]


@cache
def set_up_billing() -> DatabaseUrls:
    """Once a process, whoever asks first: Django is set up on one database for good."""
    urls = servers.create_database("billing", migrate=MIGRATE)
    os.environ |= {"APP_ENV": "test", "DATABASE_URL": urls.service}
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billing_api.config.settings")
    import django
    from django.apps import apps

    if not apps.ready:
        django.setup()
    return urls


@pytest.fixture(scope="session")
def billing_database() -> DatabaseUrls:
    """The worker's migrated billing database; Django of this process works in it as ``billing_api``."""
    return set_up_billing()


@pytest.fixture
def billing(billing_database: DatabaseUrls) -> Iterator[DatabaseUrls]:
    """A billing database with empty tables (the owner empties them: the guards bind every other role)."""
    import psycopg2
    from django.db import connections

    yield billing_database
    connections["billing"].close()
    with psycopg2.connect(billing_database.superuser) as owner, owner.cursor() as cursor:
        cursor.execute(emptying.statement("django_migrations"))
    owner.close()


@pytest.fixture
def superuser(billing: DatabaseUrls) -> Iterator[Any]:
    """A cursor beyond every guard, for breaking data on purpose."""
    import psycopg2

    connection = psycopg2.connect(billing.superuser)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        yield cursor
    connection.close()


@pytest.fixture
def now() -> datetime:
    """15 Mar 2026, 12:00 in Moscow."""
    return datetime(2026, 3, 15, 9, 0, tzinfo=UTC)
