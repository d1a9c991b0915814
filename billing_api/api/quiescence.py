"""/internal/v1/quiescence: whether anything is still under way in BillingAPI."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing_api.api.internal import InternalView
from billing_api.api.run_bodies import QuiescenceBody
from billing_api.billing_service import queries


class Quiescence(InternalView):
    @extend_schema(operation_id="quiescence", tags=["operations"], responses={200: QuiescenceBody})
    def get(self, request: Request) -> Response:
        """What is still pending here, and how far each periodic run has come by the suite's clock."""
        return Response(queries.quiescence())
