"""What the access check is measured against: FastAPI, one route, one Redis GET, no token, no middleware."""

from __future__ import annotations

import os

from fastapi import FastAPI
from redis.asyncio import Redis


def create_app() -> FastAPI:
    app = FastAPI()
    redis = Redis.from_url(os.environ["CACHE_REDIS_URL"], decode_responses=True)

    @app.get("/bare/{key}")
    async def read(key: str) -> dict[str, str | None]:
        return {"value": await redis.get(f"bench:{key}")}

    return app
