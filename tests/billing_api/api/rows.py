"""Rows to show, written as the commands would leave them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from shared.ids import new_id
from tests.billing_api.api.conftest import NOW


def account(user_id: UUID, balance_minor: int = 0) -> Any:
    """A personal account; ``balance_minor`` is prepaid money when above zero."""
    from billing_api.billing_service.models import Account, AccountBalance

    made = Account.objects.create(user_id=user_id, created_at=NOW, updated_at=NOW)
    AccountBalance.objects.create(account=made, currency="RUB", balance_minor=-balance_minor)
    return made


def invoice(of: Any, number: int = 1, *, issued_at: datetime = NOW, **changes: Any) -> Any:
    """An open invoice over 499.00 with one line."""
    from billing_api.billing_service.models import Invoice, InvoiceLine

    values: dict[str, Any] = {
        "account": of,
        "number": f"2026-{number:06}",
        "kind": "charge",
        "list_minor": 49900,
        "discount_minor": 0,
        "total_minor": 49900,
        "vat_minor": 8998,
        "balance_applied_minor": 0,
        "amount_due_minor": 49900,
        "issued_at": issued_at,
        "due_at": issued_at + timedelta(days=1),
        "status": "open",
        "updated_at": issued_at,
    }
    made = Invoice.objects.create(**(values | changes))
    InvoiceLine.objects.create(
        account=of,
        invoice=made,
        position=1,
        kind="charge",
        description={"ru": "Базовая", "en": "Basic"},
        product_id=new_id(),
        quantity=1,
        list_minor=49900,
        discount_minor=0,
        net_minor=49900,
        vat_minor=8998,
        vat_rate_bp=2200,
        period_start_on=issued_at.date(),
        period_end_on=(issued_at + timedelta(days=30)).date(),
        steps=[{"step": "list_price", "amount_minor": 49900}],
    )
    return made


def payment(of: Any, paid: Any, **changes: Any) -> Any:
    """A payment of the whole invoice."""
    from billing_api.billing_service.models import Payment

    values: dict[str, Any] = {
        "id": new_id(),
        "account": of,
        "invoice": paid,
        "sequence": 1,
        "initiator": "customer",
        "provider": "cloudpayments",
        "status": "succeeded",
        "amount_minor": 49900,
        "captured_minor": 49900,
        "card_mask": "411111******1111",
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Payment.objects.create(**(values | changes))


def credit_note(of: Any, corrected: Any, number: int = 1) -> Any:
    """100.00 taken back of the invoice's only line."""
    from billing_api.billing_service.models import CreditNote, CreditNoteLine

    made = CreditNote.objects.create(
        account=of,
        invoice=corrected,
        number=f"CN-2026-{number:06}",
        total_minor=10000,
        vat_minor=1803,
        reason="asked",
        issued_at=NOW,
    )
    CreditNoteLine.objects.create(
        account=of,
        credit_note=made,
        invoice_line=corrected.lines.get(),
        amount_minor=10000,
        vat_minor=1803,
        vat_rate_bp=2200,
    )
    return made
