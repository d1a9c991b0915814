"""Turns every failure of a request into problem details of the suite's one form."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework import exceptions

from shared import correlation, logs, problem
from shared.errors import AppError, Kind, unavailable

# Refusals that operators watch: who is not known, not allowed, or too eager.
_SECURITY_KINDS: Final = frozenset({Kind.UNAUTHENTICATED, Kind.FORBIDDEN, Kind.TOO_MANY})

log = logs.logger(__name__)


def respond(status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> HttpResponse:
    """A problem as a response; the text is formed exactly as in the ASGI services."""
    text = json.dumps(body, ensure_ascii=False, default=str)
    kept = {name: value for name, value in (headers or {}).items() if name != "Content-Type"}
    return HttpResponse(text, status=status, headers=kept, content_type=problem.CONTENT_TYPE)


def of_status(
    status: int, detail: str = "", headers: Mapping[str, str] | None = None, **extra: Any
) -> HttpResponse:
    """A problem for a bare status."""
    return respond(status, problem.of_status(status, correlation.current(), detail, **extra), headers)


def of_error(error: AppError) -> HttpResponse:
    """A problem for a refusal; a broken invariant is logged for the pager."""
    status, body, headers = problem.of_error(error, correlation.current())
    if error.kind is Kind.BROKEN_INVARIANT:
        log.error("broken-invariant", code=error.code, detail=error.detail)
    elif error.kind in _SECURITY_KINDS:
        log.warning("access-refused", code=error.code)
    return respond(status, body, headers)


def handle(error: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """REST framework's exception handler. None leaves the error to ``on_error`` (500)."""
    if isinstance(error, AppError):
        return of_error(error)
    if isinstance(error, exceptions.ValidationError):
        return invalid_fields("body", error.detail)
    if isinstance(error, Http404):
        return of_status(404, HTTPStatus.NOT_FOUND.phrase)
    if isinstance(error, exceptions.ParseError):
        return of_status(400, str(error.detail))
    if isinstance(error, exceptions.MethodNotAllowed):
        return of_status(405, HTTPStatus.METHOD_NOT_ALLOWED.phrase, _allow(context))
    if isinstance(error, exceptions.NotAuthenticated):
        return of_status(401, "Sign in first.", {"WWW-Authenticate": "Bearer"})
    if isinstance(error, exceptions.APIException):
        detail = HTTPStatus(error.status_code).phrase if error.status_code < 500 else ""
        return of_status(error.status_code, detail)
    if isinstance(error, (OperationalError, InterfaceError)):
        # A lock not had in time, a deadlock, a database that is away: nothing was written, try again.
        log.warning("database-refused", reason=type(error).__name__, exc_info=error)
        return of_error(unavailable("database-busy", "The database did not answer in time."))
    return None


def invalid_fields(place: str, detail: Any) -> HttpResponse:
    """422 with the fields at fault; their values are not repeated, they may be secrets."""
    fields = [{"field": field, "message": message} for field, message in flatten(place, detail)]
    return of_status(422, "Some fields are not as they should be.", errors=fields)


def flatten(path: str, detail: Any) -> Iterator[tuple[str, str]]:
    """(field, message) of REST framework's nested errors."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            yield from flatten(path if name == "non_field_errors" else f"{path}.{name}", inner)
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            nested = isinstance(inner, (Mapping, list))
            yield from flatten(f"{path}.{index}" if nested else path, inner)
    elif getattr(detail, "code", None) == "invalid_choice":
        yield path, "This is not one of the words known here."  # REST framework's own text repeats the value
    else:
        yield path, str(detail)


def _allow(context: Mapping[str, Any]) -> dict[str, str]:
    view = context.get("view")
    return {"Allow": ", ".join(view.allowed_methods)} if view is not None else {}


def on_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's 404: no such path."""
    return of_status(404, HTTPStatus.NOT_FOUND.phrase)


def on_bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's 400: a request it would not read."""
    return of_status(400)


def on_error(request: HttpRequest) -> HttpResponse:
    """Django's 500; the traceback is in the log under the correlation id."""
    return of_status(500, "Something is wrong on our side.")
