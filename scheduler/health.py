"""Health of the scheduler's processes: broker and lock store decide readiness, BillingAPI only shows."""

from __future__ import annotations

from typing import Any, Final

import httpx
import redis
from celery import Celery

from scheduler.settings import SchedulerSettings
from shared import health_server, logs

_PATIENCE_SECONDS: Final = 1.5
log = logs.logger(__name__)


def serve_for(app: Celery, own: SchedulerSettings) -> None:
    """Serves /healthz, /readyz and /metrics on HEALTH_PORT from a thread."""
    health_server.serve(own.health_port, lambda: report(app, own))
    log.info("health-served", port=own.health_port)


def report(app: Celery, own: SchedulerSettings) -> tuple[bool, dict[str, Any]]:
    """Readiness and the body of ``/readyz``."""
    required = {"broker": _broker_answers(app), "redis": _redis_answers(own)}
    billing = _billing_answers(own)
    checks = {name: "ok" if good else "failed" for name, good in required.items()}
    checks["billing-api"] = "ok" if billing else "degraded"
    ready = all(required.values())
    return ready, {"ready": ready, "checks": checks}


def _broker_answers(app: Celery) -> bool:
    with app.connection_for_write(connect_timeout=_PATIENCE_SECONDS) as connection:
        try:
            connection.connect()
        except Exception:  # the transport decides which; any of them means that it is not there
            return False
    return True


def _redis_answers(own: SchedulerSettings) -> bool:
    client = redis.Redis.from_url(
        own.redbeat_redis_url.get_secret_value(),
        socket_timeout=_PATIENCE_SECONDS,
        socket_connect_timeout=_PATIENCE_SECONDS,
    )
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()


def _billing_answers(own: SchedulerSettings) -> bool:
    try:
        answer = httpx.get(f"{own.billing_api_url}/healthz", timeout=_PATIENCE_SECONDS, trust_env=False)
    except httpx.HTTPError:
        return False
    return answer.is_success
