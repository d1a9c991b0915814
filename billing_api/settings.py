"""What the processes of BillingAPI read from their environment."""

from __future__ import annotations

import os
from functools import cache
from typing import Final

from pydantic import SecretStr

from billing_api.billing_service.vat_rates import DEFAULT_VAT_RATES, VatRates
from shared.settings import ConfigurationRefused, SuiteSettings, secret_or_file

DEMO_SELLER_INN: Final = "7700000000"
AUDIENCE: Final = "billing-api"  # this service's name in tokens, logs and event sources


class BillingSettings(SuiteSettings):
    """Settings of billing-api and billing-worker; URLs of databases are ``postgresql://user:password@host:port/name``."""

    service_name: str = AUDIENCE
    database_url: SecretStr = SecretStr("postgresql://billing_api:dev-password@127.0.0.1:5432/billing")
    jwks_url: str = "http://127.0.0.1:8001/.well-known/jwks.json"
    user_api_url: str = "http://127.0.0.1:8001"
    user_api_token: SecretStr = SecretStr("dev-billing-api-to-user-api")
    django_secret_key: SecretStr = SecretStr("dev-insecure-django-secret-key")
    user_api_timeout_seconds: float = 29.0  # UserAPI itself waits up to 28 s
    vat_rates: VatRates = DEFAULT_VAT_RATES
    # The seller as invoices and statements name it; empty ones are left out. What has no
    # English text stands in Russian on English documents too.
    seller_name: str = "ООО «Онлайн-кинотеатр» (демонстрация)"
    seller_name_en: str = "Online Cinema LLC (demonstration)"
    seller_address: str = "123456, г. Москва, ул. Примерная, д. 1"
    seller_address_en: str = "1 Primernaya St., Moscow, 123456, Russia"
    seller_inn: str = DEMO_SELLER_INN
    seller_kpp: str = "770001001"
    seller_ogrn: str = "1027700000000"
    seller_bank: str = ""
    seller_bank_en: str = ""
    seller_email: str = "billing@cinema.example"
    seller_director: str = ""
    seller_director_en: str = ""
    seller_accountant: str = ""
    seller_accountant_en: str = ""

    def refuse_unsafe(self) -> None:
        """In production, also stops without credentials of callers and with the demonstration's seller."""
        super().refuse_unsafe()
        if self.is_production:
            self.require_callers()
            self.require_django_key()
        if self.is_production and self.seller_inn in ("", DEMO_SELLER_INN):
            raise ConfigurationRefused(
                "SELLER_INN", "documents would name the demonstration's seller or none"
            )


@cache
def settings() -> BillingSettings:
    """The settings of this process, read once."""
    return BillingSettings()


def use_migration_role() -> None:
    """From now on this process works as the owner of the schema (MIGRATION_DATABASE_URL or its _FILE).

    Raises ConfigurationRefused when neither is set: the service's own role may not change tables.
    """
    url = secret_or_file("MIGRATION_DATABASE_URL")
    if url is None:
        raise ConfigurationRefused("MIGRATION_DATABASE_URL", "it is needed to migrate")
    os.environ.pop("DATABASE_URL_FILE", None)
    os.environ["DATABASE_URL"] = url
    settings.cache_clear()
