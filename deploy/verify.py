"""Whether the services agree on the same money and rights: ``make verify``."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from deploy.time_travel import SERVICES, call

Row = Mapping[str, Any]
SHOWN = 20  # offending rows per check


@dataclass(frozen=True, slots=True)
class Check:
    """``offending``: each row that breaks it, as a short text; it holds when there is none."""

    name: str
    offending: Sequence[str]

    @property
    def holds(self) -> bool:
        return not self.offending


class Services:
    """Reads the internal lists of the three APIs as their operator.

    ``urls`` as ``make urls`` gives them, ``tokens`` the operator's, by service.
    """

    def __init__(self, urls: Mapping[str, object], tokens: Mapping[str, str]) -> None:
        self._urls, self._tokens = urls, tokens

    def get(self, service: str, path: str, **query: str) -> Row:
        url = f"{self._urls[service.replace('-', '_')]}{path}"
        return call(f"{url}?{urlencode(query)}" if query else url, self._tokens[service])

    def rows(self, service: str, path: str, **query: str) -> Iterator[Row]:
        """All of a list, page after page."""
        query |= {"limit": "100"}
        while True:
            page = self.get(service, path, **query)
            yield from page["items"]
            if page["next_cursor"] is None:
                return
            query["cursor"] = page["next_cursor"]

    def provider_net_minor(self) -> Mapping[str, int] | None:
        """What the sandbox charged less what it gave back, by currency; None beside a real provider."""
        address = self._urls.get("cloudpayments_sandbox")
        if not address:
            return None
        return {currency: total["net"] for currency, total in call(f"{address}/oracle", "")["totals"].items()}

    def busy(self) -> list[str]:
        """Services that still have something to do; what is in flight is not a difference."""
        states = {service: self.get(service, "/internal/v1/quiescence") for service in SERVICES}
        return [
            f"{name} {json.dumps(state['pending'])}" for name, state in states.items() if not state["quiet"]
        ]


def compare_payments(at_pay: Iterable[Row], at_billing: Iterable[Row]) -> list[str]:
    """Payments whose money the two sides see differently (domain.md: every payment has one posting)."""
    paid = {row["id"]: row for row in at_pay if row["captured"]["amount"]}
    booked = {row["id"]: row for row in at_billing if row["captured"]["amount"]}
    wrong = [
        f"payment {one}: captured by PayAPI, unknown to BillingAPI" for one in sorted(paid.keys() - booked)
    ]
    wrong += [
        f"payment {one}: booked by BillingAPI, unknown to PayAPI" for one in sorted(booked.keys() - paid)
    ]
    for one in sorted(paid.keys() & booked.keys()):
        for field in ("user_id", "invoice_id", "captured", "refunded"):
            ours, theirs = paid[one][field], booked[one][field]
            if ours != theirs:
                wrong.append(f"payment {one}: {field} is {ours} at PayAPI, {theirs} at BillingAPI")
    return wrong


def compare_provider(at_pay: Iterable[Row], net_minor: Mapping[str, int]) -> list[str]:
    """Currencies in which the provider holds other money of ours than PayAPI believes."""
    believed: dict[str, int] = {}
    for row in at_pay:
        if row["provider"] == "cloudpayments":
            currency = row["captured"]["currency"]
            net = row["captured"]["amount"] - row["refunded"]["amount"]
            believed[currency] = believed.get(currency, 0) + net
    return [
        f"{currency}: {net_minor.get(currency, 0)} at the provider, {believed.get(currency, 0)} at PayAPI"
        for currency in sorted(net_minor.keys() | believed.keys())
        if net_minor.get(currency, 0) != believed.get(currency, 0)
    ]


def compare_rights(bases: Iterable[Row], held: Row) -> list[str]:
    """A user's rights that differ from what BillingAPI's bases give; ``held`` as UserAPI lists them.

    Rights that are over when ``held`` was read are in neither; a purchase its owner removed gives none.
    """
    at = datetime.fromisoformat(held["at"])
    due = {
        (grant, f"subscription:{basis['subscription_id']}", until)
        for basis in bases
        if basis["subscription_id"] not in held["removed"]
        for grant in basis["grants"]
        if (until := _end(basis, grant)) is None or until > at
    }
    given = {(right["resource"], right["source"], _moment(right["until"])) for right in held["items"]}
    return [
        f"lacks {name} until {until} by {source}" for name, source, until in sorted(due - given, key=str)
    ] + [
        f"has {name} until {until} by {source} without a basis"
        for name, source, until in sorted(given - due, key=str)
    ]


def _end(basis: Row, grant: str) -> datetime | None:
    """When the grant ends: what the product leaves after the grace goes on until the day of cancellation."""
    is_left = basis["reduced_until"] is not None and grant in basis["reduced_grants"]
    return _moment(basis["reduced_until"] if is_left else basis["until"])


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def wait_until_idle(services: Services, patience_seconds: float) -> list[str]:
    """What is still in flight after that time; empty as soon as nothing is."""
    deadline = time.monotonic() + patience_seconds
    while (busy := services.busy()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return busy


def verify(services: Services, patience_seconds: float = 60) -> Iterator[Check]:
    """Every check, one after another."""
    yield Check("nothing is left in flight", wait_until_idle(services, patience_seconds))
    for found in services.get("billing-api", "/internal/v1/invariants")["items"]:
        yield Check(f"billing: {found['name']}", found["offending"])
    at_pay = list(services.rows("pay-api", "/v1/payments"))
    at_billing = services.rows("billing-api", "/internal/v1/payments")
    yield Check(
        "every captured payment is booked once, for the same money", compare_payments(at_pay, at_billing)
    )
    if (net_minor := services.provider_net_minor()) is not None:
        yield Check("the provider holds what PayAPI says", compare_provider(at_pay, net_minor))
    yield Check("rights are what subscriptions give", _wrong_rights(services))


def _wrong_rights(services: Services) -> list[str]:
    bases: dict[str, list[Row]] = {}
    for basis in services.rows("billing-api", "/internal/v1/access-bases"):
        bases.setdefault(basis["user_id"], []).append(basis)
    users = bases.keys() | {
        row["user_id"] for row in services.rows("billing-api", "/internal/v1/subscriptions")
    }
    wrong = []
    for user_id in sorted(users):
        held = services.get("user-api", "/internal/v1/access-rights", user_id=user_id)
        wrong += [f"user {user_id} {what}" for what in compare_rights(bases.get(user_id, []), held)]
    return wrong


def run(services: Services, say: Callable[[str], object] = print, patience_seconds: float = 60) -> int:
    """Says each check and its offending rows; 0 when all hold."""
    broken = 0
    for check in verify(services, patience_seconds):
        say(f"  {'ok  ' if check.holds else 'FAIL'}  {check.name}")
        for row in check.offending[:SHOWN]:
            say(f"          {row}")
        if len(check.offending) > SHOWN:
            say(f"          and {len(check.offending) - SHOWN} more")
        broken += not check.holds
    say("the services agree" if not broken else f"{broken} checks do not hold")
    return 1 if broken else 0


if __name__ == "__main__":
    # JSON objects: addresses as `make urls` prints them, the operator's token for each service
    places, operator = json.loads(os.environ["CINEMA_URLS"]), json.loads(os.environ["CINEMA_OPERATOR_TOKENS"])
    sys.exit(run(Services(places, operator)))
