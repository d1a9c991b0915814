"""What every process reads from its environment, and what production refuses to start with."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

from shared import failpoints
from shared.clock import Clock, SuiteClock, SystemClock

# Marks of development defaults: production refuses any secret that contains one of them.
DEFAULT_MARKS: Final = ("dev-", "sandbox", "guest", "changeme", "example", "insecure")
# Whole secrets everybody tries first; the marks catch what the suite itself ships.
COMMON_SECRETS: Final = frozenset(
    (
        *("password", "password1", "passw0rd", "p@ssw0rd", "secret", "default", "letmein1", "iloveyou"),
        *("postgres", "postgresql", "rabbitmq", "redis", "admin", "administrator", "root", "cinema"),
        *("test", "testing", "12345678", "123456789", "1234567890", "qwerty123", "qwertyuiop"),
    )
)
BROAD_ROLES: Final = frozenset({"guest", "postgres", "root"})
MIN_PASSWORD_CHARACTERS: Final = 8
MIN_SECRET_CHARACTERS: Final = 12
MIN_DJANGO_KEY_CHARACTERS: Final = 50
DEBUG_SWITCHES: Final = ("DEBUG", "DJANGO_DEBUG", "PYTHONASYNCIODEBUG")
_OFF: Final = frozenset({"", "0", "false", "no", "off"})
_GUNICORN_HALTS: Final = 3  # any other exit of a booting worker makes its master try again for ever


class AppEnv(StrEnum):
    DEVELOPMENT = "development"
    TEST = "test"
    PRODUCTION = "production"


class ConfigurationRefused(SystemExit):
    """A process that must not run as configured; names the setting, never its value."""

    def __init__(self, setting: str, reason: str) -> None:
        super().__init__(f"refusing to start: {setting}: {reason}")


@contextmanager
def halting_gunicorn() -> Iterator[None]:
    """Around the start of a WSGI application: a refusal ends gunicorn itself, which else would try again."""
    try:
        yield
    except ConfigurationRefused as refused:
        print(refused, file=sys.stderr, flush=True)  # noqa: T201 - the last words of a process without logs
        raise SystemExit(_GUNICORN_HALTS) from None


def setting_or_file(name: str) -> str | None:
    """A setting that no settings class holds: of the environment, or of the file ``<name>_FILE`` names.

    None when neither is set or it is empty. Raises ConfigurationRefused when the file cannot be read.
    """
    path = os.environ.get(f"{name}_FILE")
    if not path:
        return os.environ.get(name) or None
    try:
        return Path(path).read_text().strip() or None
    except (OSError, UnicodeDecodeError):
        raise ConfigurationRefused(f"{name}_FILE", "the file cannot be read") from None


def secret_or_file(name: str) -> str | None:
    """The same for a secret, alone or in a JSON object of them; production refuses a weak one."""
    value = setting_or_file(name)
    if value is None or os.environ.get("APP_ENV") != AppEnv.PRODUCTION:
        return value
    for secret in json.loads(value).values() if value.startswith("{") else [value]:
        _refuse_weak(name, SecretStr(secret))
    return value


class _FileSecrets(PydanticBaseSettingsSource):
    """``NAME_FILE`` gives the value of ``NAME`` (Docker secrets)."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        name = field_name.upper()
        given = setting_or_file(name) if os.environ.get(f"{name}_FILE") else None
        return given, field_name, False

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

    def __init__(self, **values: Any) -> None:
        """Raises ConfigurationRefused for a setting that is missing or malformed, in every environment."""
        try:
            super().__init__(**values)
        except ValidationError as error:
            first = error.errors(include_input=False, include_context=False)[0]
            name = str(first["loc"][0]) if first["loc"] else "the settings"
            raise ConfigurationRefused(name.upper(), first["msg"].lower()) from None
        except SettingsError as error:  # a list or object in the environment that is not JSON
            found = re.search(r'field "(\w+)"', str(error))
            raise ConfigurationRefused(found.group(1).upper() if found else "A SETTING", "not JSON") from None

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
        """In production, stops the process on whatever is meant for development: see docs/operations.md.

        A setting of type ``SecretStr`` must be there; one of ``SecretStr | None`` may be left out.
        """
        if not self.is_production:
            return
        if failpoints.configured():
            raise ConfigurationRefused(failpoints.SETTING, "fail points are for tests")
        for switch in DEBUG_SWITCHES:
            if os.environ.get(switch, "").strip().lower() not in _OFF:
                raise ConfigurationRefused(switch, "debugging is not for production")
        if self.log_level.upper() in ("DEBUG", "NOTSET", "TRACE"):
            raise ConfigurationRefused("LOG_LEVEL", "libraries tell secrets at this level")
        if self.clock_redis_url:
            raise ConfigurationRefused("CLOCK_REDIS_URL", "the adjustable clock is not for production")
        for name in type(self).model_fields:
            _refuse_weak(name.upper(), getattr(self, name))
        tokens = [token.get_secret_value() for given in self.accepted_credentials.values() for token in given]
        if len(tokens) != len(set(tokens)):
            raise ConfigurationRefused("ACCEPTED_CREDENTIALS", "two callers have the same token")

    def require_https(self, name: str, reason: str) -> None:
        """Stops the process when an address that crosses the internet is not https with a plain host."""
        parts = urlsplit(getattr(self, name))
        if parts.scheme != "https" or not parts.hostname or "*" in parts.netloc:
            raise ConfigurationRefused(name.upper(), reason)

    def require_callers(self) -> None:
        """Stops the process when no caller has a credential: nobody could call then."""
        if not any(self.accepted_credentials.values()):
            raise ConfigurationRefused("ACCEPTED_CREDENTIALS", "the secret is missing")

    def require_django_key(self, name: str = "django_secret_key") -> None:
        """Stops the process on a key Django itself would call weak (its check security.W009)."""
        key = getattr(self, name).get_secret_value()
        if len(key) < MIN_DJANGO_KEY_CHARACTERS or len(set(key)) < 5 or key.startswith("django-insecure"):
            raise ConfigurationRefused(name.upper(), "too weak: 50 random characters are the least")


def _refuse_weak(setting: str, value: Any) -> None:
    if isinstance(value, SecretStr):
        secret = value.get_secret_value()
        if "://" in secret:
            _refuse_weak_address(setting, secret, password_needed=True)
        elif not secret.strip():
            raise ConfigurationRefused(setting, "the secret is missing")
        else:
            _refuse_weak_secret(setting, secret, MIN_SECRET_CHARACTERS)
    elif isinstance(value, str) and "://" in value:
        _refuse_weak_address(setting, value, password_needed=False)
    elif isinstance(value, dict):
        for item in value.values():
            _refuse_weak(setting, item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _refuse_weak(setting, item)


def _refuse_weak_secret(setting: str, secret: str, least: int) -> None:
    lowered = secret.lower()
    if any(mark in lowered for mark in DEFAULT_MARKS):
        raise ConfigurationRefused(setting, "a development default")
    if lowered in COMMON_SECRETS:
        raise ConfigurationRefused(setting, "a common password")
    if len(secret) < least or len(set(secret)) < 4:
        raise ConfigurationRefused(setting, f"too weak: {least} random characters are the least")


def _refuse_weak_address(setting: str, address: str, *, password_needed: bool) -> None:
    """Of ``postgresql://``, ``amqp://``, ``redis://`` and other addresses the password is the secret."""
    try:
        parts = urlsplit(address)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        parts.port  # noqa: B018 - raises when it is no number
    except ValueError:
        raise ConfigurationRefused(setting, "not an address") from None
    if user in BROAD_ROLES:
        raise ConfigurationRefused(setting, "a role that may do everything")
    if password:
        _refuse_weak_secret(setting, password, MIN_PASSWORD_CHARACTERS)
    elif password_needed:
        raise ConfigurationRefused(setting, "the password is missing in it")
