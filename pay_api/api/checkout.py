"""The hosted checkout: its page, its script, and the cards tried in it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final
from uuid import UUID

from fastapi import APIRouter, Request, Response

from pay_api import repository
from pay_api.api import checkout_texts, pages
from pay_api.api.deps import Edge, EdgeDep, require_payer
from pay_api.api.payments import load_view
from pay_api.api.schemas import AttemptBody, PublicPaymentView, json_of, public_view
from pay_api.api.threeds import HTML, faces_json, refusal_page, summary
from pay_api.api.transfer_page import transfer_page
from pay_api.links import Purpose
from pay_api.models import Payment
from pay_api.pay_service.pay_checkout import PayCheckout, pay_checkout
from pay_api.pay_service.settle_attempt import is_hosted
from pay_api.providers.base import CardKey, MethodKind
from shared.asgi import problem_responses
from shared.errors import not_found
from shared.money import Money

router = APIRouter(prefix="/checkout", tags=["browser"])

_SCRIPT: Final = (Path(__file__).parent / "static" / "card.js").read_bytes()
_SCRIPT_VERSION: Final = hashlib.sha256(_SCRIPT).hexdigest()[:12]
_YEAR_SECONDS: Final = 31_536_000


@router.get("/card.js", include_in_schema=False)
async def script() -> Response:
    """The page's script; its address changes with its content."""
    headers = {"Cache-Control": f"public, max-age={_YEAR_SECONDS}, immutable"}
    return Response(_SCRIPT, headers=headers, media_type="text/javascript; charset=utf-8")


@router.get("/{payment_id}", responses=HTML)
async def show(request: Request, payment_id: UUID, edge: EdgeDep) -> Response:
    """A card form whose script encrypts the card for the provider (card data never reaches us), or the
    details of a bank transfer."""
    async with edge.ctx.sessions() as session:
        payment = await repository.payment(session, payment_id)
    refused = await refusal_page(request, edge, payment_id, payment, Purpose.CHECKOUT)
    if refused is not None:
        return refused
    if payment is not None and payment.method_kind == MethodKind.BANK_TRANSFER:
        return transfer_page(edge, payment)
    if payment is None or not is_hosted(payment):
        raise not_found("payment")
    return await _page(edge, payment)


async def _page(edge: Edge, payment: Payment) -> Response:
    key = await edge.card_keys.of(payment.provider)
    view = json_of(public_view(await load_view(edge, payment.id)))
    texts = checkout_texts.TEXTS[payment.locale]
    onward = pages.with_payment(payment.return_url, str(payment.id)) if payment.return_url else None
    config = {
        "payment": view,
        "key": _key_json(key),
        "attempts_path": f"{payment.id}/attempts",
        "onward": onward,
        "texts": texts,
    }
    return pages.render(
        "checkout.html",
        payment.locale,
        mood="form",
        words=texts,
        pay_label=texts["pay"].replace(
            "{amount}", pages.money_text(Money(payment.amount_minor, payment.currency), payment.locale)
        ),
        must_save=payment.save_method,
        config=pages.script_json(config),
        faces=faces_json(payment),
        script=f"card.js?v={_SCRIPT_VERSION}",
        **summary(payment),
    )


def _key_json(key: CardKey | None) -> dict[str, str] | None:
    if key is None:
        return None
    return {
        "modulus": key.modulus,
        "exponent": key.exponent,
        "version": key.version,
        "terminal": key.terminal_id,
    }


@router.post(
    "/{payment_id}/attempts",
    status_code=201,
    response_model=PublicPaymentView,
    responses=problem_responses(401, 404, 409),
)
async def attempt(request: Request, payment_id: UUID, body: AttemptBody, edge: EdgeDep) -> PublicPaymentView:
    """Tries one card. A decline is an answer: the payment waits for another card then."""
    async with edge.ctx.sessions() as session:
        payment = await repository.payment(session, payment_id)
    owner_id = payment.user_id if payment else None
    await require_payer(edge, payment_id, owner_id, Purpose.CHECKOUT, request)
    name, save = body.cardholder_name, body.save_method
    await pay_checkout(edge.ctx, PayCheckout(payment_id, body.card_cryptogram, name, save))
    return public_view(await load_view(edge, payment_id))
