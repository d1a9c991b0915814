"""What the views of one process share: its clock, its verifiers of callers, the suite's addresses."""

from __future__ import annotations

from functools import cache

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
