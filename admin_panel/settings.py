"""What the processes of AdminPanel read from their environment."""

from __future__ import annotations

import os
from functools import cache
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from billing_api.billing_service.vat_rates import DEFAULT_VAT_RATES, VatRates
from shared.clock import Clock
from shared.settings import ConfigurationRefused, SuiteSettings, secret_or_file

SERVICE: Final = "admin-panel"  # the name in logs and event sources
_LOCAL: Final = "127.0.0.1:5432"


class AdminSettings(SuiteSettings):
    """Settings of admin-panel and admin-worker; one address per database and role (architecture §1)."""

    service_name: str = SERVICE
    admin_database_url: SecretStr = SecretStr(f"postgresql://admin_panel:dev-password@{_LOCAL}/admin")
    movies_database_url: SecretStr = SecretStr(f"postgresql://movies_admin:dev-password@{_LOCAL}/movies")
    users_database_url: SecretStr = SecretStr(f"postgresql://users_ro:dev-password@{_LOCAL}/users")
    billing_database_url: SecretStr = SecretStr(
        f"postgresql://billing_commands:dev-password@{_LOCAL}/billing"
    )
    billing_ro_database_url: SecretStr = SecretStr(f"postgresql://billing_ro:dev-password@{_LOCAL}/billing")
    user_api_url: str = "http://127.0.0.1:8001"
    user_api_token: SecretStr = SecretStr("dev-admin-panel-to-user-api")
    user_api_timeout_seconds: float = 29.0  # UserAPI itself waits up to 28 s
    django_secret_key: SecretStr = SecretStr("dev-insecure-admin-django-secret-key-of-50-letters-and-more")
    public_url: str = "http://127.0.0.1:8080"
    vat_rates: VatRates = DEFAULT_VAT_RATES  # its commands price invoices as BillingAPI does
    admin_require_mfa: bool | None = None

    @property
    def requires_second_factor(self) -> bool:
        """ADMIN_REQUIRE_MFA; left out, it is asked for in production only."""
        return self.is_production if self.admin_require_mfa is None else self.admin_require_mfa

    @property
    def public_origin(self) -> str:
        """Scheme, host and port a browser sees."""
        parts = urlsplit(self.public_url)
        return f"{parts.scheme}://{parts.netloc}"

    def refuse_unsafe(self) -> None:
        """In production, also stops when staff would log in over plain HTTP or without a second factor."""
        super().refuse_unsafe()
        if not self.is_production:
            return
        self.require_django_key()
        self.require_https("public_url", "staff log in over https only")
        if not self.requires_second_factor:
            raise ConfigurationRefused("ADMIN_REQUIRE_MFA", "the second factor is not optional")


@cache
def settings() -> AdminSettings:
    """The settings of this process, read once."""
    return AdminSettings()


@cache
def clock() -> Clock:
    """The clock of this process: the suite's outside production."""
    return settings().clock()


def use_migration_roles() -> None:
    """From now on this process works as the owner of the Admin and Movies databases.

    Raises ConfigurationRefused when an address is missing: the service's own roles may not change tables.
    """
    for setting, migration in (
        ("ADMIN_DATABASE_URL", "ADMIN_MIGRATION_DATABASE_URL"),
        ("MOVIES_DATABASE_URL", "MOVIES_MIGRATION_DATABASE_URL"),
    ):
        url = secret_or_file(migration)
        if url is None:
            raise ConfigurationRefused(migration, "it is needed to migrate")
        os.environ.pop(f"{setting}_FILE", None)
        os.environ[setting] = url
    settings.cache_clear()
