"""At least 36 forged tokens against every operation of the three APIs that asks for a user or a service."""

from __future__ import annotations

from typing import Any

from tests.security.conftest import Caller, Service, headers_of
from tests.security.test_matrix import PUBLIC
from tests.user_api.accounts.test_forged_tokens import FORGERIES, Forge


def pack(service: Service) -> dict[str, str]:
    """Forgeries of a good token, one of them checked to be good at all by the matrix."""
    forge = Forge(service.key, Caller(service.key, service.clock).token())
    made = {name: make(forge) for name, make in FORGERIES.items()}
    # For this service a list that leaves it out is another audience, whatever else stands in it.
    made["audience of the two others"] = forge.with_claims(
        aud=[name for name in ("user-api", "billing-api", "pay-api") if name != _audience(service)]
    )
    return made


def _audience(service: Service) -> str:
    return {"UserAPI": "user-api", "PayAPI": "pay-api", "BillingAPI": "billing-api"}[service.name]


def protected(service: Service) -> list[Any]:
    return [operation for operation in service.operations if operation.name not in PUBLIC[service.name]]


async def _refused_everywhere(service: Service) -> None:
    tokens = pack(service)
    assert len(tokens) >= 36
    wrong = []
    for operation in protected(service):
        for name, token in tokens.items():
            headers = headers_of(f"Bearer {token}")
            answer = await service.send(
                operation.method, operation.path(), headers=headers, **operation.request()
            )
            if answer.status_code != 401 or answer.headers["content-type"] != "application/problem+json":
                wrong.append((operation.name, name, answer.status_code))
    assert wrong == []


async def test_user_api(user_service: Service) -> None:
    await _refused_everywhere(user_service)


async def test_pay_api(pay_service: Service) -> None:
    await _refused_everywhere(pay_service)


def test_billing_api(billing_service: Service) -> None:
    tokens = pack(billing_service)
    wrong = []
    for operation in protected(billing_service):
        for name, token in tokens.items():
            headers = headers_of(f"Bearer {token}")
            answer = billing_service.send(operation.method, operation.path(), headers, **operation.request())
            if answer.status_code != 401 or answer.headers["content-type"] != "application/problem+json":
                wrong.append((operation.name, name, answer.status_code))
    assert wrong == []
    good = headers_of(f"Bearer {Caller(billing_service.key, billing_service.clock).token()}")
    assert billing_service.send("GET", "/v1/me/charges", good).status_code == 200  # the forge's key is good
