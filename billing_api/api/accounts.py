"""/internal/v1/accounts, /access-bases: what other services ask about a user's standing here."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing_api.api import rows
from billing_api.api.bodies import AccessBasisBody, AccountFlowBody
from billing_api.api.documents import page_of
from billing_api.api.internal import InternalView
from billing_api.api.lists import newest_first
from billing_api.api.requests import OfUserQuery, read
from billing_api.billing_service import queries, subscription_terms
from billing_api.billing_service.models import Account, Subscription
from billing_api.billing_service.queries.shapes import moment
from shared.errors import not_found


class AccountView(InternalView):
    @extend_schema(operation_id="account", tags=["accounts"], responses={200: AccountFlowBody})
    def get(self, request: Request, user_id: UUID) -> Response:
        """A personal account, with all money that came in and went back for it."""
        if not Account.objects.filter(user_id=user_id).exists():
            raise not_found("account")
        return Response(queries.account_view(user_id) | queries.money_flow(user_id))


class AccessBases(InternalView):
    @extend_schema(
        operation_id="access_bases",
        tags=["accounts"],
        parameters=[OfUserQuery],
        responses={200: page_of(AccessBasisBody)},
    )
    def get(self, request: Request) -> Response:
        """What gives access, of one user or of all; UserAPI's rights are compared with it."""
        query = read(OfUserQuery, request.query_params, "query")
        found = rows.access_bases()
        if query["user_id"] is not None:
            found = found.filter(account__user_id=query["user_id"])
        return Response(newest_first(found, "created_at", query, _access_basis))


def _access_basis(row: Subscription) -> dict[str, Any]:
    return {
        "subscription_id": str(row.id),
        "user_id": str(row.account.user_id),
        "product_id": str(row.product_id),
        "status": row.status,
        "grants": row.product.grants,
        "until": moment(row.access_until),
        "reduced_grants": row.product.reduced_grants,
        "reduced_until": moment(subscription_terms.reduced_until(row)),
    }
