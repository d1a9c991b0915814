"""Who may do what on the servers of the running containers, each with the credentials its container holds."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import urlsplit, urlunsplit

import aio_pika
import asyncpg
import pytest
import redis
from aio_pika.exceptions import ChannelClosed, ProbableAuthenticationError

from deploy.compose import ComposeStack
from deploy.local.databases import DATABASES
from deploy.processes import PROCESSES
from deploy.rabbitmq.users import PERMISSIONS
from deploy.redis.users import USERS
from shared.queue import broker, topology
from tests.deploy.containers.engine import Container

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]
ROLES = [(database, role) for database, roles in DATABASES.items() for role in roles]
OWNERS = {roles[0] for roles in DATABASES.values()}
LEDGER = ("ledger_transaction", "ledger_entry", "audit_record", "invoice_line", "credit_note_line")


def database_url(running: dict[str, Container], database: str, role: str, at: str | None = None) -> str:
    """A role's address of its own database, or of another, as this machine reaches it."""
    password = running[f"{database}-db"].setting(f"{role.upper()}_PASSWORD")
    owners = ComposeStack().urls()["databases"]
    assert isinstance(owners, dict)
    parts = urlsplit(owners[at or database])
    return urlunsplit(parts._replace(netloc=f"{role}:{password}@{parts.hostname}:{parts.port}"))


async def refused(url: str, *statements: str) -> None:
    """Each statement, on its own, is refused for want of a right."""
    connection = await asyncpg.connect(url)
    try:
        for sql in statements:
            try:
                await connection.execute(sql)
            except asyncpg.InsufficientPrivilegeError:
                continue
            pytest.fail(f"{urlsplit(url).username} may {sql}")
    finally:
        await connection.close()


@pytest.mark.parametrize(("database", "role"), ROLES)
async def test_a_database_role_is_no_more_than_its_name(
    running: dict[str, Container], database: str, role: str
) -> None:
    url, owner = database_url(running, database, role), DATABASES[database][0]
    await refused(url, "CREATE ROLE mighty", "CREATE DATABASE mine", "COPY (SELECT 1) TO PROGRAM 'true'")
    if role != owner:
        await refused(url, "CREATE TABLE mine (x int)", f"SET ROLE {owner}")
    for other in set(DATABASES) - {database}:
        with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)):
            await asyncpg.connect(database_url(running, database, role, at=other))


async def test_the_ledger_is_only_added_to_and_reading_roles_only_read(running: dict[str, Container]) -> None:
    for role in ("billing_api", "billing_commands"):
        url = database_url(running, "billing", role)
        await refused(url, *(f"UPDATE {name} SET id = id" for name in LEDGER))
        await refused(url, *(f"DELETE FROM {name}" for name in (*LEDGER, "invoice", "credit_note")))
    for database, role in (("users", "users_ro"), ("billing", "billing_ro")):
        await refused(
            database_url(running, database, role), "DELETE FROM outbox", "UPDATE outbox SET attempts = 0"
        )
    pay = database_url(running, "pay", "pay_api")
    await refused(pay, "DELETE FROM payment", "UPDATE payment_transition SET payment_id = payment_id")


def test_a_running_process_knows_its_own_accounts_and_no_owner(running: dict[str, Container]) -> None:
    secrets = {
        running[f"{database}-db"].setting(f"{role.upper()}_PASSWORD")
        for database, role in ROLES
        if role in OWNERS
    }
    secrets |= {running["broker-migrate"].setting("AMQP_URL").split(":")[2].split("@")[0]}
    secrets |= {running["redis"].setting("REDIS_PASSWORD") + "@"}
    for process in PROCESSES:
        for setting in running[process.name].facts["Config"]["Env"]:
            assert not [secret for secret in secrets if f":{secret}" in setting], setting.split("=")[0]


@pytest.mark.parametrize("user", USERS)
def test_a_redis_user_does_no_harm(running: dict[str, Container], user: str) -> None:
    parts = urlsplit(str(ComposeStack().urls()["redis"]))
    password = running["redis"].setting(f"REDIS_{user.upper().replace('-', '_')}_PASSWORD")
    with redis.Redis(parts.hostname or "", parts.port or 0, username=user, password=password) as own:
        assert own.ping()
        for command in ("FLUSHALL", "CONFIG GET *", "KEYS *", "SCAN 0", "ACL LIST", "SHUTDOWN NOSAVE"):
            with pytest.raises(redis.exceptions.NoPermissionError):
                own.execute_command(*command.split())
        foreign = "users:rights:1" if user != "user-api" else "redbeat:schedule"
        with pytest.raises(redis.exceptions.NoPermissionError):
            own.get(foreign)
    with redis.Redis(parts.hostname or "", parts.port or 0) as nobody, pytest.raises(redis.RedisError):
        nobody.ping()


def amqp_url(running: dict[str, Container], user: str, password: str | None = None) -> str:
    """A user's address of the broker as this machine reaches it."""
    known = json.loads(running["broker-migrate"].setting("RABBITMQ_PASSWORDS"))
    parts = urlsplit(str(ComposeStack().urls()["amqp"]))
    host = f"{parts.hostname}:{parts.port}"
    return urlunsplit(parts._replace(netloc=f"{user}:{password or known[user]}@{host}"))


async def ignored(_: object) -> None:
    """Takes a message that is never given."""


@pytest.mark.parametrize("user", PERMISSIONS)
async def test_a_broker_user_publishes_reads_and_declares_nothing_of_others(
    running: dict[str, Container], user: str
) -> None:
    owned = {exchange.name for exchange in topology.EXCHANGES if exchange.owner == user}
    # publishing nothing anybody reads: the refusal comes before the routing
    message = aio_pika.Message(b"{}")
    async with broker.connected(amqp_url(running, user), "rights") as connection:
        for exchange in {e.name for e in topology.EXCHANGES} - owned:
            channel = await connection.channel()
            target = await channel.get_exchange(exchange, ensure=False)
            with pytest.raises(ChannelClosed, match="ACCESS_REFUSED"):
                await target.publish(message, "nothing.at.all", mandatory=False)
        for queue in topology.QUEUES:
            names = [queue.dead_letter_queue, *([queue.name] if queue.consumer != user else [])]
            for name in names:
                channel = await connection.channel()
                await channel.set_qos(prefetch_count=1)
                source = await channel.get_queue(name, ensure=False)
                with pytest.raises(ChannelClosed, match="ACCESS_REFUSED"):
                    await source.consume(ignored)
        for name in (topology.QUEUES[0].name, topology.STREAMS[0].name):
            channel = await connection.channel()
            with pytest.raises(ChannelClosed, match="ACCESS_REFUSED"):
                await channel.queue_delete(name)


async def test_the_broker_knows_no_guest(running: dict[str, Container]) -> None:
    for user, password in (("guest", "guest"), ("data-bus-reader", "wrong")):
        with pytest.raises((ProbableAuthenticationError, ConnectionError)):
            async with asyncio.timeout(20), await aio_pika.connect(amqp_url(running, user, password)):
                pass
