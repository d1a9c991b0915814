"""The story of one purchase through every service, on a stack started for it."""

from __future__ import annotations

import pytest

from tests.e2e.demo import tell
from tests.e2e.stack import Stack
from tests.e2e.transcript import Transcript

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


async def test_one_purchase_crosses_the_whole_diagram(stack: Stack) -> None:
    transcript = Transcript()
    await tell(stack, transcript)
    assert transcript.checks >= 50
