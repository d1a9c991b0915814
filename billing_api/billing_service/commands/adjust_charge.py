"""Corrects a charge: a correcting invoice for more, a credit note for less."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from billing_api.billing_service import crediting, paid_days, posting, settlement
from billing_api.billing_service.actors import Actor, record, require_reason
from billing_api.billing_service.commands.cancel_payment import refuse_while_open
from billing_api.billing_service.database import atomic
from billing_api.billing_service.domain import invoice as invoice_rules
from billing_api.billing_service.domain.pricing import LineInput
from billing_api.billing_service.invoicing import Terms, issue_invoice
from billing_api.billing_service.locks import lock_account
from billing_api.billing_service.models import Account, CreditNote, Invoice
from billing_api.billing_service.numbering import Documents
from billing_api.billing_service.pricing_inputs import Sale
from shared.errors import conflict, invalid, not_found
from shared.money import Money
from shared.period import day_in_zone

DUE_DAYS: Final = 7


@dataclass(frozen=True, slots=True)
class ChargeAdjusted:
    """``document``: charge | credit_note | none (preview). Balances from the customer's view.

    ``credited_already``: what of a credit a change of product has credited for days not used: given twice.
    """

    document: str
    document_id: UUID | None
    number: str | None
    change: Money
    balance_before: Money
    balance_after: Money
    credited_already: Money


def hold_invoice(invoice_id: UUID) -> Invoice:
    """The invoice of a held account. Raises ``invoice-not-found``."""
    account_id = Invoice.objects.filter(id=invoice_id).values_list("account_id", flat=True).first()
    if account_id is None:
        raise not_found("invoice")
    account = lock_account(account_id)
    invoice = Invoice.objects.get(id=invoice_id)
    invoice.account = account
    return invoice


def adjust_charge(
    invoice_id: UUID, change: Money, *, actor: Actor, reason: str, preview: bool = False, now: datetime
) -> ChargeAdjusted:
    """``change`` > 0 charges more, < 0 credits. The issued invoice itself never changes.

    Raises ``invoice-not-found``, ``amount-not-positive`` (0), ``currency-mismatch``, ``reason-missing``,
    ``credit-exceeds-invoice``, ``invoice-not-creditable``, ``debt-not-adjustable`` (the invoice that sold it
    is), ``cancellation-open``.
    """
    reason = require_reason(reason)
    with atomic():
        invoice = hold_invoice(invoice_id)
        account = invoice.account
        if change.currency != invoice.currency:
            raise invalid("currency-mismatch", f"The invoice is in {invoice.currency}.")
        if change.amount == 0:
            raise invalid("amount-not-positive", "The change must not be zero.")
        if invoice.kind == "debt":
            raise conflict("debt-not-adjustable", "A debt sells nothing: adjust the invoice that did.")
        refuse_while_open(invoice_id=invoice.id)
        twice = Money(paid_days.credited_already_minor(invoice, max(0, -change.amount)), invoice.currency)
        before = Money(-posting.balance_minor(account, invoice.currency), invoice.currency)
        if preview:
            _check(invoice, change)
            return ChargeAdjusted("none", None, None, change, before, before - change, twice)
        documents = Documents(now)
        row: Invoice | CreditNote
        if change.amount > 0:
            kind, row = "charge", _charge(account, invoice, change, reason, documents, now)
        else:
            kind = "credit_note"
            row = crediting.issue_credit_note(account, invoice, -change.amount, reason, documents, now)
            settlement.settle_if_paid(account, invoice, documents, now)
        record(
            "adjust_charge",
            actor,
            reason,
            account=account,
            subject=("invoice", invoice.id),
            before={"balance": before.as_json()},
            after={"balance": (before - change).as_json(), "document": kind, "document_id": str(row.id)},
            now=now,
        )
        documents.give_numbers()
        return ChargeAdjusted(kind, row.id, row.number, change, before, before - change, twice)


def _check(invoice: Invoice, change: Money) -> None:
    if change.amount < 0:
        if invoice.status not in ("open", "paid"):
            raise conflict("invoice-not-creditable", f"An invoice that is {invoice.status} is not credited.")
        invoice_rules.credit_lines(crediting.lines_of(invoice), -change.amount)


def _charge(
    account: Account, invoice: Invoice, change: Money, reason: str, documents: Documents, now: datetime
) -> Invoice:
    product_id = invoice.lines.order_by("position").values_list("product_id", flat=True).first()
    line = LineInput(key="1", product_id=str(product_id), unit_minor=change.amount)
    day = day_in_zone(now, account.time_zone)
    sale = Sale(account, None, None, change.currency, (line,), day, takes_discounts=False)
    terms = Terms(
        kind="charge",
        due_at=now + timedelta(days=DUE_DAYS),
        corrects_id=invoice.id,
        reason=reason,
        description={
            "ru": f"Корректировка счёта {invoice.number}: {reason}",
            "en": f"Correction of invoice {invoice.number}: {reason}",
        },
    )
    charge = issue_invoice(account, invoice.subscription, None, sale, terms, documents, now)
    settlement.settle_if_paid(account, charge, documents, now)
    return charge
