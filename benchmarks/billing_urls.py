"""BillingAPI's routes and, beside them, a bare route of the same framework that reads nothing."""

from __future__ import annotations

from django.urls import path
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing_api.config import urls


class Bare(APIView):
    """No caller, no database: what DRF itself costs, in the same middleware."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def get(self, request: Request) -> Response:
        return Response({"id": "00000000-0000-0000-0000-000000000000", "number": "2026-000001"})


# Before everything else: the rival does not even look for its route.
urlpatterns = [path("bare", Bare.as_view()), *urls.urlpatterns]
