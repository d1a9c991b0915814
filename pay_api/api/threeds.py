"""The payer's pages of 3-D Secure: to the bank, back from the bank, and the result."""

from __future__ import annotations

import hmac
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from pay_api import repository
from pay_api.api import pages
from pay_api.api.deps import Edge, EdgeDep, require_payer
from pay_api.links import Purpose
from pay_api.models import Attempt, Payment
from pay_api.pay_service.finish_threeds import finish_threeds
from pay_api.pay_service.payment import AttemptStatus
from pay_api.pay_service.transitions import decline_of
from pay_api.providers.base import MethodKind
from shared.asgi import problem_responses
from shared.errors import AppError
from shared.money import Money
from shared.queue.messages.payments import PaymentStatus

router = APIRouter(tags=["browser"])

# Payment status -> the page's text and mood.
FACES: Final[dict[PaymentStatus, tuple[str, str]]] = {
    PaymentStatus.CREATED: ("waiting", "waiting"),
    PaymentStatus.PROCESSING: ("waiting", "waiting"),
    PaymentStatus.UNKNOWN: ("waiting", "waiting"),
    PaymentStatus.NEEDS_REVIEW: ("waiting", "waiting"),
    PaymentStatus.ACTION_REQUIRED: ("action", "waiting"),
    PaymentStatus.AUTHORIZED: ("authorized", "good"),
    PaymentStatus.SUCCEEDED: ("succeeded", "good"),
    PaymentStatus.FAILED: ("failed", "bad"),
    PaymentStatus.CANCELLED: ("cancelled", "bad"),
    PaymentStatus.PARTIALLY_REFUNDED: ("succeeded", "good"),
    PaymentStatus.REFUNDED: ("refunded", "good"),
}
HTML: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/html": {"schema": {"type": "string"}}}},
    **problem_responses(401, 404),
}


@router.get("/v1/payments/{payment_id}/3ds", responses=HTML)
async def to_bank(request: Request, payment_id: UUID, edge: EdgeDep) -> Response:
    """A form that submits itself to the payer's bank; without scripts there is a button."""
    async with edge.ctx.sessions() as session:
        payment = await repository.payment(session, payment_id)
        attempt = await repository.live_attempt(session, payment_id)
    refused = await refusal_page(request, edge, payment_id, payment, Purpose.THREEDS)
    if refused is not None:
        return refused
    assert payment is not None
    if payment.status != PaymentStatus.ACTION_REQUIRED or not _is_open(edge, attempt):
        return result_page(edge, payment)
    assert attempt is not None
    assert attempt.acs_url is not None
    return pages.render(
        "threeds.html",
        payment.locale,
        form_action=pages.origin(attempt.acs_url),
        acs_url=attempt.acs_url,
        pa_req=attempt.pa_req,
        md=attempt.transaction_id,
        term_url=edge.links.url(payment_id, Purpose.THREEDS_RETURN),
        **summary(payment),
    )


@router.post("/v1/payments/{payment_id}/3ds-return", responses=HTML)
async def from_bank(
    request: Request,
    payment_id: UUID,
    edge: EdgeDep,
    md: Annotated[str, Form(alias="MD", max_length=40)],
    pa_res: Annotated[str, Form(alias="PaRes", max_length=32_000)],
) -> Response:
    """Takes the bank's word to the provider and shows what came of it.

    The result leads on to the payment's events or its checkout: only who has the challenge's own MD sees it.
    """
    async with edge.ctx.sessions() as session:
        payment = await repository.payment(session, payment_id)
        challenge = await repository.last_challenge(session, payment_id)
    refused = await refusal_page(request, edge, payment_id, payment, Purpose.THREEDS_RETURN)
    if refused is not None:
        return refused
    assert payment is not None
    if not hmac.compare_digest(md.encode(), (challenge or "").encode()):
        return _link_is_over(payment.locale)
    await finish_threeds(edge.ctx, payment_id, md, pa_res)
    async with edge.ctx.sessions() as session:
        payment = await repository.payment(session, payment_id)
    assert payment is not None
    return result_page(edge, payment)


async def refusal_page(
    request: Request, edge: Edge, payment_id: UUID, payment: Payment | None, purpose: Purpose
) -> Response | None:
    """A page for a person whose link is over; programs get the problem itself."""
    try:
        await require_payer(edge, payment_id, payment.user_id if payment else None, purpose, request)
    except AppError as error:
        if error.code != "link-invalid" or "text/html" not in request.headers.get("accept", ""):
            raise
        locale = "en" if request.headers.get("accept-language", "ru").lower().startswith("en") else "ru"
        return _link_is_over(locale)
    return None


def _link_is_over(locale: str) -> Response:
    return pages.render("message.html", locale, status=401, face="link", mood="bad")


def _faces(payment: Payment) -> dict[PaymentStatus, tuple[str, str]]:
    if payment.method_kind == MethodKind.BANK_TRANSFER:
        whole = ("succeeded", "good") if payment.settles_invoice else ("part", "good")
        return {
            **FACES,
            PaymentStatus.ACTION_REQUIRED: ("transfer", "form"),
            PaymentStatus.SUCCEEDED: whole,
        }
    if payment.purpose != "method_verification":
        return FACES
    # The hold of a card check is given back at once: that is its good end.
    good = ("saved", "good")
    return {**FACES, PaymentStatus.AUTHORIZED: good, PaymentStatus.CANCELLED: good}


def faces_json(payment: Payment) -> str:
    """What a page turns into at each status, for its script."""
    texts = pages.TEXTS[payment.locale]
    faces = {
        status: {"title": texts[name], "lead": texts[f"{name}_lead"], "mood": mood}
        for status, (name, mood) in (_faces(payment) | {"part": ("part", "good")}).items()
    }
    return pages.script_json(faces)


def _is_open(edge: Edge, attempt: Attempt | None) -> bool:
    return (
        attempt is not None
        and attempt.status == AttemptStatus.CHALLENGE
        and attempt.expires_at is not None
        and attempt.expires_at > edge.ctx.clock.now()
    )


def summary(payment: Payment) -> dict[str, Any]:
    return {
        "amount": pages.money_text(Money(payment.amount_minor, payment.currency), payment.locale),
        "card": payment.card_mask,
        "description": payment.description,
    }


def result_page(edge: Edge, payment: Payment) -> Response:
    """How the payment stands, for the payer; one without an end yet updates itself."""
    if payment.awaits_card:
        # The checkout page says what the bank said and takes another card.
        return RedirectResponse(edge.links.url(payment.id, Purpose.CHECKOUT), 303, headers=pages.PRIVATE)
    face, mood = _faces(payment)[PaymentStatus(payment.status)]
    if face == "saved" and payment.payment_method_id is None:
        face, mood = FACES[PaymentStatus(payment.status)]  # closed before the card was checked
    decline = decline_of(payment)
    onward = pages.with_payment(payment.return_url, str(payment.id)) if payment.return_url else None
    waits = mood == "waiting"
    texts = pages.TEXTS[payment.locale]
    return pages.render(
        "result.html",
        payment.locale,
        refresh=onward if not waits else None,
        face=face,
        mood=mood,
        lead=decline.message if decline else texts[f"{face}_lead"],
        onward=onward,
        waits=waits,
        events_url=edge.links.url(payment.id, Purpose.EVENTS) if waits else "",
        faces=faces_json(payment),
        **summary(payment),
    )
