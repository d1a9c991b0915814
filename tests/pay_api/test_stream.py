"""The payer's event stream, and the worker with its relay and health."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import httpx

from pay_api.pay_service.context import open_context
from pay_api.worker import run
from shared.ids import new_id
from shared.queue import broker as rabbit
from tests import servers
from tests.pay_api.conftest import Pay
from tests.pay_api.test_threeds import bank_answers, challenged, local


def parse(text: str) -> list[dict[str, str]]:
    blocks = [block for block in text.split("\n\n") if block.strip()]
    return [
        dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        for block in blocks
    ]


async def test_finished_payment_is_told_once_and_the_browser_stays_away(pay: Pay) -> None:
    view = await pay.pay()
    url = local(pay, view["events_url"])
    answer = await pay.http.get(url)
    assert answer.headers["content-type"].startswith("text/event-stream")
    (event,) = [item for item in parse(answer.text) if "event" in item]
    assert event["event"] == "payment"
    data = json.loads(event["data"])
    assert data["status"] == "succeeded"
    assert "user_id" not in data
    again = await pay.http.get(url, headers={"Last-Event-ID": event["id"]})
    assert again.status_code == 204
    resumed = await pay.http.get(url, headers={"Last-Event-ID": "1"})
    assert [item["id"] for item in parse(resumed.text) if "id" in item] == [event["id"]]


async def test_strange_event_ids_count_as_nothing_seen(pay: Pay) -> None:
    view = await pay.pay()
    for strange in ("9" * 5000, "-1", "1.5", "٣"):
        headers = {"Last-Event-ID": strange.encode()}
        nobody = await pay.http.get(f"{pay.house.pay_url}/v1/payments/{view['id']}/events", headers=headers)
        assert nobody.status_code == 401
        answer = await pay.http.get(local(pay, view["events_url"]), headers=headers)
        assert answer.status_code == 200
        assert len([item for item in parse(answer.text) if "event" in item]) == 1


async def test_payer_does_not_read_what_staff_wrote_of_a_refund(pay: Pay) -> None:
    view = await pay.pay()
    order = {
        "refund_order_id": str(new_id()),
        "amount": {"amount": 10_000, "currency": "RUB"},
        "reason": "a known troublemaker",
    }
    refunded = (await pay.post(f"/v1/payments/{view['id']}/refunds", order)).json()
    assert refunded["refunds"][0]["reason"] == "a known troublemaker"
    answer = await pay.http.get(local(pay, view["events_url"]))
    assert "troublemaker" not in answer.text
    (event,) = [item for item in parse(answer.text) if "event" in item]
    (refund,) = json.loads(event["data"])["refunds"]
    assert (refund["amount"], refund["status"]) == (order["amount"], "succeeded")
    assert "reason" not in refund


async def test_stream_follows_a_challenge_to_its_end(pay: Pay) -> None:
    view, page = await challenged(pay)
    statuses: list[str] = []
    begun = asyncio.Event()

    async def follow() -> None:
        async with pay.http.stream("GET", local(pay, view["events_url"])) as stream:
            async for line in stream.aiter_lines():
                if line.startswith("data: "):
                    statuses.append(json.loads(line[6:])["status"])
                    begun.set()

    following = asyncio.create_task(follow())
    await begun.wait()
    term_url, fields = await bank_answers(pay, page.text)
    await pay.http.post(local(pay, term_url), data=fields)
    async with asyncio.timeout(3):  # woken by NOTIFY, long before the heartbeat
        await following
    assert statuses[0] == "action_required"
    assert statuses[-1] == "succeeded"


async def test_quiescence_counts_what_moves_by_itself(pay: Pay) -> None:
    answer = await pay.get("/internal/v1/quiescence")
    assert answer.status_code == 200
    assert set(answer.json()["pending"]) == {"outbox", "processing", "queued", "webhooks"}
    assert (await pay.http.get(f"{pay.house.pay_url}/internal/v1/quiescence")).status_code == 401


async def test_health_and_api_description(pay: Pay) -> None:
    ready = await pay.http.get(f"{pay.house.pay_url}/readyz")
    assert ready.json() == {"ready": True, "checks": {"database": "ok"}}
    schema = (await pay.http.get(f"{pay.house.pay_url}/openapi.json")).json()
    assert "/v1/payments/{payment_id}/refunds" in schema["paths"]
    assert (await pay.http.get(f"{pay.house.pay_url}/v1/nothing")).headers["content-type"] == (
        "application/problem+json"
    )


async def test_worker_charges_reconciles_and_relays(pay: Pay) -> None:
    """A queued renewal and an unanswered charge are finished, their events reach the service queue."""
    vhost = servers.amqp_vhost()
    async with rabbit.connected(vhost.amqp_url, "test") as connection:
        await rabbit.declare_topology(connection)
    settings = pay.house.settings.model_copy(
        update={
            "amqp_url": type(pay.house.settings.amqp_url)(vhost.amqp_url),
            "health_port": servers.free_port(),
        }
    )
    body = pay.body()
    body["method"]["save_method"] = True
    method_id = (await pay.start(body)).json()["payment_method_id"]
    saved = {"kind": "saved_method", "payment_method_id": method_id}
    renewal = pay.body(user_id=body["user_id"], initiator="merchant", method=saved)
    await pay.fault(kind="suppressed", webhook="pay")
    await pay.fault(kind="timeout_after", method="payments/cards/charge", manner="close")
    lost = await pay.pay(expect="unknown")
    pay.clock.advance(timedelta(seconds=25))
    stop = asyncio.Event()
    working = asyncio.create_task(run(settings, stop, open_context(settings, pay.clock)))
    try:
        await pay.start(renewal)
        await pay.until(renewal["payment_id"], "succeeded")
        await pay.until(lost["id"], "succeeded")
        for _ in range(300):
            quiet = (await pay.get("/internal/v1/quiescence")).json()
            if quiet["pending"]["outbox"] == 0:
                break
            await asyncio.sleep(0.1)
        assert quiet["pending"]["outbox"] == 0
        async with httpx.AsyncClient() as http:
            health = await http.get(f"http://127.0.0.1:{settings.health_port}/readyz")
        assert health.json()["ready"] is True
    finally:
        stop.set()
        async with asyncio.timeout(15):
            await working
    assert await pay.effects(lost["user_id"]) == [("charged", 49_900)]
