"""Keeps what documents need to know of a customer; newer snapshots win."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from billing_api.billing_service import locks
from billing_api.billing_service.database import atomic
from billing_api.billing_service.models import Account, Customer
from billing_api.billing_service.offers import CustomerSnapshot
from shared.errors import conflict


@dataclass(frozen=True, slots=True)
class CustomerUpserted:
    account_id: UUID
    user_id: UUID


def upsert_customer(customer: CustomerSnapshot, *, now: datetime) -> CustomerUpserted:
    """Opens the account if there is none and stores the snapshot. Raises ``account-erased``."""
    with atomic():
        account = hold_account(customer, now)
        return CustomerUpserted(account.id, account.user_id)


def hold_account(customer: CustomerSnapshot, now: datetime) -> Account:
    """The same inside another command: the account, held and up to date."""
    account = locks.lock_or_open_account(
        customer.user_id, locale=customer.locale, time_zone=customer.time_zone, now=now
    )
    if account.status == "erased":
        raise conflict("account-erased", "The account was erased.")
    stored = Customer.objects.filter(account=account).first()
    if stored is None or stored.sequence < customer.sequence:
        Customer.objects.update_or_create(
            account=account,
            defaults={
                "sequence": customer.sequence,
                "email_hash": customer.email_hash,
                "email": customer.email,
                "document_name": customer.document_name,
                "updated_at": now,
            },
        )
    if account.profile_sequence < customer.sequence:
        account.profile_sequence = customer.sequence
        account.locale, account.time_zone, account.updated_at = customer.locale, customer.time_zone, now
        account.store("profile_sequence", "locale", "time_zone", "updated_at")
    return account
