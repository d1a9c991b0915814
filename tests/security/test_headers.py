"""Every class of answer carries the safe headers; no other origin is let in; other methods are refused."""

from __future__ import annotations

import inspect
from collections.abc import Coroutine
from typing import Any

from tests.security.conftest import Service, headers_of
from tests.security.operations import METHODS
from tests.security.test_bodies import TOO_LARGE

# Header -> what it must be (a prefix) on every answer of an API.
TABLE = {
    "strict-transport-security": "max-age=31536000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
ORIGIN = {"Origin": "https://elsewhere.example"}
PREFLIGHT = ORIGIN | {"Access-Control-Request-Method": "POST"}
READS = {
    "UserAPI": ("/v1/me", "user"),
    "PayAPI": ("/v1/payments", "service"),
    "BillingAPI": ("/v1/me/charges", "user"),
}


async def ask(service: Service, method: str, path: str, headers: Any, **given: Any) -> Any:
    answer = service.send(method, path, headers=headers, **given)
    return await answer if inspect.isawaitable(answer) else answer


async def authorized(service: Service, actor: str) -> dict[str, str]:
    given = service.actors[actor]()
    return headers_of(await given if inspect.isawaitable(given) else given)


def check(where: str, answer: Any, wrong: list[Any]) -> None:
    for name, value in TABLE.items():
        if not answer.headers.get(name, "").startswith(value):
            wrong.append((where, name, answer.headers.get(name)))
    for name in ("access-control-allow-origin", "access-control-allow-credentials"):
        if name in answer.headers:
            wrong.append((where, name, answer.headers[name]))
    if any(sign in answer.headers.get("server", "") for sign in "0123456789"):
        wrong.append((where, "server", answer.headers["server"]))
    if "x-powered-by" in answer.headers:
        wrong.append((where, "x-powered-by", ""))


async def look(service: Service) -> list[Any]:
    """One answer of each class: data, refusals of every kind, a page that is not there, a wrong method."""
    path, actor = READS[service.name]
    good, wrong = await authorized(service, actor), []
    write = next(o for o in service.operations if o.schema is not None and not o.form)
    json_type = {"Content-Type": "application/json"}
    classes = {
        200: await ask(service, "GET", path, good | ORIGIN),
        401: await ask(service, "GET", path, dict(ORIGIN)),
        404: await ask(service, "GET", "/nowhere", good | ORIGIN),
        405: await ask(service, "PUT", path, good | ORIGIN),
        413: await ask(service, "POST", write.path(), good | ORIGIN | json_type, content=TOO_LARGE),
    }
    for status, answer in classes.items():
        if answer.status_code != status:
            wrong.append((status, answer.status_code))
        check(f"{service.name} {status}", answer, wrong)
    preflight = await ask(service, "OPTIONS", path, dict(PREFLIGHT))
    check(f"{service.name} preflight", preflight, wrong)
    return wrong


async def other_methods(service: Service) -> list[Any]:
    """Methods an address does not list, TRACE included: 405, or 401 before it; never anything done."""
    offered: dict[str, set[str]] = {}
    for operation in service.operations:
        offered.setdefault(operation.template, set()).add(operation.method)
    wrong = []
    for operation in service.operations:
        own = offered[operation.template]
        good = await authorized(service, "operator" if operation.is_internal else READS[service.name][1])
        for method in ({name.upper() for name in METHODS} | {"TRACE"}) - own:
            answer = await ask(service, method, operation.path(), good)
            kind = answer.headers.get("content-type", "")
            if answer.status_code not in (401, 405) or kind != "application/problem+json":
                wrong.append((method, operation.template, answer.status_code))
            if method == "TRACE" and "Authorization" in answer.content.decode(errors="replace"):
                wrong.append(("TRACE", operation.template, "echoed"))
    return wrong


async def test_user_api(user_service: Service) -> None:
    assert await look(user_service) == []
    page = await user_service.send("GET", "/account/reset-password?key=x", headers=dict(ORIGIN))
    wrong: list[Any] = []
    check("UserAPI page", page, wrong)
    assert (page.status_code, wrong) == (200, [])
    assert await other_methods(user_service) == []


async def test_pay_api(pay_service: Service) -> None:
    assert await look(pay_service) == []
    assert await other_methods(pay_service) == []


def test_billing_api(billing_service: Service) -> None:
    assert at_once(look(billing_service)) == []
    assert at_once(other_methods(billing_service)) == []


def at_once(work: Coroutine[Any, Any, list[Any]]) -> list[Any]:
    """Runs what never has to wait: Django is asked in this thread, outside any event loop."""
    try:
        work.send(None)
    except StopIteration as done:
        found: list[Any] = done.value
        return found
    raise AssertionError("it waited")
