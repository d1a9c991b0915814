"""HTTP calls between our services: time-outs, correlation id, credentials, foreign errors translated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import httpx

from shared import correlation, tracing
from shared.errors import AppError, Kind, not_found, unavailable
from shared.problem import STATUS_OF_KIND

_KIND_OF_STATUS: Final = {status: kind for kind, status in STATUS_OF_KIND.items()}
_SECONDS: Final = re.compile(r"[0-9]{1,9}")
_PROBLEM_MEMBERS: Final = {"type", "title", "status", "detail", "correlation_id", "instance"}


class NoAnswer(AppError):
    """The callee may or may not have done it: the same call with the same key is the only safe retry."""

    def __init__(self, service: str, reason: str) -> None:
        super().__init__(
            f"{service}-unavailable",
            Kind.UNAVAILABLE,
            f"{service} did not answer ({reason}). Try again with the same Idempotency-Key.",
            retry_after_seconds=2,
        )


def _headers(token: str, idempotency_key: UUID | str | None) -> dict[str, str]:
    # Never X-Request-ID: that header is the payment provider's idempotency key.
    headers = {"Authorization": f"Bearer {token}", correlation.HEADER: correlation.current()}
    if idempotency_key is not None:
        headers["Idempotency-Key"] = str(idempotency_key)
    return headers


def _answer(service: str, response: httpx.Response) -> dict[str, Any]:
    """The JSON object of a 2xx; raises AppError with the callee's own code otherwise."""
    try:
        body = response.json() if response.content else {}
    except ValueError as error:
        raise NoAnswer(service, f"status {response.status_code}, no JSON") from error
    if not isinstance(body, dict):
        raise NoAnswer(service, "an answer of another shape")
    if response.is_success:
        return body
    code = str(body.get("type", "")).removeprefix("/problems/") or "error"
    if response.status_code >= 500 and response.status_code != 503:
        raise NoAnswer(service, f"status {response.status_code}")
    if response.status_code in (401, 403):
        # Our own credential was refused: not the end user's fault, so never passed on as theirs.
        raise unavailable(f"{service}-refused-credential", f"{service} does not accept our credential.", 30)
    kind = _KIND_OF_STATUS.get(response.status_code, Kind.INVALID)
    if kind is Kind.NOT_FOUND and code.endswith("-not-found"):
        # In our own words, as when it is there and somebody else's: the two must not be told apart.
        raise not_found(code.removesuffix("-not-found"))
    retry_after = response.headers.get("Retry-After", "")
    raise AppError(
        code,
        kind,
        str(body.get("detail", "")),
        extra={name: value for name, value in body.items() if name not in _PROBLEM_MEMBERS},
        retry_after_seconds=int(retry_after) if _SECONDS.fullmatch(retry_after) else None,
    )


class ServiceClient:
    """Calls one service asynchronously. ``timeout_seconds`` bounds the whole call.

    Raises AppError with the callee's code for its refusals and NoAnswer when the outcome is not known.
    Redirects are never followed.
    """

    def __init__(
        self,
        service: str,
        base_url: str,
        token: str,
        *,
        timeout_seconds: float,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.service = service
        self._token = token
        self._http = httpx.AsyncClient(
            base_url=base_url,
            timeout=httpx.Timeout(timeout_seconds, connect=2),
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=16),
            transport=transport,
            follow_redirects=False,
            trust_env=False,
        )

    async def call(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        params: Mapping[str, str | int] | None = None,
        idempotency_key: UUID | str | None = None,
    ) -> dict[str, Any]:
        headers = _headers(self._token, idempotency_key)
        with tracing.calling(self.service, method, headers) as span:
            try:
                response = await self._http.request(method, path, json=json, params=params, headers=headers)
            except httpx.HTTPError as error:
                raise NoAnswer(self.service, type(error).__name__) from error
            tracing.answered(span, response.status_code)
        return _answer(self.service, response)

    async def aclose(self) -> None:
        await self._http.aclose()


class SyncServiceClient:
    """The same for threads (Django, Celery)."""

    def __init__(
        self,
        service: str,
        base_url: str,
        token: str,
        *,
        timeout_seconds: float,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.service = service
        self._token = token
        self._http = httpx.Client(
            base_url=base_url,
            timeout=httpx.Timeout(timeout_seconds, connect=2),
            transport=transport,
            follow_redirects=False,
            trust_env=False,
        )

    def call(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        params: Mapping[str, str | int] | None = None,
        idempotency_key: UUID | str | None = None,
    ) -> dict[str, Any]:
        headers = _headers(self._token, idempotency_key)
        with tracing.calling(self.service, method, headers) as span:
            try:
                response = self._http.request(method, path, json=json, params=params, headers=headers)
            except httpx.HTTPError as error:
                raise NoAnswer(self.service, type(error).__name__) from error
            tracing.answered(span, response.status_code)
        return _answer(self.service, response)

    def close(self) -> None:
        self._http.close()
