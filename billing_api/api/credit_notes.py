"""/v1/me/credit-notes: what was taken back of the user's invoices."""

from __future__ import annotations

from uuid import UUID

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing_api.api import rows
from billing_api.api.bodies import CreditNoteBody
from billing_api.api.documents import page_of
from billing_api.api.lists import newest_first
from billing_api.api.me import LOCALE, MeView
from billing_api.api.permissions import end_user
from billing_api.api.requests import DocumentQuery, PageQuery, read
from billing_api.api.statements import answer_credit_note
from billing_api.billing_service import queries


class MyCreditNotes(MeView):
    @extend_schema(
        operation_id="my_credit_notes",
        tags=["me"],
        parameters=[PageQuery],
        responses={200: page_of(CreditNoteBody)},
    )
    def get(self, request: Request) -> Response:
        """Credit notes, newest first."""
        query = read(PageQuery, request.query_params, "query")
        own = rows.credit_notes(end_user(request).user_id)
        return Response(newest_first(own, "issued_at", query, queries.credit_note_view))


class MyCreditNote(MeView):
    @extend_schema(operation_id="my_credit_note", tags=["me"], responses={200: CreditNoteBody})
    def get(self, request: Request, credit_note_id: UUID) -> Response:
        """One credit note with what is credited of each line."""
        found = rows.credit_note(credit_note_id, end_user(request).user_id)
        return Response(queries.credit_note_view(found))


class MyCreditNoteDocument(MeView):
    @extend_schema(
        operation_id="my_credit_note_document",
        tags=["me"],
        parameters=[LOCALE],
        responses={(200, "application/pdf"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, credit_note_id: UUID) -> HttpResponseBase:
        """One credit note as PDF."""
        query = read(DocumentQuery, request.query_params, "query")
        return answer_credit_note(request, end_user(request).user_id, credit_note_id, query)
