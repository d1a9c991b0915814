"""/internal/v1/invoices: invoices of any user."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing_api.api import rows
from billing_api.api.bodies import InvoiceBody, InvoiceProofBody
from billing_api.api.documents import page_of
from billing_api.api.internal import InternalView
from billing_api.api.lists import newest_first
from billing_api.api.requests import InvoicesQuery, read
from billing_api.billing_service import queries


class Invoices(InternalView):
    @extend_schema(
        operation_id="invoices",
        tags=["invoices"],
        parameters=[InvoicesQuery],
        responses={200: page_of(InvoiceBody)},
    )
    def get(self, request: Request) -> Response:
        """Invoices, newest first; of one user, in one status, or all."""
        query = read(InvoicesQuery, request.query_params, "query")
        found = rows.invoices()
        if query["user_id"] is not None:
            found = found.filter(account__user_id=query["user_id"])
        if query["status"] is not None:
            found = found.filter(status=query["status"])
        return Response(newest_first(found, "issued_at", query, queries.invoice_view))


class Invoice(InternalView):
    @extend_schema(operation_id="invoice", tags=["invoices"], responses={200: InvoiceBody})
    def get(self, request: Request, invoice_id: UUID) -> Response:
        """One invoice."""
        return Response(queries.read_invoice(invoice_id))


class InvoiceProof(InternalView):
    @extend_schema(operation_id="invoice_proof", tags=["invoices"], responses={200: InvoiceProofBody})
    def get(self, request: Request, invoice_id: UUID) -> Response:
        """Every line and the amount due worked out again from the stored inputs, and whether they agree."""
        return Response(queries.invoice_proof_view(rows.invoice(invoice_id)))
