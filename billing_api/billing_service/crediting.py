"""Issues a credit note against an invoice: lines, posting, what it leaves due, its event."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import Sum

from billing_api.billing_service import changes, events, posting
from billing_api.billing_service.domain import invoice as rules
from billing_api.billing_service.domain import ledger
from billing_api.billing_service.models import Account, CreditNote, CreditNoteLine, Invoice
from billing_api.billing_service.numbering import Documents
from shared.errors import broken_invariant, conflict
from shared.ids import new_id


def lines_of(invoice: Invoice) -> list[rules.Line]:
    """The lines with what was credited of each so far."""
    credited = {
        row["invoice_line_id"]: row
        for row in CreditNoteLine.objects.filter(invoice_line__invoice=invoice)
        .values("invoice_line_id")
        .annotate(amount=Sum("amount_minor"), vat=Sum("vat_minor"))
    }
    found = []
    for line in invoice.lines.order_by("position"):
        before = credited.get(line.id, {"amount": 0, "vat": 0})
        found.append(
            rules.Line(
                str(line.id),
                line.net_minor,
                line.vat_rate_bp,
                line.vat_minor,
                int(before["amount"]),
                int(before["vat"]),
            )
        )
    return found


def left_minor(invoice: Invoice) -> int:
    """What may still be credited, minor units."""
    return max(0, invoice.total_minor - invoice.credited_minor)


def postings_of(invoice: Invoice) -> list[ledger.Transaction]:
    """What its credit notes posted, oldest first."""
    notes = invoice.credit_notes.order_by("id")
    found = (posting.stored(ledger.SourceKind.CREDIT_NOTE, note.id) for note in notes)
    return [one[1] for one in found if one is not None]


def issue_credit_note(
    account: Account,
    invoice: Invoice,
    amount_minor: int,
    reason: str,
    documents: Documents,
    now: datetime,
    refund_id: UUID | None = None,
) -> CreditNote:
    """Credits a part of an issued invoice on the held account.

    It first lowers what is still due; the rest stands on account. The caller settles an invoice that nothing
    is due of any more. Raises ``amount-not-positive``, ``credit-exceeds-invoice``,
    ``invoice-not-creditable``.
    """
    if invoice.status not in ("open", "paid"):
        raise conflict("invoice-not-creditable", f"An invoice that is {invoice.status} is not credited.")
    parts = rules.credit_lines(lines_of(invoice), amount_minor)
    changes.give_up_credit(account, invoice, now)
    posted = _posting_of(invoice)
    vat_minor = sum(part.vat_minor for part in parts)
    note = CreditNote.objects.create(
        id=new_id(),
        account=account,
        invoice=invoice,
        subscription_id=invoice.subscription_id,
        currency=invoice.currency,
        total_minor=amount_minor,
        vat_minor=vat_minor,
        reason=reason,
        refund_id=refund_id,
        issued_at=now,
    )
    _keep_lines(note, parts)
    posting.post(
        ledger.credit_note_issued(
            note.id,
            account.id,
            invoice.currency,
            gross_minor=amount_minor,
            vat_minor=vat_minor,
            reverses=posted,
        ),
        account,
        now,
    )
    _lower_due(invoice, amount_minor, now)
    documents.add_credit_note(note)
    events.tell_credit_note(account, note, now)
    return note


def _keep_lines(note: CreditNote, parts: Sequence[rules.CreditLine]) -> None:
    CreditNoteLine.objects.bulk_create(
        [
            CreditNoteLine(
                account_id=note.account_id,
                credit_note=note,
                invoice_line_id=UUID(part.key),
                amount_minor=part.amount_minor,
                vat_minor=part.vat_minor,
                vat_rate_bp=part.vat_rate_bp,
            )
            for part in parts
        ]
    )


def _lower_due(invoice: Invoice, amount_minor: int, now: datetime) -> None:
    """A credit first lowers what is still to be paid."""
    from_due = min(amount_minor, invoice.amount_due_minor)
    invoice.credited_minor += amount_minor
    invoice.credited_unpaid_minor += from_due
    invoice.amount_due_minor -= from_due
    invoice.updated_at = now
    invoice.store("credited_minor", "credited_unpaid_minor", "amount_due_minor", "updated_at")


def _posting_of(invoice: Invoice) -> UUID:
    posted = posting.transaction_id(ledger.SourceKind.INVOICE, invoice.id)
    if posted is None:
        raise broken_invariant("invoice-not-posted", f"invoice {invoice.id} has no posting")
    return posted
