"""A process that erases one user and may be killed midway (K24); PayAPI answers it that nothing moves."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from uuid import UUID

import httpx

from user_api.clients.pay_api import PayApi
from user_api.resources import open_resources
from user_api.settings import Settings
from user_api.user_service.erase_user import erase_user


async def main() -> None:
    resources = open_resources(Settings())
    nothing = httpx.MockTransport(lambda _: httpx.Response(200, json={"items": [], "next_cursor": None}))
    commerce = dataclasses.replace(resources.commerce, pay_api=PayApi("http://pay-api", "t", nothing))
    await erase_user(commerce, UUID(os.environ["USER_ID"]), os.environ["PASSWORD_HASH"])


if __name__ == "__main__":
    asyncio.run(main())
