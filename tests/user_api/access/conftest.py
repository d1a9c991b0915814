"""The commerce fixtures serve the access tests too."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from tests.user_api.commerce.conftest import (  # noqa: F401
    anna,
    app,
    billing,
    catalogue,
    deliver,
    handlers,
    pay,
    resources,
    sign_up,
)
from user_api.resources import Resources
from user_api.rights_cache import RightsCache

PATIENCE_SECONDS = 30


@pytest.fixture
async def patient_redis(empty_redis: str) -> AsyncIterator[Redis]:
    """Redis with all the time in the world: a busy machine is no part of what these tests are about."""
    client = Redis.from_url(empty_redis, decode_responses=True)
    yield client
    await client.aclose()


@pytest.fixture
async def patient(
    resources: Resources,  # noqa: F811
    patient_redis: Redis,
) -> AsyncIterator[Resources]:
    """The app's resources on that Redis."""
    rights = RightsCache(patient_redis, resources.sessions, resources.clock, PATIENCE_SECONDS)
    yield dataclasses.replace(resources, rights=rights, cache_redis=patient_redis)
    await rights.close()
