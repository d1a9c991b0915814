"""Invoices and quotes as bodies: every line with the steps that explain it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import QuerySet

from billing_api.billing_service.change_offers import ChangeOffer
from billing_api.billing_service.domain.pricing import LineKind, PricedLine
from billing_api.billing_service.explanation_texts import explanation
from billing_api.billing_service.models import Invoice, InvoiceLine, Product
from billing_api.billing_service.offers import Offer
from billing_api.billing_service.queries.shapes import moment, money, span
from shared.errors import not_found

if TYPE_CHECKING:
    from billing_api.billing_service.queries.invoice_reading import InvoiceRow, LineRow


Told = tuple[Any, dict[str, list[str]]]


def told(steps: Any, currency: str) -> Told:
    """The steps and their sentences."""
    return steps, explanation(steps, currency)


def invoices_of(user_id: UUID, status: str | None = None) -> QuerySet[Invoice]:
    """Newest first; for a keyset over (issued_at, id)."""
    found = (
        Invoice.objects.select_related("account")
        .prefetch_related("lines")
        .filter(account__user_id=user_id)
        .order_by("-issued_at", "-id")
    )
    return found.filter(status=status) if status else found


def find_invoice(invoice_id: UUID, user_id: UUID | None = None) -> Invoice:
    """Raises ``invoice-not-found``, for somebody else's too."""
    found = Invoice.objects.select_related("account").prefetch_related("lines").filter(id=invoice_id)
    if user_id is not None:
        found = found.filter(account__user_id=user_id)
    row = found.first()
    if row is None:
        raise not_found("invoice")
    return row


def invoice_view(row: Invoice) -> dict[str, Any]:
    """InvoiceView of the contracts, with the invoice's own steps."""
    lines: list[InvoiceLine] = sorted(row.lines.all(), key=lambda one: one.position)
    return invoice_body(row, str(row.account.user_id), lines)


def invoice_body(
    row: Invoice | InvoiceRow,
    user_id: str,
    lines: Iterable[InvoiceLine | LineRow],
    tell: Callable[[Any, str], Told] = told,
) -> dict[str, Any]:
    """InvoiceView from a row, however it was read; lines in their order. ``tell`` reads stored steps."""
    currency = row.currency
    steps, explained = tell(row.steps, currency)
    return {
        "id": str(row.id),
        "number": row.number,
        "user_id": user_id,
        "subscription_id": str(row.subscription_id) if row.subscription_id else None,
        "kind": row.kind,
        "status": row.status,
        "collection": row.collection,
        "total": money(row.total_minor, currency),
        "vat": money(row.vat_minor, currency),
        "balance_applied": money(row.balance_applied_minor, currency),
        "paid": money(row.paid_minor, currency),
        "credited": money(row.credited_minor, currency),
        "amount_due": money(row.amount_due_minor, currency),
        "lines": [line_view(line, currency, tell) for line in lines],
        "steps": steps,
        "explanation": explained,
        "reason": row.reason or None,
        "issued_at": moment(row.issued_at),
        "due_at": moment(row.due_at),
        "paid_at": moment(row.paid_at),
    }


def line_view(
    line: InvoiceLine | LineRow, currency: str, tell: Callable[[Any, str], Told] = told
) -> dict[str, Any]:
    steps, explained = tell(line.steps, currency)
    return {
        "id": str(line.id),
        "kind": line.kind,
        "description": line.description,
        "product_id": str(line.product_id) if line.product_id else None,
        "price_id": str(line.price_id) if line.price_id else None,
        "quantity": line.quantity,
        "list_amount": money(line.list_minor, currency),
        "discount": money(line.discount_minor, currency),
        "net": money(line.net_minor, currency),
        "vat": money(line.vat_minor, currency),
        "vat_rate_bp": line.vat_rate_bp,
        "period": span(line.period_start_on, line.period_end_on),
        "steps": steps,
        "explanation": explained,
    }


def quote_view(offer: Offer) -> dict[str, Any]:
    """QuoteView of the contracts: an invoice that was not written."""
    quote, currency = offer.quote, offer.price.currency
    lines = [priced_line_view(line, offer.product, currency) for line in quote.lines] if quote else []
    return {
        "product_id": str(offer.product.id),
        "price_id": str(offer.price.id),
        "currency": currency,
        "lines": lines,
        "steps": [step.as_json() for step in quote.steps] if quote else [],
        "subtotal": money(quote.list_minor if quote else 0, currency),
        "discount": money(quote.discount_minor if quote else 0, currency),
        "total": money(quote.total_minor if quote else 0, currency),
        "vat": money(quote.vat_minor if quote else 0, currency),
        "balance_applied": money(quote.balance_applied_minor if quote else 0, currency),
        "amount_due": offer.amount_due.as_json(),
        "period": span(offer.period.start, offer.period.end) if offer.period else None,
        "trial_days": offer.trial_days,
        "trial_needs_method": offer.trial_days > 0 and offer.product.trial_needs_method,
        "term_periods": offer.price.term_periods,
        "renews_at": moment(offer.renews_at),
        "promo_code": offer.promo_code.code if offer.promo_code else None,
        "next_total": offer.next_total.as_json() if offer.next_total else None,
    }


def change_view(offer: ChangeOffer) -> dict[str, Any]:
    """QuoteView of a change of product, with when it takes effect and what becomes account balance."""
    quote, currency = offer.quote, offer.price.currency
    lines = [
        priced_line_view(line, offer.product, currency)
        | ({"description": offer.credit_description} if line.kind is LineKind.CREDIT else {})
        for line in (quote.lines if quote else ())
    ]
    return {
        "product_id": str(offer.product.id),
        "price_id": str(offer.price.id),
        "currency": currency,
        "lines": lines,
        "steps": [step.as_json() for step in quote.steps] if quote else [],
        "subtotal": money(quote.list_minor if quote else 0, currency),
        "discount": money(quote.discount_minor if quote else 0, currency),
        "total": money(quote.total_minor if quote else 0, currency),
        "vat": money(quote.vat_minor if quote else 0, currency),
        "balance_applied": money(quote.balance_applied_minor if quote else 0, currency),
        "to_balance": money(quote.to_balance_minor if quote else 0, currency),
        "amount_due": offer.amount_due.as_json(),
        "period": span(offer.period.start, offer.period.end) if offer.period else None,
        "trial_days": 0,
        "trial_needs_method": False,
        "term_periods": offer.price.term_periods,
        "renews_at": moment(offer.renews_at),
        "promo_code": None,
        "next_total": offer.next_total.as_json() if offer.next_total else None,
        "timing": offer.timing.value,
        "effective_on": offer.effective_on.isoformat(),
        "lapses_at": moment(offer.lapses_at),
    }


def priced_line_view(line: PricedLine, product: Product, currency: str) -> dict[str, Any]:
    steps = [step.as_json() for step in line.steps]
    return {
        "kind": line.kind.value,
        "description": product.title,
        "product_id": line.product_id,
        "price_id": line.price_id,
        "quantity": line.quantity,
        "list_amount": money(line.list_minor, currency),
        "discount": money(line.discount_minor, currency),
        "net": money(line.amount_minor, currency),
        "vat": money(line.vat_minor, currency),
        "vat_rate_bp": line.vat_rate_bp,
        "period": span(line.period.start, line.period.end) if line.period else None,
        "steps": steps,
        "explanation": explanation(steps, currency),
    }
