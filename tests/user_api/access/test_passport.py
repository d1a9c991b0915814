"""Access passports: what they say, how long, and that the documented verifier trusts nothing else."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest

from shared import keys
from shared.clock import ManualClock
from tests.user_api.accounts.test_forged_tokens import Forge
from tests.user_api.commerce.conftest import Catalogue, Person
from tests.user_api.commerce.fakes import FakeBillingApi
from tests.user_api.commerce.test_access import MONTH, subscribe

PASSPORT = "/v1/me/access-passport"


@pytest.fixture(scope="module")
def watchable() -> Any:
    """The verifier as docs/access.md prints it."""
    text = (Path(__file__).parents[3] / "docs/access.md").read_text()
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert code
    body = code[1].split("def watchable")[1].split('"""', 2)[2].strip()
    assert len(body.splitlines()) <= 20
    scope: dict[str, Any] = {}
    exec(code[1], scope)
    return scope["watchable"]


@pytest.fixture
def real_time(clock: ManualClock) -> ManualClock:
    """Whoever verifies offline reads its own clock."""
    from shared.clock import SystemClock

    clock.set(SystemClock().now())
    return clock


async def test_a_player_verifies_it_offline(
    real_time: ManualClock,
    anna: Person,
    client: httpx.AsyncClient,
    catalogue: Catalogue,
    billing: FakeBillingApi,
    deliver: Any,
    watchable: Any,
) -> None:
    film, other = f"movie:{(shown := uuid4())}", f"movie:{uuid4()}"
    await catalogue.collection("basic", shown)
    await subscribe(anna, await catalogue.product("collection:basic", "feature:uhd"), billing, deliver)
    jwks = (await client.get("/.well-known/jwks.json")).json()
    answer = await client.post(PASSPORT, headers=anna.headers, json={"resources": [film, other]})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["resources"], body["features"]) == ([film], ["uhd"])
    assert watchable(body["passport"], film, jwks) == {"uhd"}
    assert watchable(body["passport"], other, jwks) is None
    claims = jwt.decode(body["passport"], options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 300
    assert claims["sub"] == str(anna.id)
    everything = (await client.post(PASSPORT, headers=anna.headers, json={})).json()
    assert everything["resources"] == ["collection:basic"]

    access = anna.headers["Authorization"].removeprefix("Bearer ")
    assert watchable(access, film, jwks) is None
    as_token = {"Authorization": f"Bearer {body['passport']}"}
    for path in ("/v1/me", "/v1/me/access-rights", f"/v1/me/access-rights/{film}"):
        assert (await client.get(path, headers=as_token)).status_code == 401
    assert (await client.post(PASSPORT, headers=as_token, json={})).status_code == 401


async def test_the_verifier_refuses_forgeries_and_what_is_over(
    real_time: ManualClock, anna: Person, client: httpx.AsyncClient, watchable: Any, jwt_keys_dir: Path
) -> None:
    jwks = (await client.get("/.well-known/jwks.json")).json()
    good = (await client.post(PASSPORT, headers=anna.headers, json={})).json()["passport"]
    forge = Forge(keys.load(jwt_keys_dir)[-1], good)
    late = int(real_time.now().timestamp()) - 31
    makers = {
        "own key": forge.own_key(),
        "own key in header": forge.own_key_in_header(),
        "none": forge.unsigned("none"),
        "HS256": forge.hmac_with_public_key(),
        "other curve": forge.other_curve(),
        "no signature": forge.no_signature(),
        "swapped": forge.payload_swapped(),
        "unknown kid": forge.with_header(kid="k"),
        "access typ": forge.with_header(typ="at+jwt"),
        "other audience": forge.with_claims(aud="user-api"),
        "other issuer": forge.with_claims(iss="me"),
        "over": forge.with_claims(exp=late),
        "without exp": forge.without("exp"),
    }
    for name, token in makers.items():
        try:
            assert watchable(token, "movie:x", jwks) is None, name
        except jwt.InvalidTokenError:
            continue
        assert name in ("own key in header", "none", "HS256", "other curve", "unknown kid", "access typ"), (
            name
        )


async def test_it_ends_with_the_right_and_cannot_be_had_after_it(
    anna: Person,
    client: httpx.AsyncClient,
    catalogue: Catalogue,
    billing: FakeBillingApi,
    deliver: Any,
    clock: ManualClock,
) -> None:
    await subscribe(anna, await catalogue.product("feature:uhd"), billing, deliver)
    until = clock.now() + MONTH
    for before_end, lives in ((timedelta(seconds=90), 90), (timedelta(), 300)):
        clock.set(until - before_end)
        login = {"email": "anna@example.com", "password": "correct horse battery"}
        token = (await client.post("/v1/auth/login", json=login)).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        body = (await client.post(PASSPORT, headers=headers, json={})).json()
        claims = jwt.decode(body["passport"], options={"verify_signature": False})
        assert claims["exp"] - claims["iat"] == lives
        assert claims["features"] == (["uhd"] if lives == 90 else [])


async def test_refusals(anna: Person, client: httpx.AsyncClient) -> None:
    for body in ({"resources": ["nothing"]}, {"resources": []}, {"resources": ["feature:x"] * 101}, {"a": 1}):
        assert (await client.post(PASSPORT, headers=anna.headers, json=body)).status_code == 422, body
    assert (await anna.delete("/v1/auth/sessions")).status_code == 204
    answer = await client.post(PASSPORT, headers=anna.headers, json={})
    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/session-ended")
