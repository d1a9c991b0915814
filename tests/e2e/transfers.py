"""A film paid by bank transfer: details for the customer, a part confirmed by staff, the rest by card."""

from __future__ import annotations

from typing import Any

from tests.e2e.chapters import CARD_OTHER, Story
from tests.e2e.customer import Customer
from tests.e2e.staff import BILLING, NBSP, Staff
from tests.e2e.transcript import StoryBroken, money

PART_MINOR = 10_000


async def pay_by_transfer(story: Story, customer: Customer) -> None:
    """Money comes in two ways, the film is theirs only when all of it has."""
    transcript = story.transcript
    transcript.step(f"{customer.name} buys the film {story.film['title']!r} by bank transfer")
    body: dict[str, Any] = {"product_id": story.film["id"], "payment": {"kind": "bank_transfer"}}
    bought = await customer.call("POST", "/user-api/v1/me/purchases", body, expect=201)
    payment, invoice = bought["payment"], bought["invoice"]
    transcript.check("the transfer is awaited", payment["status"] == "action_required", payment)
    told = payment["next_action"]["instructions"]
    transcript.say(f"to account {told['account']}: «{told['purpose']}»")
    transcript.check("with a code", told["code"] == payment["id"][-8:].upper(), told)
    path = f"/user-api/v1/me/invoices/{invoice['id']}/pay"
    refused = await customer.call("POST", path, {"payment": await customer.card(CARD_OTHER)}, expect=409)
    transcript.check("no second payment beside it", refused["type"] == "/problems/payment-in-progress")
    await story.bus.expect("payment.action_required", lambda d: d["payment_id"] == payment["id"])
    await _confirm(story, told["code"], payment["id"])
    told = await story.bus.expect("payment.succeeded", lambda d: d["payment_id"] == payment["id"])
    part = told["data"]
    transcript.check("a part settles no invoice", part["settles_invoice"] is False, part)
    rest = invoice["amount_due"]["amount"] - PART_MINOR
    shown = await customer.until(
        f"/billing-api/v1/me/invoices/{invoice['id']}",
        lambda view: view["collection"] == "partially_paid",
        "the part stands on the invoice",
    )
    transcript.check("the rest is due", shown["amount_due"]["amount"] == rest, shown["amount_due"])
    paid = await customer.call("POST", path, {"payment": await customer.card(CARD_OTHER)}, expect=201)
    transcript.say(f"the rest of {money(paid['payment']['amount'])} is paid by card")
    transcript.check("the card pays the rest alone", paid["payment"]["amount"]["amount"] == rest)
    await story.bus.expect("invoice.paid", lambda d: d["invoice_id"] == invoice["id"])
    await customer.until(
        "/user-api/v1/me/access-rights",
        lambda rights: any(r["resource"] == story.movie and r["until"] is None for r in rights["items"]),
        "the film is theirs without an end",
    )


async def _confirm(story: Story, code: str, payment_id: str) -> None:
    login = story.stack.logins["admin"]
    staff = Staff(story.stack.urls["gateway"], story.transcript)
    try:
        await staff.log_in(login["username"], login["password"])
        for _ in range(20):  # billing hears of the payment by its event
            found = await staff.open(f"{BILLING}/payment/?q={code}", note="find the transfer by its code")
            if payment_id in found.text:
                break
        else:
            raise StoryBroken(f"no payment with the code {code}")
        effect, after = await staff.act(
            f"{BILLING}/payment/{payment_id}/confirm-transfer/",
            {"amount": f"{PART_MINOR // 100}.00", "reason": "Statement of today, line 4"},
        )
        story.transcript.say(f"the effect: {effect.replace(NBSP, ' ')}")
        story.transcript.check("back on the payment's page", f"/payment/{payment_id}/" in str(after.url))
    finally:
        await staff.aclose()
