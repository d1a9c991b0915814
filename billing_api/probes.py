"""Asks Redis and RabbitMQ whether they are there, for the readiness of both processes."""

from __future__ import annotations

import asyncio

import aio_pika
import redis

from billing_api.settings import settings


async def redis_answers() -> None:
    """Raises when the Redis of the suite's clock does not answer; without one there is nothing to ask."""
    if (url := settings().clock_redis_url) is None:
        return

    def ping() -> None:
        client = redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1)
        try:
            client.ping()
        finally:
            client.close()

    await asyncio.to_thread(ping)


async def broker_answers() -> None:
    """Raises when RabbitMQ does not accept a connection."""
    connection = await aio_pika.connect(settings().amqp_url.get_secret_value(), timeout=1.5)
    await connection.close()
