"""Asks for what a refund left owed: money that had been spent from the balance before it went back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from billing_api.billing_service import spare_balance
from billing_api.billing_service.domain.pricing import LineInput, price_quote
from billing_api.billing_service.invoicing import Terms, issue_invoice
from billing_api.billing_service.models import Account, Invoice, Payment
from billing_api.billing_service.numbering import SELLER_TIME_ZONE, Documents
from billing_api.billing_service.pricing_inputs import Sale
from billing_api.billing_service.reports import DEBT_AFTER_REFUND, report
from billing_api.billing_service.vat_rates import vat_table
from billing_api.billing_service.wording import day_text
from shared.period import day_in_zone

DUE_DAYS: Final = 7


def ask_for_debt(account: Account, payment: Payment, documents: Documents, now: datetime) -> Invoice | None:
    """An invoice of the overdrawn part of the held account, if it is overdrawn; the finding goes with it.

    It sells nothing: its total and VAT are 0, it posts nothing, and asks for the debt beside them
    (docs/decisions/0015). Nobody has consented to its collection: it waits for its payer.
    """
    owed_minor = -spare_balance.spare_minor(account, payment.currency)
    if owed_minor <= 0:
        return None
    day = day_in_zone(now, account.time_zone)
    line = LineInput(key="1", product_id="", unit_minor=0)
    quote = price_quote(
        (line,),
        currency=payment.currency,
        now=now,
        day=day,
        debt_minor=owed_minor,
        vat=vat_table(),
    )
    paid_on = day_text(day_in_zone(payment.succeeded_at or now, SELLER_TIME_ZONE))
    terms = Terms(
        kind="debt",
        due_at=now + timedelta(days=DUE_DAYS),
        corrects_id=payment.invoice_id,
        description={
            "ru": f"Долг лицевого счёта: возвращена оплата от {paid_on}, зачтённая в другие счета",
            "en": f"Debt of the personal account: the payment of {paid_on} was refunded once spent",
        },
    )
    sale = Sale(account, None, None, payment.currency, (line,), day, takes_discounts=False)
    invoice = issue_invoice(account, None, None, sale, terms, documents, now, quote)
    detail = {
        "amount_minor": owed_minor,
        "currency": payment.currency,
        "payment_id": str(payment.id),
        "invoice_id": str(invoice.id),
    }
    report(DEBT_AFTER_REFUND, account, ("invoice", invoice.id), detail, now)
    return invoice
