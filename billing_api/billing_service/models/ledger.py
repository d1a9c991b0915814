"""The ledger: append-only transactions and entries; triggers of the migrations guard them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from billing_api.billing_service.models.base import (
    BillingModel,
    account_field,
    currency_field,
    id_field,
    minor_field,
    reference,
)


class LedgerTransaction(BillingModel):
    """A posting of one business fact on one personal account; one per (source kind, source id).

    ``leg_count`` says how many entries it has, two or more; it is proven once, at commit, and none can be
    added later.
    """

    id = id_field()
    account = account_field()
    source_kind = models.CharField(max_length=16)
    source_id = models.UUIDField()
    reverses_id = models.UUIDField(null=True)
    leg_count = models.SmallIntegerField()
    posted_at = models.DateTimeField()

    class Meta(BillingModel.Meta):
        db_table = "ledger_transaction"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["source_kind", "source_id"], name="ledger_transaction_source"),
            # What its entries refer to: they belong to its account and are as many as it says.
            models.UniqueConstraint(fields=["account", "id", "leg_count"], name="ledger_transaction_legs"),
        ]


class LedgerEntry(BillingModel):
    """One leg: debit positive, credit negative, minor units.

    ``account`` is the personal account the posting belongs to, ``ledger_account`` the account of the chart.
    It is leg ``leg_number`` (from 1) of ``leg_count``. ``position`` counts the entries of the ``customer``
    account from 1; 0 on the others. ``chain_hash``: docs/algorithms/ledger.md; the firm's own accounts have
    neither a chain nor a stored balance. That it has, and that the amount is not zero, is proven with the
    posting: a constraint on each row costs more than all of that reading.
    """

    id = id_field()
    # One foreign key in the database: (account, transaction, leg_count) of its transaction.
    account = account_field(db_constraint=False)
    transaction = reference("LedgerTransaction", related_name="entries", db_constraint=False, db_index=False)
    leg_number = models.SmallIntegerField()
    leg_count = models.SmallIntegerField()
    ledger_account = models.CharField(max_length=32)
    amount_minor = minor_field()
    currency = currency_field()
    position = models.BigIntegerField(default=0)
    chain_hash = models.CharField(max_length=64, null=True)
    posted_at = models.DateTimeField()

    class Meta(BillingModel.Meta):
        db_table = "ledger_entry"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["transaction", "leg_number"], name="ledger_entry_leg"),
            models.CheckConstraint(
                condition=Q(leg_number__gte=1, leg_number__lte=F("leg_count")), name="ledger_entry_leg_number"
            ),
            models.UniqueConstraint(
                fields=["account", "currency", "position"],
                condition=Q(ledger_account="customer"),
                name="ledger_entry_customer_position",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["account", "ledger_account", "posted_at"], name="ledger_entry_account"),
        ]
