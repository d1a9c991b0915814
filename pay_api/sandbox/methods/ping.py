"""The method ``test``: the credentials are right and the service answers."""

from __future__ import annotations

from uuid import uuid4

from pay_api.sandbox.envelope import Answer
from pay_api.sandbox.registry import answers
from pay_api.sandbox.terminal import Call


@answers("test")
async def ping(call: Call) -> Answer:
    """Tells that the credentials are right."""
    return {"Success": True, "Message": str(uuid4())}
