"""RFC 9457 problem details: one form for every service, whatever framework answers."""

from __future__ import annotations

from typing import Any, Final

from shared.errors import AppError, Kind

CONTENT_TYPE: Final = "application/problem+json"

STATUS_OF_KIND: Final[dict[Kind, int]] = {
    Kind.MALFORMED: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.INVALID: 422,
    Kind.TOO_MANY: 429,
    Kind.BROKEN_INVARIANT: 500,
    Kind.UNAVAILABLE: 503,
}

CODE_OF_STATUS: Final[dict[int, str]] = {
    400: "malformed-request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    406: "not-acceptable",
    409: "conflict",
    413: "body-too-large",
    415: "unsupported-media-type",
    422: "invalid-request",
    429: "too-many-requests",
    500: "internal-error",
    503: "unavailable",
}

# What a problem looks like in an OpenAPI document.
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "examples": ["/problems/promo-code-expired"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "correlation_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


def problem(
    status: int, code: str, detail: str = "", /, *, correlation_id: str | None = None, **extra: Any
) -> dict[str, Any]:
    """The body of a problem: ``type`` is ``/problems/<code>``, stable; ``title`` is the code in words."""
    body: dict[str, Any] = {
        "type": f"/problems/{code}",
        "title": code.replace("-", " ").capitalize(),
        "status": status,
    }
    if detail:
        body["detail"] = detail
    if correlation_id:
        body["correlation_id"] = correlation_id
    body.update({name: value for name, value in extra.items() if name not in body})
    return body


def of_error(
    error: AppError, correlation_id: str | None = None
) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Status, body and headers for an AppError."""
    status = STATUS_OF_KIND[error.kind]
    # The words of a broken invariant are for the log and the pager, not for whoever called.
    detail = error.detail if error.kind is not Kind.BROKEN_INVARIANT else "Something is wrong on our side."
    headers = {"Content-Type": CONTENT_TYPE}
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(error.retry_after_seconds)
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return status, problem(status, error.code, detail, correlation_id=correlation_id, **error.extra), headers


def of_status(
    status: int, correlation_id: str | None = None, detail: str = "", **extra: Any
) -> dict[str, Any]:
    """The body for a bare status (404 of the router, 405, 500)."""
    code = CODE_OF_STATUS.get(status, "error")
    return problem(status, code, detail, correlation_id=correlation_id, **extra)
