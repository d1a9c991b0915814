"""Who may call a view: only a caller its authentication has verified; operators for what is theirs alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from shared.auth import EndUser, Service

OPERATOR: Final = "operator"
# REST framework would answer OPTIONS with a description of its own; ours is /openapi.json.
METHODS: Final = ["get", "head", "post"]

if TYPE_CHECKING:  # REST framework loads this file while it is making APIView
    from rest_framework.views import APIView


class IsVerified(BasePermission):
    """The default: some verified caller. A view without authentication classes is closed by it."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.user, (EndUser, Service))


class IsEndUser(BasePermission):
    """A signed-in user, for /v1/me."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.user, EndUser)


class IsService(BasePermission):
    """One of our services or the operator, for /internal."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.user, Service)


class IsOperator(BasePermission):
    """The operator alone: a person at the other end, whose name comes with the request."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.user, Service) and request.user.name == OPERATOR


def caller_name(request: Request) -> str:
    """The verified caller as idempotency keys know it: the name of a service or the id of a user."""
    caller: object = request.user
    if isinstance(caller, Service):
        return caller.name
    return str(end_user(request).user_id)


def end_user(request: Request) -> EndUser:
    """The signed-in user of a /v1/me request."""
    caller: object = request.user
    assert isinstance(caller, EndUser)
    return caller
