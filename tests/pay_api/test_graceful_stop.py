"""SIGTERM: pay-worker waits for the provider's answer to a charge; open streams do not hold PayAPI up."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import redis

from deploy.processes import PROCESSES
from shared.clock import OFFSET_KEY
from shared.queue import broker as rabbit
from tests import servers
from tests.pay_api.conftest import TOKEN, House, Pay
from tests.pay_api.test_threeds import challenged, local
from tests.servers import Broker

COMMANDS = {process.name: process for process in PROCESSES}
PROVIDER_SECONDS = 4.0


def environment(house: House, redis_url: str, amqp_url: str) -> dict[str, str]:
    """Settings of a process of PayAPI on the tests' database, sandbox and clock."""
    offset = house.clock.now() - datetime.now(UTC)
    redis.Redis.from_url(redis_url).set(OFFSET_KEY, int(offset.total_seconds()))
    return os.environ | {
        "APP_ENV": "test",
        "DATABASE_URL": house.dsn,
        "AMQP_URL": amqp_url,
        "CLOCK_REDIS_URL": redis_url,
        "HEALTH_PORT": str(servers.free_port()),
        "PUBLIC_URL": house.pay_url,
        "CLOUDPAYMENTS_API_URL": house.sandbox_url,
        "CLOUDPAYMENTS_PUBLIC_URL": house.sandbox_url,
        "TOKEN_ENCRYPTION_KEY": house.settings.token_encryption_key.get_secret_value(),
        "LINK_SIGNING_KEY": house.settings.link_signing_key.get_secret_value(),
        "ACCEPTED_CREDENTIALS": json.dumps({"user-api": [TOKEN]}),
    }


@asynccontextmanager
async def running(
    name: str, port: int, given: dict[str, str], log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process as both stacks run it; killed when it has not ended by itself."""
    program, *rest = COMMANDS[name].command(port)
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name(program)),
            *rest,
            cwd=servers.ROOT,
            env=given,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.timeout(120)
async def test_a_charge_in_flight_gets_its_answer(
    pay: Pay, new_broker: Callable[[], Broker], redis_url: str, tmp_path: Path
) -> None:
    body = pay.body()
    body["method"]["save_method"] = True
    method_id = (await pay.start(body)).json()["payment_method_id"]
    saved = {"kind": "saved_method", "payment_method_id": method_id}
    renewal = pay.body(user_id=body["user_id"], initiator="merchant", method=saved, return_url=None)
    await pay.fault(kind="delay", method="payments/tokens/charge", seconds=PROVIDER_SECONDS)
    await pay.fault(kind="suppressed", webhook="pay")  # its answer alone can tell
    assert (await pay.start(renewal)).status_code == 202
    amqp_url = (await asyncio.to_thread(new_broker)).amqp_url
    async with rabbit.connected(amqp_url, "test") as connection:
        await rabbit.declare_topology(connection)
    log = tmp_path / "log"
    async with running("pay-worker", 0, environment(pay.house, redis_url, amqp_url), log) as process:
        await pay.until(renewal["payment_id"], "processing")
        await asyncio.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 30) == 0, log.read_text()
    assert (await pay.show(renewal["payment_id"]))["status"] == "succeeded"
    assert [effect for effect, _ in await pay.effects(body["user_id"])] == ["charged", "charged"]


@pytest.mark.timeout(120)
async def test_an_open_stream_does_not_hold_the_service_up(
    pay: Pay, new_broker: Callable[[], Broker], redis_url: str, tmp_path: Path
) -> None:
    """A browser follows a payment for minutes: the stop ends its stream, and it comes again elsewhere."""
    view, _ = await challenged(pay)
    port = servers.free_port()
    amqp_url = (await asyncio.to_thread(new_broker)).amqp_url
    log, begun = tmp_path / "log", asyncio.Event()
    given = environment(pay.house, redis_url, amqp_url)
    async with running("pay-api", port, given, log) as process:
        async with asyncio.timeout(45):
            while True:
                try:
                    await pay.http.get(f"http://127.0.0.1:{port}/healthz")
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
        url = local(pay, view["events_url"]).replace(pay.house.pay_url, f"http://127.0.0.1:{port}")

        async def follow() -> None:
            async with pay.http.stream("GET", url) as stream:
                assert stream.status_code == 200
                async for _ in stream.aiter_lines():
                    begun.set()

        following = asyncio.create_task(follow())
        await asyncio.wait_for(begun.wait(), 20)
        process.send_signal(signal.SIGTERM)
        # the 26 s that a payment in flight would have are not waited out
        assert await asyncio.wait_for(process.wait(), 15) in (0, -signal.SIGTERM), log.read_text()
        await following  # it ended as a stream should: not torn
