"""The fast road of ``GET /v1/me/access-rights/{resource}``: answers a plain yes or no."""

from __future__ import annotations

import logging
import time
from datetime import datetime
from functools import lru_cache
from itertools import count
from typing import Final

from starlette.types import Scope, Send

from shared import correlation, logs, metrics
from shared.asgi import SAFE_HEADERS
from shared.auth import bearer
from shared.errors import AppError
from shared.ids import new_id
from user_api.rights_cache import RightsCache, holds
from user_api.user_service.access import RESOURCE, Decision
from user_api.verified_tokens import VerifiedTokens

PREFIX: Final = "/v1/me/access-rights/"
ROUTE: Final = PREFIX + "{resource}"
_HEADERS: Final = [
    (b"content-type", b"application/json"),
    *SAFE_HEADERS,
    (b"cache-control", b"no-store"),
]

log = logs.logger(__name__)
_named_log = logging.getLogger(__name__)


class AccessRoute:
    """Stands before the whole application and answers an access check that ends in 200.

    Whatever else may come of it (no token or a refused one, an ended session, a resource of another form,
    doubt) is left to the route of the same address, which says so in full: one place for every refusal.
    The answer, its headers and its metrics are those of that route; its line in the log is written at level
    DEBUG only and it is not traced, for these are the suite's most frequent requests.
    """

    def __init__(self, end_users: VerifiedTokens, rights: RightsCache) -> None:
        self._end_users = end_users
        self._rights = rights
        # One id drawn and counted on: a new one each time would cost more than the check itself.
        drawn = str(new_id())
        self._fresh_ids = (f"{drawn}.{number:x}" for number in count(1))
        self._answered = metrics.HTTP_REQUESTS.labels("GET", ROUTE, "200")
        self._seconds = metrics.HTTP_SECONDS.labels("GET", ROUTE)

    @staticmethod
    def fits(scope: Scope) -> bool:
        """Whether the request may be one of these."""
        return bool(scope["type"] == "http" and scope["method"] == "GET" and scope["path"].startswith(PREFIX))

    async def answer(self, scope: Scope, send: Send) -> bool:
        """Whether a request that ``fits`` has been answered."""
        started = time.perf_counter()
        correlation_id, authorization = _read_headers(scope)
        resource = scope["path"][len(PREFIX) :]
        if authorization is None or not RESOURCE.fullmatch(resource):
            return False
        decision = await self._decide(authorization, resource)
        if decision is None:
            return False
        body = _render(resource, decision)
        correlation_id = correlation.accept(correlation_id) if correlation_id else next(self._fresh_ids)
        headers = [
            *_HEADERS,
            (b"content-length", b"%d" % len(body)),
            (b"x-correlation-id", correlation_id.encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        seconds = time.perf_counter() - started
        self._answered.inc()
        self._seconds.observe(seconds)
        if _named_log.isEnabledFor(logging.DEBUG):
            log.debug(
                "request",
                method="GET",
                route=ROUTE,
                status=200,
                seconds=round(seconds, 4),
                correlation_id=correlation_id,
            )
        return True

    async def _decide(self, authorization: str, resource: str) -> Decision | None:
        """The decision for the token's owner, or None when the answer is not a plain yes or no."""
        try:
            user = self._end_users.verify(bearer(authorization))
            held = await self._rights.read_one(user.user_id)
        except AppError:
            return None
        return self._rights.decide(held, resource) if holds(held, user) else None


def _read_headers(scope: Scope) -> tuple[str, str | None]:
    """Correlation id and authorization; the latter is None where the application must look for itself."""
    correlation_id, authorization = "", None
    for name, value in scope["headers"]:
        if name == b"authorization":
            if authorization is not None:
                return "", None  # two of them
            authorization = value.decode("latin-1")
        elif name == b"x-correlation-id":
            correlation_id = value.decode("latin-1")
        elif name in (b"content-length", b"transfer-encoding"):
            return "", None  # a body: its limits are the application's matter
    return correlation_id, authorization


@lru_cache(maxsize=20_000)
def _render(resource: str, decision: Decision) -> bytes:
    """The JSON of ``AccessView``; the resource's form needs no escaping."""
    until = "null" if decision.until is None else f'"{_moment(decision.until)}"'
    granted = "true" if decision.granted else "false"
    return f'{{"resource":"{resource}","granted":{granted},"until":{until}}}'.encode()


def _moment(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
