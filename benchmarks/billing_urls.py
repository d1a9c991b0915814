"""BillingAPI's routes, and rivals of reading one invoice: a bare route, a ModelSerializer, an empty one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import connections
from django.urls import path
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing_api.billing_service.models import Invoice, InvoiceLine
from billing_api.billing_service.queries.invoice_reading import InvoiceRow, LineRow
from billing_api.config import urls

_NAMES = (*InvoiceRow._fields, *(f"line_{name}" for name in LineRow._fields))
_SQL = """
SELECT i.id, i.number, a.user_id, i.subscription_id, i.kind, i.status, i.collection, i.currency,
    i.total_minor, i.vat_minor, i.balance_applied_minor, i.paid_minor, i.credited_minor, i.amount_due_minor,
    i.steps, i.reason, i.issued_at, i.due_at, i.paid_at, l.id, l.kind, l.description, l.product_id,
    l.price_id,
    l.quantity, l.list_minor, l.discount_minor, l.net_minor, l.vat_minor, l.vat_rate_bp, l.period_start_on,
    l.period_end_on, l.steps
FROM invoice i JOIN account a ON a.id = i.account_id JOIN invoice_line l ON l.invoice_id = i.id
WHERE i.id = %s ORDER BY l.position
"""


class Open(APIView):
    """In the same middleware, for any caller."""

    authentication_classes = ()
    permission_classes = (AllowAny,)


class Empty(Open):
    """What DRF itself costs: nothing is read."""

    def get(self, request: Request) -> Response:
        return Response({"id": "00000000-0000-0000-0000-000000000000", "number": "2026-000001"})


class Bare(Open):
    """The same columns by one statement, given as they come."""

    def get(self, request: Request, invoice_id: UUID) -> Response:
        with connections["billing"].cursor() as cursor:
            cursor.execute(_SQL, [invoice_id])
            return Response([dict(zip(_NAMES, row, strict=True)) for row in cursor.fetchall()])


class LineSerializer(serializers.ModelSerializer[InvoiceLine]):
    class Meta:
        model = InvoiceLine
        fields = "__all__"


class InvoiceSerializer(serializers.ModelSerializer[Invoice]):
    lines = LineSerializer(many=True)

    class Meta:
        model = Invoice
        fields = "__all__"


class Naive(Open):
    """As it is written first: a ModelSerializer with its lines."""

    def get(self, request: Request, invoice_id: UUID) -> Response:
        row: Any = Invoice.objects.get(id=invoice_id)
        return Response(InvoiceSerializer(row).data)


# Before everything else: the rivals do not even look for their routes.
urlpatterns = [
    path("empty", Empty.as_view()),
    path("bare/<uuid:invoice_id>", Bare.as_view()),
    path("naive/<uuid:invoice_id>", Naive.as_view()),
    *urls.urlpatterns,
]
