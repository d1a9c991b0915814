"""What the views of /internal/ share: a calling service, and writes that run once per Idempotency-Key."""

from __future__ import annotations

from rest_framework.permissions import BasePermission
from rest_framework.views import APIView

from billing_api.api.authentication import ServiceAuthentication
from billing_api.api.permissions import METHODS, IsService


class InternalView(APIView):
    """Base of the views of /internal/: one of our services or the operator."""

    authentication_classes = (ServiceAuthentication,)
    permission_classes: tuple[type[BasePermission], ...] = (IsService,)
    http_method_names = METHODS
