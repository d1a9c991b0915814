"""/v1/me: what a signed-in user sees of their own account."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing_api.api import rows
from billing_api.api.authentication import EndUserAuthentication
from billing_api.api.bodies import AccountBody, ChargeBody, InvoiceBody, PaymentBody, StatementBody
from billing_api.api.documents import page_of
from billing_api.api.lists import newest_first
from billing_api.api.permissions import IsEndUser, end_user
from billing_api.api.requests import PageQuery, StatementQuery, read
from billing_api.api.statements import statement_body


class MeView(APIView):
    """Base of the views of /v1/me: a verified user, and only their own rows."""

    authentication_classes = (EndUserAuthentication,)
    permission_classes = (IsEndUser,)


class MyAccount(MeView):
    @extend_schema(operation_id="my_account", tags=["me"], responses={200: AccountBody})
    def get(self, request: Request) -> Response:
        """The personal account and its balance."""
        user_id = end_user(request).user_id
        found = rows.account(user_id)
        return Response(rows.account_body(found) if found else rows.unknown_account_body(user_id))


class MyInvoices(MeView):
    @extend_schema(
        operation_id="my_invoices", tags=["me"], parameters=[PageQuery], responses={200: page_of(InvoiceBody)}
    )
    def get(self, request: Request) -> Response:
        """Invoices, newest first."""
        query = read(PageQuery, request.query_params, "query")
        own = rows.invoices().filter(account__user_id=end_user(request).user_id)
        return Response(newest_first(own, "issued_at", query, lambda r: InvoiceBody(r, many=True).data))


class MyInvoice(MeView):
    @extend_schema(operation_id="my_invoice", tags=["me"], responses={200: InvoiceBody})
    def get(self, request: Request, invoice_id: UUID) -> Response:
        """One invoice with the steps that explain its figures."""
        return Response(InvoiceBody(rows.invoice(invoice_id, end_user(request).user_id)).data)


class MyCharges(MeView):
    @extend_schema(
        operation_id="my_charges", tags=["me"], parameters=[PageQuery], responses={200: page_of(ChargeBody)}
    )
    def get(self, request: Request) -> Response:
        """What was charged, newest first."""
        query = read(PageQuery, request.query_params, "query")
        own = rows.charges(end_user(request).user_id)
        page = newest_first(own, "invoice__issued_at", query, lambda r: ChargeBody(r, many=True).data)
        return Response(page)


class MyPayments(MeView):
    @extend_schema(
        operation_id="my_payments", tags=["me"], parameters=[PageQuery], responses={200: page_of(PaymentBody)}
    )
    def get(self, request: Request) -> Response:
        """Payments as billing sees them, newest first."""
        query = read(PageQuery, request.query_params, "query")
        own = rows.payments(end_user(request).user_id)
        return Response(newest_first(own, "created_at", query, lambda r: PaymentBody(r, many=True).data))


class MyStatement(MeView):
    @extend_schema(
        operation_id="my_statement",
        tags=["me"],
        parameters=[
            OpenApiParameter("from", str, description="First day (account's zone); 30 days ago when absent"),
            OpenApiParameter("to", str, description="Last day, included; today when absent"),
            OpenApiParameter("format", str, enum=["json"]),
        ],
        responses={200: StatementBody},
    )
    def get(self, request: Request) -> Response:
        """The statement: opening balance, every movement with its document, closing balance."""
        query: dict[str, Any] = read(StatementQuery, request.query_params, "query")
        return Response(statement_body(end_user(request).user_id, query["from"], query["to"]))
