"""Closes the payments of an invoice for BillingAPI, before it voids the invoice."""

from __future__ import annotations

from uuid import UUID

from shared.ids import derived_id
from user_api.user_service.commerce import Commerce


async def close_invoice_payments(commerce: Commerce, invoice_id: UUID, request_id: UUID) -> str:
    """``closed``, ``in_flight`` or ``paid``, as PayAPI answers; its events bring the payments' new states.

    Another request of BillingAPI is another question: each has its own key at PayAPI.
    """
    return await commerce.pay_api.close_invoice(invoice_id, derived_id(request_id, "close"))
