"""What the scheduler's processes read from their environment."""

from __future__ import annotations

from functools import cache

from pydantic import Field, SecretStr

from shared.settings import SuiteSettings


class SchedulerSettings(SuiteSettings):
    """``beat_tick_seconds`` is real time between two looks at what is due by the suite's clock."""

    service_name: str = "scheduler"
    celery_broker_url: SecretStr = SecretStr("amqp://guest:guest@127.0.0.1:5672//")
    redbeat_redis_url: SecretStr = SecretStr("redis://:dev-password@127.0.0.1:6379/4")
    billing_api_url: str = "http://127.0.0.1:8003"
    billing_api_token: SecretStr = SecretStr("dev-scheduler-to-billing-api")
    billing_api_timeout_seconds: float = 120.0
    beat_tick_seconds: float = Field(default=10.0, ge=1, le=3600)


@cache
def settings() -> SchedulerSettings:
    """The settings of this process, read once."""
    return SchedulerSettings()
