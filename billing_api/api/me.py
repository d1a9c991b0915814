"""/v1/me: what a signed-in user sees of their own account."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing_api.api import rows
from billing_api.api.authentication import EndUserAuthentication
from billing_api.api.bodies import (
    AccountBody,
    ChargeBody,
    InvoiceBody,
    InvoiceProofBody,
    PaymentBody,
    StatementBody,
)
from billing_api.api.documents import page_of
from billing_api.api.lists import newest_first
from billing_api.api.permissions import METHODS, IsEndUser, end_user
from billing_api.api.requests import DocumentQuery, PageQuery, StatementQuery, read
from billing_api.api.statements import answer_invoice, answer_statement
from billing_api.billing_service import queries
from billing_api.billing_service.models import InvoiceLine
from billing_api.billing_service.queries.documents import line_view
from billing_api.billing_service.queries.shapes import moment
from shared.money import EXPONENTS

LOCALE = OpenApiParameter(
    "locale", str, enum=["ru", "en"], description="Language of the document; else Accept-Language decides"
)


class MeView(APIView):
    """Base of the views of /v1/me: a verified user, and only their own rows."""

    authentication_classes = (EndUserAuthentication,)
    permission_classes = (IsEndUser,)
    http_method_names = METHODS


class MyAccount(MeView):
    @extend_schema(operation_id="my_account", tags=["me"], responses={200: AccountBody})
    def get(self, request: Request) -> Response:
        """The personal account and its balance."""
        return Response(queries.account_view(end_user(request).user_id))


class MyInvoices(MeView):
    @extend_schema(
        operation_id="my_invoices", tags=["me"], parameters=[PageQuery], responses={200: page_of(InvoiceBody)}
    )
    def get(self, request: Request) -> Response:
        """Invoices, newest first."""
        query = read(PageQuery, request.query_params, "query")
        own = rows.invoices().filter(account__user_id=end_user(request).user_id)
        return Response(newest_first(own, "issued_at", query, queries.invoice_view))


class MyInvoice(MeView):
    @extend_schema(operation_id="my_invoice", tags=["me"], responses={200: InvoiceBody})
    def get(self, request: Request, invoice_id: UUID) -> Response:
        """One invoice with the steps that explain its figures."""
        return Response(queries.read_invoice(invoice_id, end_user(request).user_id))


class MyInvoiceProof(MeView):
    @extend_schema(operation_id="my_invoice_proof", tags=["me"], responses={200: InvoiceProofBody})
    def get(self, request: Request, invoice_id: UUID) -> Response:
        """Why each amount, worked out again from the stored inputs, and whether the figures agree."""
        return Response(queries.invoice_proof_view(rows.invoice(invoice_id, end_user(request).user_id)))


class MyInvoiceDocument(MeView):
    @extend_schema(
        operation_id="my_invoice_document",
        tags=["me"],
        parameters=[LOCALE],
        responses={(200, "application/pdf"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, invoice_id: UUID) -> HttpResponseBase:
        """One invoice as PDF, with what was paid and credited of it so far."""
        query = read(DocumentQuery, request.query_params, "query")
        return answer_invoice(request, end_user(request).user_id, invoice_id, query)


def _charge(line: InvoiceLine) -> dict[str, Any]:
    invoice = line.invoice
    return {
        **line_view(line, invoice.currency),
        "invoice_id": str(invoice.id),
        "invoice_number": invoice.number,
        "invoice_status": invoice.status,
        "charged_at": moment(invoice.issued_at),
    }


class MyCharges(MeView):
    @extend_schema(
        operation_id="my_charges", tags=["me"], parameters=[PageQuery], responses={200: page_of(ChargeBody)}
    )
    def get(self, request: Request) -> Response:
        """What was charged, newest first."""
        query = read(PageQuery, request.query_params, "query")
        own = rows.charges(end_user(request).user_id)
        page = newest_first(own, "invoice__issued_at", query, _charge)
        return Response(page)


class MyPayments(MeView):
    @extend_schema(
        operation_id="my_payments", tags=["me"], parameters=[PageQuery], responses={200: page_of(PaymentBody)}
    )
    def get(self, request: Request) -> Response:
        """Payments as billing sees them, newest first."""
        query = read(PageQuery, request.query_params, "query")
        own = rows.payments(end_user(request).user_id)
        return Response(newest_first(own, "created_at", query, queries.payment_view))


class MyStatement(MeView):
    @extend_schema(
        operation_id="my_statement",
        tags=["me"],
        parameters=[
            OpenApiParameter(
                "from", OpenApiTypes.DATE, description="First day (account's zone); 30 days ago when absent"
            ),
            OpenApiParameter("to", OpenApiTypes.DATE, description="Last day, included; today when absent"),
            OpenApiParameter("format", str, enum=["json", "csv", "pdf"]),
            OpenApiParameter("currency", str, enum=list(EXPONENTS), description="Else the account's own"),
            LOCALE,
        ],
        responses={
            (200, "application/json"): StatementBody,
            (200, "text/csv"): OpenApiTypes.STR,
            (200, "application/pdf"): OpenApiTypes.BINARY,
        },
    )
    def get(self, request: Request) -> HttpResponseBase:
        """The statement: opening balance, every movement with its document, closing balance.

        It is made while it is read, in each of the formats, whatever its length.
        """
        query = read(StatementQuery, request.query_params, "query")
        return answer_statement(request, end_user(request).user_id, query)
