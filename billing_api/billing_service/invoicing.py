"""Writes an invoice from a priced sale: document, lines, posting, what it used of discounts, its event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from billing_api.billing_service import discount_rules, events, posting
from billing_api.billing_service.database import atomic
from billing_api.billing_service.domain import ledger
from billing_api.billing_service.domain.pricing import LineKind, PricedLine, Quote
from billing_api.billing_service.models import Account, Invoice, InvoiceLine, Product, Subscription
from billing_api.billing_service.numbering import Documents
from billing_api.billing_service.pricing_inputs import Sale, price
from shared.failpoints import failpoint
from shared.ids import new_id
from shared.period import Period


@dataclass(frozen=True, slots=True)
class Terms:
    """What the document says besides its figures."""

    kind: str
    due_at: datetime
    period: Period | None = None
    collects_automatically: bool = False
    corrects_id: UUID | None = None
    reason: str = ""
    description: dict[str, str] | None = None  # None: the product's title
    credit_description: dict[str, str] | None = None  # of a credit line (change of product)


def issue_invoice(
    account: Account,
    subscription: Subscription | None,
    product: Product | None,
    sale: Sale,
    terms: Terms,
    documents: Documents,
    now: datetime,
    quote: Quote | None = None,
) -> Invoice:
    """Opens an invoice on the held account. A promotion whose budget is gone by now is left out.

    ``quote`` is one that was priced in this transaction; a zero amount due is for the caller to settle.
    """
    quote = _within_budgets(sale, now, quote)
    invoice = _create(account, subscription, quote, terms, now)
    InvoiceLine.objects.bulk_create(
        [_line(invoice, position, line, product, terms) for position, line in enumerate(quote.lines, start=1)]
    )
    failpoint("billing.renew.after_invoice_insert")
    discount_rules.keep_uses(account, invoice, quote.discounts, sale.day)
    posting.post(
        ledger.invoice_issued(
            invoice.id,
            account.id,
            quote.currency,
            gross_minor=quote.total_minor,
            vat_minor=quote.vat_minor,
            discount_minor=quote.discount_minor,
        ),
        account,
        now,
    )
    documents.add_invoice(invoice)
    events.tell_invoice("invoice.issued", account, invoice, now)
    return invoice


def _create(
    account: Account, subscription: Subscription | None, quote: Quote, terms: Terms, now: datetime
) -> Invoice:
    return Invoice.objects.create(
        id=new_id(),
        account=account,
        subscription=subscription,
        kind=terms.kind,
        currency=quote.currency,
        list_minor=quote.list_minor,
        discount_minor=quote.discount_minor,
        total_minor=quote.total_minor,
        vat_minor=quote.vat_minor,
        balance_applied_minor=quote.balance_applied_minor,
        amount_due_minor=quote.amount_due_minor,
        steps=[step.as_json() for step in quote.steps],
        customer_snapshot={
            "user_id": str(account.user_id),
            "locale": account.locale,
            "time_zone": account.time_zone,
        },
        corrects_id=terms.corrects_id,
        reason=terms.reason,
        period_start_on=terms.period.start if terms.period else None,
        period_end_on=terms.period.end if terms.period else None,
        issued_at=now,
        due_at=terms.due_at,
        status="open",
        collects_automatically=terms.collects_automatically,
        next_collection_at=now if terms.collects_automatically else None,
        updated_at=now,
    )


class _BudgetGone(Exception):
    """A promotion's budget was taken by somebody else between the pricing and the reservation."""

    def __init__(self, promotion_id: UUID) -> None:
        self.promotion_id = promotion_id


def _within_budgets(sale: Sale, now: datetime, quote: Quote | None) -> Quote:
    without: frozenset[UUID] = frozenset()
    while True:
        quote = quote or price(sale, now, without)
        try:
            with atomic():
                gone = discount_rules.reserve_budgets(quote.discounts)
                if gone is not None:
                    raise _BudgetGone(gone)
        except _BudgetGone as error:
            without, quote = without | {error.promotion_id}, None
        else:
            return quote


def _line(
    invoice: Invoice, position: int, line: PricedLine, product: Product | None, terms: Terms
) -> InvoiceLine:
    snapshot: dict[str, Any] = {}
    if product is not None and line.kind is not LineKind.CREDIT:
        snapshot = {"slug": product.slug, "title": product.title, "version": product.sequence}
    is_credit = line.kind is LineKind.CREDIT
    described = terms.credit_description if is_credit else terms.description
    product_id = UUID(line.product_id) if is_credit else product.id if product else None
    return InvoiceLine(
        account_id=invoice.account_id,
        invoice=invoice,
        position=position,
        kind=line.kind.value,
        description=described or (product.title if product else {"ru": "", "en": ""}),
        product_id=product_id,
        price_id=UUID(line.price_id) if line.price_id else None,
        product_snapshot=snapshot,
        quantity=line.quantity,
        list_minor=line.list_minor,
        discount_minor=line.discount_minor,
        net_minor=line.amount_minor,
        vat_minor=line.vat_minor,
        vat_rate_bp=line.vat_rate_bp,
        period_start_on=line.period.start if line.period else None,
        period_end_on=line.period.end if line.period else None,
        steps=[step.as_json() for step in line.steps],
    )
