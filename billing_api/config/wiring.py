"""What the views of one process share: its clock, its verifiers of callers, the suite's addresses."""

from __future__ import annotations

from functools import cache

from billing_api.billing_service.documents.seller import Seller
from billing_api.settings import AUDIENCE, settings
from shared.auth import EndUserVerifier, JwksKeys, ServiceVerifier
from shared.clock import Clock


@cache
def clock() -> Clock:
    """The clock of this process."""
    return settings().clock()


@cache
def end_users() -> EndUserVerifier:
    """Verifies access tokens meant for this service."""
    return EndUserVerifier(AUDIENCE, JwksKeys(settings().jwks_url), clock())


@cache
def services() -> ServiceVerifier:
    """Knows the services that may call /internal/."""
    return ServiceVerifier(settings().accepted_credentials)


@cache
def seller() -> Seller:
    """The seller of this installation."""
    own = settings()
    return Seller(
        name_ru=own.seller_name,
        name_en=own.seller_name_en,
        address_ru=own.seller_address,
        address_en=own.seller_address_en,
        tax_number=own.seller_inn,
        registration_reason_code=own.seller_kpp,
        registration_number=own.seller_ogrn,
        bank_ru=own.seller_bank,
        bank_en=own.seller_bank_en,
        email=own.seller_email,
        director_ru=own.seller_director,
        director_en=own.seller_director_en,
        accountant_ru=own.seller_accountant,
        accountant_en=own.seller_accountant_en,
    )
