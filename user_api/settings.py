"""What UserAPI and its worker read from their environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, computed_field

from shared.settings import ConfigurationRefused, SuiteSettings


class Settings(SuiteSettings):
    """Settings of both processes; names are the environment variables in lower case."""

    service_name: str = "user-api"
    database_url: SecretStr
    cache_redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    session_redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    # how long Redis may take: then access is read from the database, and a refresh answers 503
    cache_budget_seconds: Annotated[float, Field(gt=0, le=30)] = 0.05
    session_redis_seconds: Annotated[float, Field(gt=0, le=30)] = 1
    jwt_keys_dir: Path
    pay_api_url: str = "http://127.0.0.1:8002"
    pay_api_token: SecretStr = SecretStr("dev-user-api-to-pay-api")
    billing_api_url: str = "http://127.0.0.1:8003"
    billing_api_token: SecretStr = SecretStr("dev-user-api-to-billing-api")
    public_url: str = "http://127.0.0.1:8080"
    return_url_origins: str = ""
    database_pool_size: int = 10
    # How often one address may register and may fail to log in (notation of the package `limits`).
    register_limit: str | None = None
    login_failures_per_ip: str = "100/hour"
    reset_limit: str | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def registrations_per_ip(self) -> str:
        """10 an hour in production (reliability: enumeration); tests and demos all come from one address."""
        return self.register_limit or ("10/hour" if self.is_production else "2000/hour")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def resets_per_ip(self) -> str:
        """How often one address may ask for a password reset; like registrations."""
        return self.reset_limit or ("20/hour" if self.is_production else "2000/hour")

    @property
    def allowed_return_origins(self) -> frozenset[str]:
        """Origins a ``return_url`` may lead to; the suite's own is always among them."""
        listed = (origin.strip().rstrip("/") for origin in self.return_url_origins.split(","))
        return frozenset({self.public_url.rstrip("/"), *(origin for origin in listed if origin)})

    def refuse_unsafe(self) -> None:
        """In production, also stops on addresses of browsers without https and when nobody could call."""
        super().refuse_unsafe()
        if not self.is_production:
            return
        self.require_callers()
        self.require_https("public_url", "browsers must reach the service over https")
        if any(not origin.startswith("https://") or "*" in origin for origin in self.allowed_return_origins):
            raise ConfigurationRefused("RETURN_URL_ORIGINS", "only https origins, named one by one")
        if not list(self.jwt_keys_dir.glob("*.pem")):
            raise ConfigurationRefused("JWT_KEYS_DIR", "holds no signing key")
