"""Who gets in: every route of the API against every wrong kind of caller."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.auth import TOKEN_TYPE
from tests.billing_api.api.conftest import NOW, SERVICE_TOKEN, Callers
from tests.billing_api.api.test_problems import problem
from tests.servers import DatabaseUrls

OPEN = {"healthz", "readyz", "metrics", "openapi.json", "docs", "docs/assets/<str:name>"}


def routes() -> Iterator[tuple[str, str]]:
    """(method, path) of everything that is not open to all, with ids filled in."""
    from billing_api.config.urls import urlpatterns

    for pattern in urlpatterns:
        route = str(pattern.pattern)
        if route in OPEN:
            continue
        path = re.sub(r"<int:\w+>", "0", re.sub(r"<id:\w+>", str(UUID(int=7)), route))
        for method in pattern.callback.view_class.http_method_names:
            if hasattr(pattern.callback.view_class, method) and method != "options":
                yield method, "/" + path


def send(callers: Callers, method: str, path: str, authorization: str | None) -> Any:
    headers = {"Idempotency-Key": "k"} | ({"Authorization": authorization} if authorization else {})
    body = {} if method in ("get", "head") else {"data": "{}", "content_type": "application/json"}
    return getattr(callers.client, method)(path, headers=headers, **body)


def test_every_route_is_under_a_known_root(callers: Callers) -> None:
    found = {path.split("/")[1] for _, path in routes()}
    assert found == {"v1", "internal"}
    assert all(path.startswith(("/v1/me/", "/internal/v1/")) for _, path in routes())


def test_no_credential_wrong_kind_or_nonsense_is_401_everywhere(callers: Callers) -> None:
    for method, path in routes():
        wrong_kind = callers.token() if path.startswith("/internal/") else SERVICE_TOKEN
        for given in (None, "Bearer nonsense", f"Bearer {wrong_kind}", f"Basic {SERVICE_TOKEN}", "Bearer"):
            answer = send(callers, method, path, given)
            assert answer.status_code == 401, (method, path, given, answer.content)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            if method != "head":
                problem(answer, 401, re.search(r"/problems/([\w-]+)", answer.content.decode())[1])


def test_tokens_that_are_not_for_us(callers: Callers) -> None:
    expired = {"exp": int((NOW - timedelta(seconds=1)).timestamp())}
    problem(callers.me("/v1/me/account", **expired), 401, "token-expired")
    for changes in (
        {"aud": ["user-api", "pay-api"]},
        {"iss": "somebody-else"},
        {"nbf": int((NOW + timedelta(minutes=5)).timestamp())},
        {"sub": "not-an-id"},
        {"epoch": "1"},
    ):
        problem(callers.me("/v1/me/account", **changes), 401, "token-invalid")


def test_a_token_signed_by_another_key(callers: Callers) -> None:
    claims = jwt.decode(callers.token(), options={"verify_signature": False})
    other = Ed25519PrivateKey.generate()
    forged = jwt.encode(claims, other, algorithm="EdDSA", headers={"typ": TOKEN_TYPE, "kid": "k1"})
    answer = callers.client.get("/v1/me/account", headers={"Authorization": f"Bearer {forged}"})
    problem(answer, 401, "token-invalid")


def test_the_suites_clock_ends_a_token(callers: Callers) -> None:
    token = callers.token()
    callers.clock.advance(timedelta(minutes=10))
    answer = callers.client.get("/v1/me/account", headers={"Authorization": f"Bearer {token}"})
    problem(answer, 401, "token-expired")


def test_both_credentials_of_a_rotation_are_accepted(callers: Callers) -> None:
    assert callers.get("/internal/v1/quiescence").status_code == 200
    assert callers.get("/internal/v1/quiescence", "the-next-one").status_code == 200


@pytest.fixture
def standing(billing: DatabaseUrls, callers: Callers) -> Any:
    """Writes what UserAPI's events said of the user."""
    from billing_api.billing_service.models import TokenState

    def write(**changes: Any) -> None:
        values = {"sequence": 1, "token_epoch": 1, "updated_at": NOW} | changes
        TokenState.objects.update_or_create(user_id=callers.user_id, defaults=values)

    return write


def test_a_standing_user_gets_in(standing: Any, callers: Callers) -> None:
    assert callers.me("/v1/me/account").status_code == 200
    standing()
    assert callers.me("/v1/me/account").status_code == 200


def test_an_older_epoch_is_over(standing: Any, callers: Callers) -> None:
    standing(token_epoch=2)
    problem(callers.me("/v1/me/account"), 401, "session-ended")
    assert callers.me("/v1/me/account", epoch=2).status_code == 200


def test_an_ended_session_is_over_and_others_go_on(standing: Any, callers: Callers) -> None:
    standing(revoked_families=[str(callers.family_id)])
    problem(callers.me("/v1/me/account"), 401, "session-ended")
    assert callers.me("/v1/me/account", fam=str(UUID(int=9))).status_code == 200


def test_a_blocked_user_is_told_so(standing: Any, callers: Callers) -> None:
    standing(is_blocked=True)
    problem(callers.me("/v1/me/account"), 403, "account-blocked")
