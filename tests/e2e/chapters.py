"""The chapters of the story: what customers do and what must then be so."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.e2e.browser import Browser
from tests.e2e.bus import DataBus
from tests.e2e.customer import FINAL, Customer
from tests.e2e.stack import Stack
from tests.e2e.transcript import Transcript, money

PROMO_CODE = "CINEMA20"
CONSENT = {"text_version": "2026-01", "accepted": True}
CARD_OK = "4000000000003055"
CARD_THREEDS = "4242424242424242"
CARD_POOR = "4000056655665556"
CARD_OTHER = "5205000000003055"


@dataclass
class Story:
    """What the chapters share."""

    stack: Stack
    bus: DataBus
    transcript: Transcript
    premium: dict[str, Any]
    family: dict[str, Any]
    film: dict[str, Any]

    @property
    def movie(self) -> str:
        """A film that Premium's collections hold and that can also be bought by itself."""
        return next(str(grant) for grant in self.film["grants"] if grant.startswith("movie:"))

    def customer(self, name: str, locale: str = "en") -> Customer:
        return Customer(name, self.stack, self.transcript, locale)

    async def join(self, customer: Customer) -> None:
        await customer.register()
        self.bus.users.add(customer.user_id)


async def open_catalog(stack: Stack, bus: DataBus, transcript: Transcript, guest: Customer) -> Story:
    """Lists what is on sale."""
    transcript.step("The catalogue")
    products: list[dict[str, Any]] = []
    path = "/user-api/v1/products?limit=100"
    while path:
        page = await guest.call("GET", path, note="products")
        products += page["items"]
        cursor = page["next_cursor"]
        path = f"/user-api/v1/products?limit=100&cursor={cursor}" if cursor else ""
    subscriptions = [product for product in products if product["kind"] == "recurring"]
    films = [product for product in products if product["kind"] == "one_time"]
    for product in subscriptions:
        prices = ", ".join(f"{money(p['amount'])}/{p['interval_unit']}" for p in product["prices"])
        transcript.say(f"{product['slug']:<10} {prices}  grants {', '.join(product['grants'])}")
    transcript.say(f"and {len(films)} films for sale, such as {films[0]['title']!r}")
    transcript.check("three subscription products", len(subscriptions) == 3, len(subscriptions))
    premium = next(product for product in subscriptions if product["slug"] == "premium")
    family = next(product for product in subscriptions if product["slug"] == "family")
    return Story(stack, bus, transcript, premium, family, films[0])


async def sign_in(story: Story, customer: Customer) -> None:
    """Registers, logs in, refreshes; the tokens are what they claim."""
    import jwt

    transcript = story.transcript
    transcript.step(f"{customer.name} registers and logs in")
    await story.join(customer)
    first = customer.refresh_token
    await customer.log_in()
    await customer.refresh()
    transcript.check("the refresh token rotates", customer.refresh_token != first)
    jwks = await customer.call("GET", "/user-api/.well-known/jwks.json")
    header = jwt.get_unverified_header(customer.access_token)
    key = next(key for key in jwks["keys"] if key["kid"] == header["kid"])
    claims = jwt.decode(
        customer.access_token,
        jwt.PyJWK(key, algorithm="EdDSA"),
        algorithms=["EdDSA"],
        audience="billing-api",
        options={"verify_iat": False, "verify_nbf": False, "verify_exp": False},
    )
    transcript.check("the access token is EdDSA, verified by JWKS", header["alg"] == "EdDSA", header)
    transcript.check("it lives at most 10 minutes", claims["exp"] - claims["iat"] <= 600)


async def buy_premium(
    story: Story, customer: Customer, card: str, *, promo_code: str | None = None, consent: bool = False
) -> dict[str, Any]:
    """Buys the monthly Premium; gives the answer of the purchase."""
    price = next(p for p in story.premium["prices"] if p["interval_unit"] == "month")
    body: dict[str, Any] = {"product_id": story.premium["id"], "price_id": price["id"]}
    if promo_code:
        body["promo_code"] = promo_code
    quote = await customer.call("POST", "/user-api/v1/quotes", body, note=f"promo code {promo_code}")
    due = quote["amount_due"]
    story.transcript.say(
        f"list price {money(price['amount'])}, discount {money(quote['discount'])}, "
        f"to pay {money(due)} incl. VAT {money(quote['vat'])}"
    )
    if promo_code:
        expected = price["amount"]["amount"] - price["amount"]["amount"] * 20 // 100
        story.transcript.check("the promo code takes 20 % off", due["amount"] == expected, due)
    body |= {
        "expected_amount": due,
        "return_url": f"{story.stack.urls['gateway']}/",
        "payment": await customer.card(card),
    }
    if consent:
        body["consent"] = CONSENT
    bought = await customer.call("POST", "/user-api/v1/me/subscriptions", body, expect=201, note="buy")
    payment = bought["payment"]
    invoice = bought["invoice"]
    story.transcript.say(
        f"invoice {invoice['number']} of {money(invoice['total'])}, payment {payment['status']}"
    )
    story.transcript.check("the charge is the quoted amount", payment["amount"] == due, payment["amount"])
    return bought


async def confirm_and_see_access(story: Story, customer: Customer, bought: dict[str, Any]) -> None:
    """The payment is confirmed to the client, the subscription runs, access is granted."""
    transcript, bus = story.transcript, story.bus
    confirmations = await customer.events_until_final(bought["payment"])
    transcript.check(
        "the client has its confirmation", confirmations[-1]["status"] == "succeeded", confirmations[-1]
    )
    invoice_id, subscription_id = bought["invoice"]["id"], bought["subscription"]["id"]
    await bus.expect("invoice.issued", lambda d: d["invoice_id"] == invoice_id)
    await bus.expect("payment.succeeded", lambda d: d["invoice_id"] == invoice_id)
    await bus.expect("invoice.paid", lambda d: d["invoice_id"] == invoice_id)
    await bus.expect("subscription.activated", lambda d: d["subscription_id"] == subscription_id)
    await access_is(story, customer, story.movie, True)
    active = await customer.call("GET", f"/user-api/v1/me/subscriptions/{subscription_id}")
    transcript.check("the subscription is active", active["status"] == "active", active["status"])


async def access_is(story: Story, customer: Customer, resource: str, granted: bool) -> None:
    what = "granted" if granted else "not granted"
    await customer.until(
        f"/user-api/v1/me/access-rights/{resource}", lambda right: right["granted"] is granted, what
    )
    story.transcript.check(f"{resource} is {what} to {customer.name}", True)


async def three_d_secure(story: Story, customer: Customer) -> dict[str, Any]:
    """A card that needs 3-D Secure: challenge, the bank's page, return."""
    transcript = story.transcript
    transcript.step(f"{customer.name}'s card needs 3-D Secure")
    await story.join(customer)
    bought = await buy_premium(story, customer, CARD_THREEDS, consent=True)
    payment = bought["payment"]
    transcript.check("the bank wants to see the payer", payment["status"] == "action_required", payment)
    transcript.check("there is a page to go to", payment["next_action"]["kind"] == "redirect")
    await access_is(story, customer, story.movie, False)
    browser = Browser(customer.name, transcript)
    try:
        merchant_page = await browser.open(payment["next_action"]["url"])
        bank_page = await browser.submit(merchant_page)
        result = await browser.submit(bank_page, "confirm")
        transcript.check("the return page tells how it went", "<html" in result.text)
    finally:
        await browser.aclose()
    await confirm_and_see_access(story, customer, bought)
    return bought


async def declined_then_other_card(story: Story, customer: Customer) -> None:
    """Too little money, said in words; another card pays the same invoice."""
    transcript = story.transcript
    transcript.step(f"{customer.name}'s card is declined, another one pays")
    await story.join(customer)
    bought = await buy_premium(story, customer, CARD_POOR)
    failed = bought["payment"]
    transcript.check("the payment failed", failed["status"] == "failed", failed["status"])
    transcript.say(f"{customer.name} reads: «{failed['decline']['message']}»")
    transcript.check("the reason is soft", failed["decline"]["class"] == "soft", failed["decline"])
    transcript.check("nothing is charged twice or granted", bought["subscription"]["status"] == "incomplete")
    await access_is(story, customer, story.movie, False)
    path = f"/user-api/v1/me/invoices/{bought['invoice']['id']}/pay"
    paid = await customer.call("POST", path, {"payment": await customer.card(CARD_OTHER)}, expect=201)
    transcript.check("another card pays the same invoice", paid["invoice"]["id"] == bought["invoice"]["id"])
    await confirm_and_see_access(story, customer, bought | {"payment": paid["payment"]})
    again = await customer.call("POST", path, {"payment": await customer.card(CARD_OTHER)}, expect=409)
    transcript.check("paying it again is refused", again["type"].startswith("/problems/"), again)


async def upgrade(story: Story, customer: Customer, bought: dict[str, Any]) -> None:
    """From Premium to Family: the preview is the charge, to the kopeck, and rights move at once."""
    transcript, bus = story.transcript, story.bus
    transcript.step(f"{customer.name} changes Premium for Family")
    subscription_id = bought["subscription"]["id"]
    path = f"/user-api/v1/me/subscriptions/{subscription_id}/change-product"
    price = next(p for p in story.family["prices"] if p["interval_unit"] == "month")
    body: dict[str, Any] = {"product_id": story.family["id"], "price_id": price["id"]}
    seen = await customer.call("POST", path, body | {"preview": True}, note="preview")
    due = seen["quote"]["amount_due"]
    for line in seen["quote"]["lines"]:
        transcript.say(f"{line['description'][customer.locale]:<40} {money(line['net']):>14}")
    body |= {"expected_amount": due, "payment": await customer.card(CARD_OTHER)}
    changed = await customer.call("POST", path, body, note="change")
    invoice_id = changed["invoice"]["id"]
    transcript.check("the preview is the charge", changed["payment"]["amount"] == due, changed["payment"])
    await customer.events_until_final(changed["payment"])
    moved = await bus.expect("subscription.changed", lambda d: d["subscription_id"] == subscription_id)
    transcript.check("the product moved", moved["data"]["product_id"] == story.family["id"])
    await bus.expect("invoice.paid", lambda d: d["invoice_id"] == invoice_id)
    gained = next(grant for grant in story.family["grants"] if grant not in story.premium["grants"])
    await access_is(story, customer, gained, True)


async def buy_film(story: Story, customer: Customer) -> None:
    """A film bought once, for ever, with the card saved before."""
    transcript = story.transcript
    transcript.step(f"{customer.name} buys the film {story.film['title']!r} for ever with the saved card")
    methods = await customer.call("GET", "/user-api/v1/me/payment-methods")
    transcript.check("the saved card is shown masked", "*" in methods["items"][0]["card_mask"])
    body = {
        "product_id": story.film["id"],
        "payment": {"kind": "saved_method", "payment_method_id": methods["items"][0]["id"]},
    }
    bought = await customer.call("POST", "/user-api/v1/me/purchases", body, expect=201)
    await customer.events_until_final(bought["payment"])
    await customer.until(
        "/user-api/v1/me/access-rights",
        lambda rights: any(r["resource"] == story.movie and r["until"] is None for r in rights["items"]),
        "the film is theirs without an end",
    )


async def statement(story: Story, customer: Customer, what: str) -> dict[str, Any]:
    """The personal account's statement; opening + movements = closing."""
    transcript = story.transcript
    transcript.step(f"{customer.name}'s statement {what}")
    today = datetime.now(UTC).date()
    # The suite's clock may be years ahead of the host's by earlier time travels.
    start, end = today - timedelta(days=30), today + timedelta(days=5 * 365)
    path = f"/billing-api/v1/me/statement?from={start}&to={end}&format=json"
    found = await customer.call("GET", path)
    balance = found["opening_balance"]["amount"]
    for movement in found["movements"]:
        balance += movement["amount"]["amount"]
        document = movement["document"]
        name = document.get("number") or document["kind"]
        transcript.say(f"{movement['at']}  {document['kind']:<12} {name:<14} {money(movement['amount']):>14}")
    transcript.say(f"closing balance {money(found['closing_balance'])}")
    transcript.check("opening + movements = closing", balance == found["closing_balance"]["amount"])
    return found


async def renewal(story: Story, customer: Customer, bought: dict[str, Any]) -> dict[str, Any]:
    """After the period's end beat has invoiced and collected, with nobody at the keyboard."""
    transcript, bus = story.transcript, story.bus
    subscription_id = bought["subscription"]["id"]
    first = bought["invoice"]["id"]
    issued = await bus.expect(
        "invoice.issued",
        lambda d: d["subscription_id"] == subscription_id and d["kind"] == "renewal",
        seconds=60,
    )
    transcript.check("a renewal invoice was issued by the billing run", issued["data"]["invoice_id"] != first)
    invoice_id = issued["data"]["invoice_id"]
    paid = await bus.expect("payment.succeeded", lambda d: d["invoice_id"] == invoice_id, seconds=45)
    transcript.check("it was charged to the saved card by us", paid["data"]["initiator"] == "merchant")
    await bus.expect("subscription.renewed", lambda d: d["subscription_id"] == subscription_id, seconds=30)
    await customer.log_in()
    await access_is(story, customer, story.movie, True)
    return issued["data"]


async def cancel_payment(story: Story, customer: Customer, invoice: dict[str, Any]) -> None:
    """The user takes the renewal's money back: refund, credit note, access gone."""
    transcript, bus = story.transcript, story.bus
    transcript.step(f"{customer.name} cancels the renewal's payment")
    payments = await customer.call("GET", "/user-api/v1/me/payments")
    payment = next(p for p in payments["items"] if p["invoice_id"] == invoice["invoice_id"])
    path = f"/user-api/v1/me/payments/{payment['id']}/cancel"
    cancelled = await customer.call("POST", path, {}, expect=200)
    transcript.say(
        f"payment {cancelled['payment']['status']}, refunded {money(cancelled['payment']['refunded'])}"
    )
    await bus.expect("payment.refunded", lambda d: d["payment_id"] == payment["id"])
    await bus.expect("payment.cancelled", lambda d: d["payment_id"] == payment["id"])
    await bus.expect("credit_note.issued", lambda d: d["invoice_id"] == invoice["invoice_id"])
    await bus.expect("subscription.cancelled", lambda d: d["subscription_id"] == invoice["subscription_id"])
    await access_is(story, customer, story.movie, False)
    again = await customer.call("POST", path, {}, expect=409)
    transcript.check("a second cancellation is refused", again["status"] == 409, again)


async def reconcile(story: Story, customers: list[Customer]) -> None:
    """Every kopeck: the ledger, the payments and what the provider really did."""
    transcript, stack = story.transcript, story.stack
    transcript.step("Reconciliation")
    async with httpx.AsyncClient(base_url=stack.urls["cloudpayments_sandbox"], trust_env=False) as http:
        provider = 0
        for customer in customers:
            oracle = (await http.get("/oracle", params={"account_id": customer.user_id})).json()
            provider += oracle["totals"]["RUB"]["net"]
    ours = by_card = 0
    for customer in customers:
        found = await stack.operator_get("pay-api", "/v1/payments", user_id=customer.user_id, limit="100")
        transcript.check(
            f"{customer.name} has payments only in final states",
            all(payment["status"] in FINAL for payment in found["items"]),
        )
        kept = [(p["provider"], p["captured"]["amount"] - p["refunded"]["amount"]) for p in found["items"]]
        ours += sum(amount for _, amount in kept)
        by_card += sum(amount for name, amount in kept if name == "cloudpayments")
    transcript.check(
        f"the provider's own ledger and PayAPI agree on {by_card / 100:.2f} RUB",
        provider == by_card,
        (provider, by_card),
    )
    billed = 0
    for customer in customers:
        account = await stack.operator_get("billing-api", f"/internal/v1/accounts/{customer.user_id}")
        billed += account["received"]["amount"] - account["refunded"]["amount"]
    transcript.check("BillingAPI's ledger received the same", billed == ours, (billed, ours))
    invariants = await stack.operator_get("billing-api", "/internal/v1/invariants")
    for name in invariants["items"]:
        transcript.check(f"invariant: {name['name']}", name["holds"], name)


def statuses(payments: list[dict[str, Any]]) -> list[str]:
    return [payment["status"] for payment in payments]


async def everything_is_quiet(story: Story) -> None:
    """Nothing is left in an outbox, in flight or half done."""
    story.transcript.step("Quiet")
    for service in ("user-api", "pay-api", "billing-api"):
        state = await story.stack.operator_get(service, "/internal/v1/quiescence")
        for _ in range(60):
            if state["quiet"]:
                break
            await asyncio.sleep(0.5)
            state = await story.stack.operator_get(service, "/internal/v1/quiescence")
        story.transcript.check(f"{service} has nothing left to do", state["quiet"], state)
