"""The events' documents agree with the code, and the documented consumer works as printed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.ids import new_id
from shared.money import Money
from shared.queue import asyncapi, broker, outbox, topology
from shared.queue.messages.base import event_types
from shared.queue.messages.payments import PaymentState, PaymentStatus
from tests import asyncapi_schemas
from tests.servers import Broker

ROOT = Path(__file__).resolve().parents[2]
EVENTS_PAGE = (ROOT / "docs/events.md").read_text(encoding="utf-8")
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_committed_asyncapi_is_what_the_code_says() -> None:
    committed = json.loads((ROOT / "docs/asyncapi.json").read_text(encoding="utf-8"))
    assert committed == json.loads(json.dumps(asyncapi.document())), "run: python -m shared.queue.asyncapi"


def test_every_reference_of_the_document_leads_somewhere() -> None:
    document = asyncapi.document()
    for reference in set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document))):
        found = document
        for part in reference.split("/"):
            found = found[part]


def test_page_names_every_event_type_of_the_streams() -> None:
    rows = re.findall(r"^\| `(data-bus\.\w+)` \| (.+?) \| \w+ \(Queue \d\) \|$", EVENTS_PAGE, re.MULTILINE)
    named: dict[str, set[str]] = {}
    for stream, cell in rows:
        named[stream] = set()
        for group in re.findall(r"`([^`]+)`", cell):
            family, _, first = group.split()[0].partition(".")
            named[stream] |= {f"{family}.{word}" for word in [first, *group.split()[1:]]}
    for stream in topology.STREAMS:
        expected = {name for name, cls in event_types().items() if stream.exchange == cls.EXCHANGE}
        assert named[stream.name] == expected


def test_a_difference_from_the_document_is_found() -> None:
    payment = new_id()
    good = outbox.build_envelope("pay-api", "payment.succeeded", payment, 1, _state(payment), NOW).to_json()
    asyncapi_schemas.check(good)
    for change in (
        {"aggregatesequence": 0},
        {"type": "payment.invented"},
        {"dataschema": "/schemas/payment.succeeded/v2"},
        {"data": good["data"] | {"status": "paid"}},
        {"data": good["data"] | {"amount": {"amount": 1.5, "currency": "RUB"}}},
    ):
        with pytest.raises(AssertionError):
            asyncapi_schemas.check(good | change)


async def test_consumer_of_the_page_runs_as_printed(tmp_path: Path, new_broker: Callable[[], Broker]) -> None:
    source = EVENTS_PAGE.split("```python\n")[1].split("```")[0]
    (tmp_path / "consumer.py").write_text(source)
    amqp_url = (await asyncio.to_thread(new_broker)).amqp_url
    payment = new_id()
    async with broker.connected(amqp_url, "test") as connection:
        await broker.declare_topology(connection)
        publisher = await broker.Publisher.open(connection)
        for sequence in (1, 1):  # the second is a duplicate
            envelope = outbox.build_envelope(
                "pay-api", "payment.succeeded", payment, sequence, _state(payment), NOW
            )
            body = json.dumps(envelope.to_json()).encode()
            await publisher.publish("payments", envelope.type, body, message_id=str(envelope.id))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(tmp_path / "consumer.py"),
            env={**os.environ, "AMQP_URL": amqp_url},
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            line = await asyncio.wait_for(process.stdout.readline(), 20)
            assert line.decode().split() == [str(payment), "49900", "RUB"]
            await asyncio.sleep(0.5)
            assert process.returncode is None
        finally:
            process.kill()
            rest = await process.stdout.read()  # type: ignore[union-attr]
            await process.wait()
    assert rest == b""


def _state(payment_id: object) -> PaymentState:
    return PaymentState.model_validate(
        {
            "payment_id": payment_id,
            "invoice_id": new_id(),
            "user_id": new_id(),
            "purpose": "invoice",
            "initiator": "customer",
            "provider": "cloudpayments",
            "status": PaymentStatus.SUCCEEDED,
            "amount": Money(49900),
            "captured": Money(49900),
            "refunded": Money(0),
            "created_at": NOW,
            "updated_at": NOW,
        }
    )
