"""/internal/v1/accounts, /access-bases: what other services ask about a user's standing here."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing_api.api import rows
from billing_api.api.bodies import AccessBasisBody, AccountBody
from billing_api.api.documents import page_of
from billing_api.api.internal import InternalView
from billing_api.api.lists import newest_first
from billing_api.api.requests import OfUserQuery, read
from shared.errors import not_found


class AccountView(InternalView):
    @extend_schema(operation_id="account", tags=["accounts"], responses={200: AccountBody})
    def get(self, request: Request, user_id: UUID) -> Response:
        """A personal account."""
        found = rows.account(user_id)
        if found is None:
            raise not_found("account")
        return Response(rows.account_body(found))


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
        page = newest_first(found, "created_at", query, lambda r: AccessBasisBody(r, many=True).data)
        return Response(page)
