"""Personal accounts, the erasable row with a customer's name and e-mail, and stored balances."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from billing_api.billing_service.models.base import (
    BillingModel,
    account_field,
    choices,
    currency_field,
    id_field,
    minor_field,
)


class Account(BillingModel):
    """One per user. Billing dates are computed in ``time_zone``."""

    id = id_field()
    user_id = models.UUIDField(unique=True)
    currency = currency_field()
    locale = models.CharField(max_length=16, default="ru")
    time_zone = models.CharField(max_length=64, default="Europe/Moscow")
    status = models.CharField(max_length=16, choices=choices("active", "blocked", "erased"), default="active")
    profile_sequence = models.BigIntegerField(default=0)  # of the user event or snapshot it was taken from
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta(BillingModel.Meta):
        db_table = "account"

    def __str__(self) -> str:
        return str(self.user_id)


class Customer(BillingModel):
    """Name and e-mail for documents: the only personal data here, deleted on erasure."""

    account = models.OneToOneField(
        "billing_service.Account", primary_key=True, on_delete=models.PROTECT, related_name="customer"
    )
    sequence = models.BigIntegerField()
    email_hash = models.CharField(max_length=128, db_index=True)
    email = models.EmailField(max_length=320)
    document_name = models.CharField(max_length=255, blank=True)
    updated_at = models.DateTimeField()

    class Meta(BillingModel.Meta):
        db_table = "customer"


class AccountBalance(BillingModel):
    """The ledger balance of the personal account in one currency: debit (owed) positive, minor units."""

    id = id_field()
    account = account_field()
    currency = currency_field()
    balance_minor = minor_field(default=0)
    entry_count = models.BigIntegerField(default=0)
    chain_head = models.CharField(max_length=64, blank=True, default="", db_default="")  # of the last entry

    class Meta(BillingModel.Meta):
        db_table = "account_balance"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["account", "currency"], name="account_balance_once"),
        ]


class TokenState(BillingModel):
    """What UserAPI said of a user's sessions: tokens of an older epoch or an ended family are refused."""

    user_id = models.UUIDField(primary_key=True)
    sequence = models.BigIntegerField()
    token_epoch = models.BigIntegerField()
    is_blocked = models.BooleanField(default=False)
    revoked_families = models.JSONField(default=list)
    updated_at = models.DateTimeField()

    class Meta(BillingModel.Meta):
        db_table = "token_state"


class KnownCard(BillingModel):
    """A saved card by PayAPI's keyed fingerprint: the same card of two people has the same one.

    Kept after the card is detached and the account erased, so that a trial stays one per person.
    """

    payment_method_id = models.UUIDField(primary_key=True, editable=False)
    account = account_field()
    fingerprint = models.CharField(max_length=128, db_index=True)
    sequence = models.BigIntegerField()
    is_active = models.BooleanField(default=True)
    saved_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta(BillingModel.Meta):
        db_table = "known_card"
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["account"], name="known_card_account")]


class TrialUse(BillingModel):
    """A person who has had a trial, by the hash of the normalised e-mail; outlives the account."""

    id = id_field()
    account = account_field()
    email_hash = models.CharField(max_length=128, unique=True)
    subscription_id = models.UUIDField()
    started_at = models.DateTimeField()

    class Meta(BillingModel.Meta):
        db_table = "trial_use"
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["account"], name="trial_use_account")]
