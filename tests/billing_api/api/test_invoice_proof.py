"""Why an amount is what it is, and whether it follows, in one call; the user's own and a service's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.ids import new_id
from tests.billing_api.api import rows
from tests.billing_api.api.conftest import Callers
from tests.billing_api.api.test_problems import problem
from tests.billing_api.commands.conftest import world
from tests.billing_api.proofs.test_lines import TAMPERED

__all__ = ["world"]


def bought(callers: Callers, world: Any) -> Any:
    """A first invoice over 499.00 less 10 %, 49.00 of it taken from the balance."""
    from billing_api.billing_service.commands.grant_goodwill import grant_goodwill
    from shared.money import Money
    from tests.billing_api.commands.test_staff import said

    world.promo_code()
    anna = world.customer(callers.user_id)
    world.buy(anna, world.film)
    grant_goodwill(anna.user_id, Money(4900), **said(world))
    return world.buy(anna, promo_code="SPRING")


def proof(callers: Callers, invoice_id: Any) -> dict[str, Any]:
    """The same for the user and for a service."""
    mine = callers.me(f"/v1/me/invoices/{invoice_id}/proof")
    assert mine.status_code == 200, mine.content
    assert callers.get(f"/internal/v1/invoices/{invoice_id}/proof").content == mine.content
    body: dict[str, Any] = json.loads(mine.content)
    return body


def plain(texts: list[str]) -> list[str]:
    return [text.replace("\u00a0", " ") for text in texts]


def test_one_call_explains_recomputes_and_agrees(callers: Callers, world: Any) -> None:
    started = bought(callers, world)
    body = proof(callers, started.invoice_id)
    assert (body["number"], body["agrees"]) == ("2026-000002", True)
    (line,) = body["lines"]
    figures = {
        name: {"amount": amount, "currency": "RUB"}
        for name, amount in (("list_amount", 49900), ("discount", 4990), ("net", 44910), ("vat", 8099))
    } | {"vat_rate_bp": 2200}
    assert line["stored"] == line["recomputed"] == figures
    assert (line["agrees"], line["fault"]) == (True, None)
    assert plain(line["explanation"]["ru"]) == [
        "Цена по прайсу: 499,00 ₽",
        "Скидка (промокод SPRING), 10 %: −49,90 ₽",
        "Итого 449,10 ₽, в том числе НДС 22 %: 80,99 ₽",
    ]
    assert plain(line["explanation"]["en"])[-1] == "Total RUB 449.10, including VAT 22%: RUB 80.99"
    assert plain([line["verdict"]["ru"], line["verdict"]["en"]]) == [
        "Сходится: 449,10 ₽ получается заново из сохранённых данных.",
        "Agrees: RUB 449.10 is worked out again from the stored inputs.",
    ]
    due = body["amount_due_at_issue"]
    assert due["stored"] == due["recomputed"] == {"amount": 40010, "currency": "RUB"}
    assert plain(due["explanation"]["en"]) == [
        "Sum of the lines: RUB 449.10",
        "Taken from the account balance: RUB 49.00 (available RUB 49.00)",
        "Amount due: RUB 400.10",
    ]


@pytest.mark.parametrize("name", TAMPERED)
def test_a_tampered_figure_is_told(callers: Callers, world: Any, superuser: Any, name: str) -> None:
    started = bought(callers, world)
    place, sql = TAMPERED[name]
    superuser.execute(sql)
    body = proof(callers, started.invoice_id)
    (line,), due = body["lines"], body["amount_due_at_issue"]
    assert (body["agrees"], due["agrees"]) == (False, False)
    assert line["agrees"] is (place == "amount due")
    wrong = due if line["agrees"] else line
    assert wrong["fault"]
    assert wrong["verdict"]["ru"].startswith("Не сходится: ")
    assert wrong["verdict"]["en"].startswith("Does not agree: ")


def test_steps_that_cannot_be_read_are_told_too(callers: Callers, billing: Any) -> None:
    made = rows.invoice(rows.account(callers.user_id))
    (line,) = proof(callers, made.id)["lines"]
    assert (line["agrees"], line["recomputed"]) == (False, None)
    assert line["fault"] == "the stored steps cannot be read (KeyError)"


def test_somebody_elses_proof_does_not_exist(callers: Callers, billing: Any) -> None:
    made = rows.invoice(rows.account(new_id()))
    problem(callers.me(f"/v1/me/invoices/{made.id}/proof"), 404, "invoice-not-found")
    problem(callers.get(f"/internal/v1/invoices/{new_id()}/proof"), 404, "invoice-not-found")
