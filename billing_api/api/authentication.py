"""Verifies who calls: end users by their access token and its standing here, services by their credential."""

from __future__ import annotations

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from billing_api.api.standing import refuse_revoked
from billing_api.config import wiring
from shared.auth import EndUser, Service, bearer


class EndUserAuthentication(BaseAuthentication):
    """An access token of UserAPI for this service, not revoked as far as BillingService has heard.

    Raises AppError: ``unauthenticated``, ``token-invalid``, ``token-expired``, ``session-ended`` (all 401)
    and ``account-blocked`` (403).
    """

    def authenticate(self, request: Request) -> tuple[EndUser, None]:
        user = wiring.end_users().verify(bearer(request.headers.get("Authorization")))
        refuse_revoked(user)
        return user, None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class ServiceAuthentication(BaseAuthentication):
    """The credential of a calling service.

    Raises AppError ``unauthenticated`` or ``credential-invalid`` (401).
    """

    def authenticate(self, request: Request) -> tuple[Service, None]:
        return wiring.services().verify(request.headers.get("Authorization")), None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class EndUserScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the documentation names the access token."""

    target_class = EndUserAuthentication
    name = "access_token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class ServiceScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the documentation names a service's credential."""

    target_class = ServiceAuthentication
    name = "service_credential"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}
