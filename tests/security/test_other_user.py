"""Every operation that lets users in, by user B on a real object of user A: as if it did not exist.

The cells are generated: an operation whose path names something without a real object here fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID, uuid4

from tests.security.conftest import Caller, Service, headers_of
from tests.security.operations import Operation
from tests.security.test_matrix import PUBLIC
from tests.user_api.commerce.conftest import CONSENT, Catalogue, Person, SignUp, card
from tests.user_api.commerce.fakes import FakeBillingApi

# Parts of a path that name nothing of a user's: a right is asked for by name, of the caller alone.
NOT_OBJECTS = {"resource", "provider", "kind"}
Objects = Mapping[str, Any]


def named(operation: Operation) -> list[str]:
    return [name for name in re.findall(r"\{(\w+)\}", operation.template) if name not in NOT_OBJECTS]


def cells(service: Service) -> list[Operation]:
    """Reads before writes; what ends a session or waits for an end last, for the owner's turn."""
    order = ("GET", "PATCH", "PUT", "POST", "DELETE")
    found = [one for one in service.operations if named(one) and one.name not in PUBLIC[service.name]]
    last = ("/auth/sessions/", "/events")
    return sorted(
        found, key=lambda one: (any(part in one.template for part in last), order.index(one.method))
    )


def path_of(operation: Operation, objects: Objects) -> str:
    """The address with the real objects in it; nothing stands in for one that is not there."""
    without = [name for name in named(operation) if name not in objects]
    assert without == [], f"{operation.name} has no real object for {without}"
    return operation.path(lambda name: objects[name])


def told(answer: Any, path: str) -> tuple[int, str]:
    """What a caller learns, without what differs between any two requests."""
    text = re.sub(r'"correlation_id":\s*"[^"]*"', "", answer.content.decode())
    for one in re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", path):
        text = text.replace(one, "ID")
    return answer.status_code, text


def request_of(operation: Operation, bodies: Mapping[str, Any]) -> dict[str, Any]:
    return {"json": bodies[operation.name]} if operation.name in bodies else operation.request()


async def see(
    service: Service,
    other: str,
    owner: str,
    objects: Objects,
    bodies: Mapping[str, Any],
    before_owner: Callable[[Operation], Any] | None = None,
) -> int:
    """Goes through the cells; gives how many there were."""
    seen = []

    async def ask(operation: Operation, path: str, token: str) -> Any:
        return await service.send(
            operation.method, path, headers=headers_of(token), **request_of(operation, bodies)
        )

    for operation in cells(service):
        path = operation.path()
        missing = told(await ask(operation, path, other), path)
        if missing[0] == 401:
            continue  # no user is let in at all: the matrix says so
        assert missing[0] == 404, f"{operation.name} needs a body that is read: {missing}"
        path = path_of(operation, objects)
        foreign = told(await ask(operation, path, other), path)
        assert foreign == missing, operation.name
        seen.append((operation, path, missing))
    for operation, path, missing in seen:  # the objects are real: their owner is told something else
        if before_owner is not None:
            await before_owner(operation)
        assert told(await ask(operation, path, owner), path) != missing, operation.name
    return len(seen)


async def test_user_api(
    user_service: Service,
    anna: Person,
    sign_up: SignUp,
    catalogue: Catalogue,
    billing: FakeBillingApi,
    deliver: Any,
) -> None:
    product, better = await catalogue.product("feature:uhd"), await catalogue.product("feature:hd", rank=1)
    bought = (await anna.buy(product, payment=card(save=True), consent=CONSENT)).json()
    billing.settle(UUID(bought["subscription"]["id"]))
    await deliver()
    (recurring,) = (await anna.get("/v1/me/recurring-payments")).json()["items"]
    (session,) = (await anna.get("/v1/auth/sessions")).json()["items"]
    objects = {
        "subscription_id": bought["subscription"]["id"],
        "product_id": bought["subscription"]["id"],  # under /v1/me a product is what was bought
        "invoice_id": bought["invoice"]["id"],
        "payment_id": bought["payment"]["id"],
        "recurring_payment_id": recurring["id"],
        "payment_method_id": recurring["payment_method_id"],
        "session_id": session["id"],
    }
    bodies = {
        "POST /v1/me/invoices/{invoice_id}/pay": {"payment": card()},
        "POST /v1/me/subscriptions/{subscription_id}/change-product": {"product_id": str(better)},
        "PATCH /v1/me/recurring-payments/{recurring_payment_id}": {
            "payment_method_id": recurring["payment_method_id"]
        },
    }
    boris = (await sign_up("boris@example.com")).headers["Authorization"]
    count = await see(user_service, boris, anna.headers["Authorization"], objects, bodies)
    of_users = [one for one in cells(user_service) if one.is_of_user]
    assert count == len(of_users) > 10


async def test_pay_api(pay_service: Service) -> None:
    caller = Caller(pay_service.key, pay_service.clock)
    payment_id = str(uuid4())
    amount = {"amount": 49900, "currency": "RUB"}
    body = {
        "payment_id": payment_id,
        "invoice_id": str(uuid4()),
        "user_id": str(caller.user_id),
        "amount": amount,
        "description": "Basic",
        "initiator": "customer",
        "method": {"kind": "hosted", "save_method": False},
        "payer": {"email": "anna@example.com", "locale": "en"},
        "receipt": {"lines": [{"label": "Basic", "quantity": 1, "amount": amount, "vat_rate_bp": 2000}]},
    }
    service = headers_of("Bearer user-api-credential")
    made = await pay_service.send(
        "POST", "/v1/payments", headers=service | {"Idempotency-Key": payment_id}, json=body
    )
    assert made.status_code == 201, made.text

    async def end_for_stream(operation: Operation) -> None:
        """The stream of a payment that goes on has no end."""
        if operation.template.endswith("/events"):
            ending = {"cancellation_id": str(uuid4()), "reason": "test"}
            path = f"/v1/payments/{payment_id}/cancel"
            ended = await pay_service.send("POST", path, headers=service, json=ending)
            assert ended.json()["status"] == "cancelled", ended.text

    other = f"Bearer {Caller(pay_service.key, pay_service.clock).token()}"
    owner = f"Bearer {caller.token()}"
    count = await see(pay_service, other, owner, {"payment_id": payment_id}, {}, end_for_stream)
    assert count == 5


def test_billing_api(billing_service: Service) -> None:
    from tests.billing_api.api import rows

    caller = Caller(billing_service.key, billing_service.clock)
    account = rows.account(caller.user_id)
    invoice = rows.invoice(account)
    objects = {"invoice_id": invoice.id, "credit_note_id": rows.credit_note(account, invoice).id}
    other = billing_service.actors["user"]()
    owner = f"Bearer {caller.token(epoch=2)}"
    seen = []
    for operation in cells(billing_service):
        path = operation.path()
        answer = billing_service.send(operation.method, path, headers_of(other), **operation.request())
        if answer.status_code == 401:
            continue
        missing = told(answer, path)
        assert missing[0] == 404, operation.name
        path = path_of(operation, objects)
        foreign = billing_service.send(operation.method, path, headers_of(other), **operation.request())
        assert told(foreign, path) == missing, operation.name
        own = billing_service.send(operation.method, path, headers_of(owner), **operation.request())
        assert own.status_code == 200, operation.name
        seen.append(operation)
    assert seen == [one for one in cells(billing_service) if one.is_of_user]
