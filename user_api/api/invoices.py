"""Paying an open invoice of the signed-in user (the invoices themselves are shown by BillingAPI)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from shared.asgi import problem_responses
from shared.idempotent_route import run_once
from user_api.api.commerce_schemas import PayInvoiceBody, PaymentSummary, saved_card
from user_api.api.deps import AppResources, ClientAddress, CurrentUser, IdempotencyKey, key_scope
from user_api.api.language import RequestLanguage
from user_api.api.presence import prove_change_of_card
from user_api.user_service.pay_invoice import pay_invoice

router = APIRouter(
    prefix="/v1/me/invoices", tags=["invoices"], responses=problem_responses(401, 403, 404, 409, 429)
)


@router.post("/{invoice_id}/pay", status_code=201, response_model=dict[str, Any])
async def post_pay(
    request: Request,
    invoice_id: UUID,
    body: PayInvoiceBody,
    resources: AppResources,
    user: CurrentUser,
    key: IdempotencyKey,
    address: ClientAddress,
    language: RequestLanguage,
) -> Response:
    """Pays what is due: 201 `{invoice, payment}`, a declined payment included.

    A `consent` with another card than the one agreed before needs `current_password` from the fifth minute
    after the sign-in on, as its change does.
    """
    if body.consent is not None:
        asked = await resources.commerce.billing_api.get_invoice(invoice_id)
        if asked.user_id == user.user_id and asked.subscription_id is not None:
            await prove_change_of_card(
                resources,
                user,
                asked.subscription_id,
                saved_card(body.payment),
                body.current_password,
                address,
            )
    wish = body.wish(resources.settings.allowed_return_origins, address, language)

    async def work(row_id: UUID) -> tuple[int, Any]:
        paid = await pay_invoice(resources.commerce, user.user_id, invoice_id, wish, row_id)
        return 201, {
            "invoice": paid.invoice.model_dump(mode="json"),
            "payment": PaymentSummary.of(paid.payment),
        }

    scope = key_scope(request, str(user.user_id), key, body)
    return await run_once(resources.sessions, resources.clock, scope, work)
