"""The test servers themselves: private, shared by workers, with the roles' rights in force."""

from __future__ import annotations

import json
import urllib.request

import asyncpg
import pytest
import redis

from tests import servers
from tests.servers import Broker

MIGRATE = "CREATE TABLE thing (id int PRIMARY KEY); INSERT INTO thing VALUES (1)"


async def run_sql(url: str, sql: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(sql)
    finally:
        await connection.close()


def as_owner(made: servers.DatabaseUrls) -> None:
    """Migrates as the owner does."""
    servers.postgres_server().sql(f"SET ROLE users_owner; {MIGRATE}", made.name)


async def test_databases_are_copies_of_a_template_migrated_once_and_apart() -> None:
    migrated: list[str] = []

    def counted(made: servers.DatabaseUrls) -> None:
        migrated.append(made.name)
        as_owner(made)

    first = servers.create_database("users", migrate=counted)
    second = servers.create_database("users", migrate=counted)
    await run_sql(first.service, "INSERT INTO thing VALUES (2)")
    assert [row["id"] for row in await run_sql(second.service, "SELECT id FROM thing")] == [1]
    assert len(migrated) == 1
    assert migrated[0] not in {first.name, second.name}


async def test_roles_may_do_what_they_are_for_and_nothing_else() -> None:
    made = servers.create_database("users", migrate=as_owner)
    other = servers.create_database("pay")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await run_sql(made["users_ro"], "INSERT INTO thing VALUES (3)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await run_sql(made.service, "CREATE TABLE mine (id int)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await run_sql(made.service.replace(made.name, other.name), "SELECT 1")
    assert [row[0] for row in await run_sql(made.service, "SHOW statement_timeout")] == ["10s"]


async def test_commands_role_may_not_delete_in_billing() -> None:
    made = servers.create_database("billing")
    servers.postgres_server().sql(f"SET ROLE billing_owner; {MIGRATE}", made.name)
    await run_sql(made["billing_commands"], "UPDATE thing SET id = 5")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await run_sql(made["billing_commands"], "DELETE FROM thing")


def test_redis_databases_are_apart() -> None:
    one, two = redis.Redis.from_url(servers.redis_database()), redis.Redis.from_url(servers.redis_database())
    one.set("key", "value")
    assert two.get("key") is None


async def test_broker_has_a_vhost_of_its_own_and_a_management_address(broker: Broker) -> None:
    import aio_pika

    connection = await aio_pika.connect(broker.amqp_url)
    channel = await connection.channel()
    await channel.declare_queue("data-bus.test", durable=True, arguments={"x-queue-type": "stream"})
    await connection.close()
    credentials, address = broker.management_url.removeprefix("http://").split("@")
    user, password = credentials.split(":")
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, f"http://{address}/", user, password)
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(passwords))
    with opener.open(f"http://{address}/api/queues/{broker.vhost}") as answer:
        assert [queue["name"] for queue in json.load(answer)] == ["data-bus.test"]
