"""The story of one purchase through every service, on a stack started for it, and what operators see."""

from __future__ import annotations

import asyncio

import pytest

from deploy import verify
from deploy.local.stack import LocalStack
from tests.e2e import operators
from tests.e2e.demo import tell
from tests.e2e.stack import Stack
from tests.e2e.transcript import Transcript
from tests.shared.operators.running import Collector, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


async def test_one_purchase_crosses_the_whole_diagram(
    stack: Stack, running_stack: LocalStack, collector: Collector
) -> None:
    transcript = Transcript()
    await tell(stack, transcript)
    assert transcript.checks >= 50
    assert await asyncio.to_thread(verify.run, verify.Services(stack.urls, stack.operator_tokens)) == 0

    def traced() -> bool:
        return operators.is_one_trace(collector)

    await asyncio.to_thread(until, traced, "the purchase as one trace", 30)
    assert await asyncio.to_thread(operators.check_metrics, running_stack) >= 20
