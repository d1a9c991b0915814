"""Answers with a statement in a stream, as JSON, CSV or PDF; and with an invoice or a credit note as PDF."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import chain, islice
from typing import Any, Final, TypeVar
from uuid import UUID

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from billing_api.api import rows
from billing_api.api.languages import language
from billing_api.billing_service.documents.credit_note_document import credit_note_document
from billing_api.billing_service.documents.invoice_document import invoice_document
from billing_api.billing_service.documents.statement_csv import statement_csv
from billing_api.billing_service.documents.statement_document import statement_pdf
from billing_api.billing_service.documents.typesetting import set_pdf
from billing_api.billing_service.models import Account
from billing_api.billing_service.statement import Statement, make_statement, statement_json
from billing_api.config import wiring
from shared.errors import invalid
from shared.period import day_in_zone

USUAL_DAYS: Final = 30
_MAX_DAYS: Final = 3660
_FIRST_DAY: Final = date(2000, 1, 1)
_LAST_DAY: Final = date(2999, 12, 31)
_PIECE_BYTES: Final = 32 * 1024
_FIRST_PIECES: Final = 2  # the first line of the file, and the first object of the first pages
Answer = TypeVar("Answer", HttpResponse, StreamingHttpResponse)


def answer_statement(request: Request, user_id: UUID, query: dict[str, Any]) -> HttpResponseBase:
    """The statement in the format of the query. Raises ``range-invalid`` (422)."""
    account = Account.objects.filter(user_id=user_id).first()
    statement = _statement(account, user_id, query)
    told = language(request, query["locale"], account)
    name = f"statement-{statement.from_on}-{statement.to_on}-{statement.currency}"
    match query["format"]:
        case "csv":
            return _stream(statement_csv(statement, told), "text/csv; charset=utf-8", f"{name}.csv", told)
        case "pdf":
            now = wiring.clock().now()
            pieces = _begun(statement_pdf(statement, wiring.seller(), told, now))
            answer = StreamingHttpResponse(_pieces(pieces), content_type="application/pdf")
            return _named(answer, "inline", f"{name}.pdf", told)
        case _:
            return StreamingHttpResponse(_pieces(statement_json(statement)), content_type="application/json")


def answer_invoice(request: Request, user_id: UUID, invoice_id: UUID, query: dict[str, Any]) -> HttpResponse:
    """An invoice of the user as PDF. Raises ``invoice-not-found`` (404)."""
    invoice = rows.invoice(invoice_id, user_id)
    told = language(request, query["locale"], invoice.account)
    now = wiring.clock().now()
    data = invoice_document(invoice, wiring.seller(), told, now)
    return _pdf(set_pdf("invoice", data, now), f"invoice-{invoice.number}", told)


def answer_credit_note(request: Request, user_id: UUID, note_id: UUID, query: dict[str, Any]) -> HttpResponse:
    """A credit note of the user as PDF. Raises ``credit-note-not-found`` (404)."""
    note = rows.credit_note(note_id, user_id)
    told = language(request, query["locale"], note.account)
    now = wiring.clock().now()
    data = credit_note_document(note, wiring.seller(), told, now)
    return _pdf(set_pdf("credit_note", data, now), f"credit-note-{note.number}", told)


def _statement(account: Account | None, user_id: UUID, query: dict[str, Any]) -> Statement:
    """The last 30 days of the account's zone when no range is named; at most ten years."""
    from_on, to_on = query["from"], query["to"]
    zone = account.time_zone if account else "Europe/Moscow"
    to_on = to_on or day_in_zone(wiring.clock().now(), zone)
    if not _FIRST_DAY <= to_on <= _LAST_DAY:
        raise invalid("range-invalid", "There is no statement of such a day.")
    from_on = from_on or to_on - timedelta(days=USUAL_DAYS)
    if (to_on - from_on).days > _MAX_DAYS:
        raise invalid("range-invalid", "A statement covers at most ten years.")
    return make_statement(user_id, from_on, to_on, query["currency"])


def _begun(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same pieces, the first of them made at once: what cannot be set is still answered as a problem."""
    ready = list(islice(pieces, _FIRST_PIECES))
    return chain(ready, pieces)


def _pieces(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Lines gathered into pieces worth a write to the network."""
    held: list[bytes] = []
    size = 0
    for line in lines:
        held.append(line)
        size += len(line)
        if size >= _PIECE_BYTES:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)


def _stream(lines: Iterator[bytes], content_type: str, name: str, told: str) -> StreamingHttpResponse:
    answer = StreamingHttpResponse(_pieces(lines), content_type=content_type)
    return _named(answer, "attachment", name, told)


def _pdf(document: bytes, name: str, told: str) -> HttpResponse:
    return _named(HttpResponse(document, content_type="application/pdf"), "inline", f"{name}.pdf", told)


def _named(answer: Answer, how: str, name: str, told: str) -> Answer:
    answer["Content-Disposition"] = f'{how}; filename="{name}"'
    answer["Content-Language"] = told
    answer["Vary"] = "Accept-Language"
    return answer
