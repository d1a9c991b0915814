"""The story of one purchase through every service, on a stack started for it."""

from __future__ import annotations

import asyncio

import pytest

from deploy import verify
from tests.e2e.demo import tell
from tests.e2e.stack import Stack
from tests.e2e.transcript import Transcript
from tests.shared.operators.running import Collector, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


# from the customer's click to the access right: who did what, the last first
PURCHASE = [
    ("user-worker", "process subscription.activated"),
    ("billing-worker", "create subscription.activated"),
    ("billing-worker", "process payment.succeeded"),
    ("pay-api", "create payment.succeeded"),
    ("pay-api", "POST /v1/payments"),
    ("user-api", "POST pay-api"),
    ("user-api", "POST /v1/me/subscriptions"),
]


async def test_one_purchase_crosses_the_whole_diagram(stack: Stack, collector: Collector) -> None:
    transcript = Transcript()
    await tell(stack, transcript)
    assert transcript.checks >= 50
    assert await asyncio.to_thread(verify.run, verify.Services(stack.urls, stack.operator_tokens)) == 0
    await asyncio.to_thread(until, lambda: PURCHASE in paths(collector), "the purchase as one trace", 30)


def paths(collector: Collector) -> list[list[tuple[str, str]]]:
    """(service, span) from each right granted back to the request it began with; all of one trace each."""
    spans = {span.span_id: (service, span) for service, span in collector.spans()}
    found = []
    for service, granted in spans.values():
        if (service, granted.name) == PURCHASE[0]:
            path, parent = [PURCHASE[0]], granted.parent_span_id
            while parent in spans:
                service, span = spans[parent]
                assert span.trace_id == granted.trace_id
                path.append((service, span.name))
                parent = span.parent_span_id
            found.append(path)
    return found
