"""What every process reads from its environment, and what production refuses to start with."""

from __future__ import annotations

import json
import os
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from pydantic import Field, SecretStr, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from shared import failpoints
from shared.clock import Clock, SuiteClock, SystemClock

# Marks of development defaults: production refuses any secret that contains one of them.
DEFAULT_MARKS: Final = ("dev-", "sandbox", "guest", "changeme", "example", "insecure")


class AppEnv(StrEnum):
    DEVELOPMENT = "development"
    TEST = "test"
    PRODUCTION = "production"


class ConfigurationRefused(SystemExit):
    """A process that must not run as configured; names the setting, never its value."""

    def __init__(self, setting: str, reason: str) -> None:
        super().__init__(f"refusing to start: {setting}: {reason}")


class _FileSecrets(PydanticBaseSettingsSource):
    """``NAME_FILE`` gives the value of ``NAME`` (Docker secrets)."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(f"{field_name.upper()}_FILE")
        return (Path(path).read_text().strip() if path else None), field_name, False

    def __call__(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, field in self.settings_cls.model_fields.items():
            value, key, _ = self.get_field_value(field, name)
            if value is not None:
                values[key] = value
        return values


class SuiteSettings(BaseSettings):
    """Base of every service's settings. Names are the environment variables in lower case."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    app_env: AppEnv = AppEnv.DEVELOPMENT
    service_name: str = "unnamed"
    log_level: str = "INFO"
    clock_redis_url: str | None = None
    amqp_url: SecretStr = SecretStr("amqp://guest:guest@127.0.0.1:5672/")
    health_port: int = 9000
    accepted_credentials: dict[str, list[SecretStr]] = Field(default_factory=dict)

    @field_validator("accepted_credentials", mode="before")
    @classmethod
    def _from_json(cls, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, _FileSecrets(settings_cls), env_settings

    @property
    def is_production(self) -> bool:
        return self.app_env is AppEnv.PRODUCTION

    def clock(self) -> Clock:
        """The clock of this process: the suite's adjustable one outside production, when configured."""
        if self.clock_redis_url and not self.is_production:
            return SuiteClock(self.clock_redis_url)
        return SystemClock()

    def refuse_unsafe(self) -> None:
        """In production, stops the process on a default secret, the adjustable clock or a fail point."""
        if not self.is_production:
            return
        if failpoints.configured():
            raise ConfigurationRefused(failpoints.SETTING, "fail points are for tests")
        if self.clock_redis_url:
            raise ConfigurationRefused("CLOCK_REDIS_URL", "the adjustable clock is not for production")
        for name, field in type(self).model_fields.items():
            for secret in _secrets(getattr(self, name)):
                if not secret:
                    raise ConfigurationRefused(name.upper(), "the secret is missing")
                if any(mark in secret.lower() for mark in DEFAULT_MARKS):
                    raise ConfigurationRefused(name.upper(), "a development default")
            if field.is_required() is False and getattr(self, name) is None and _is_secret(field):
                raise ConfigurationRefused(name.upper(), "the secret is missing")


def _is_secret(field: FieldInfo) -> bool:
    return "SecretStr" in str(field.annotation)


def _secrets(value: Any) -> list[str]:
    if isinstance(value, SecretStr):
        return [value.get_secret_value()]
    if isinstance(value, dict):
        return [secret for item in value.values() for secret in _secrets(item)]
    if isinstance(value, (list, tuple)):
        return [secret for item in value for secret in _secrets(item)]
    return []
