"""SIGTERM: what is in flight is finished and answered or acknowledged, then the process ends well."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import yaml
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from shared import tables
from shared.clock import SystemClock
from shared.ids import new_id
from shared.queue import broker, outbox
from shared.queue.messages.users import UserState
from tests import servers
from tests.servers import Broker, DatabaseUrls
from tests.shared.operators.running import ROOT, answers, running, until

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
PROGRAMS = "tests.shared.operators.programs"


def _command(service: str, program: str, bind: list[str]) -> list[str]:
    """The command of compose with another application at another address: its own time-outs are tried."""
    words = COMPOSE[service]["command"].split()
    application = next(number for number, word in enumerate(words) if ":" in word)
    words[application] = program
    for flag in ("--host", "--port", "--bind"):
        if flag in words:
            del words[words.index(flag) : words.index(flag) + 2]
    return [*words, *bind]


@pytest.mark.parametrize("service", ["user-api", "billing-api"])
def test_a_request_in_flight_is_answered(service: str, tmp_path: Path) -> None:
    port = servers.free_port()
    program, bind = (
        (f"{PROGRAMS}:slow_api", ["--port", str(port)])
        if service == "user-api"
        else (f"{PROGRAMS}:slow_wsgi", ["--bind", f"127.0.0.1:{port}"])
    )
    answered: list[httpx.Response] = []
    url = f"http://127.0.0.1:{port}"
    begun = tmp_path / "begun"
    with running(_command(service, program, bind), {"BEGUN": str(begun)}, tmp_path / "log") as process:
        until(answers(f"{url}/healthz"), f"{service} answers")
        asking = threading.Thread(
            target=lambda: answered.append(httpx.get(f"{url}/slow", timeout=20, trust_env=False))
        )
        asking.start()
        until(begun.exists, "the request has begun")
        process.send_signal(signal.SIGTERM)
        asking.join(timeout=25)
        assert process.wait(timeout=15) in (0, -signal.SIGTERM)
    assert [answer.json() for answer in answered] == [{"done": "yes"}]


async def test_an_event_in_flight_is_handled_and_acknowledged(
    tmp_path: Path, new_broker: Callable[[], Broker]
) -> None:
    database: DatabaseUrls = servers.create_database("users")
    amqp_url = new_broker().amqp_url
    engine = create_async_engine(database.owner.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.begin() as connection:
        await (await connection.get_raw_connection()).driver_connection.execute(tables.SQL)
    async with broker.connected(amqp_url, "test") as connection:
        await broker.declare_topology(connection)
        publisher = await broker.Publisher.open(connection)
        begun, ended = tmp_path / "begun", tmp_path / "ended"
        given = {
            "AMQP_URL": amqp_url,
            "DATABASE_URL": database.owner,
            "HEALTH_PORT": str(servers.free_port()),
            "MANNER": "slow",
            "BEGUN": str(begun),
            "ENDED": str(ended),
        }
        with running(["python", "-m", PROGRAMS], given, tmp_path / "log") as process:
            user = new_id()
            now = SystemClock().now()
            state = UserState(
                user_id=user,
                status="active",
                locale="ru",
                time_zone="Europe/Moscow",
                token_epoch=0,
                created_at=now,
                updated_at=now,
            )
            async with async_sessionmaker(engine).begin() as session:
                envelope = await outbox.add_async(session, "user-api", "user.registered", user, state, now)
            body = envelope.model_dump_json().encode()
            await publisher.publish("users", "user.registered", body, message_id=str(envelope.id))
            until(begun.exists, "the handler has begun")
            assert not ended.exists()
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0
            assert ended.exists()
        left = [message async for message in broker.take(connection, "billing.users", 5)]
        assert left == []  # acknowledged: nothing comes again
    await engine.dispose()
    assert "worker-stopped" in (tmp_path / "log").read_text()
