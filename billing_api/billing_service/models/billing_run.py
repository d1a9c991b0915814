"""Billing runs, what became of each subscription in them, and how far each periodic run has come."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from billing_api.billing_service.models.base import (
    BillingModel,
    account_field,
    choices,
    id_field,
    minor_field,
    reference,
)


class BillingRun(BillingModel):
    id = id_field()
    as_of = models.DateTimeField()
    is_dry = models.BooleanField(default=False)
    status = models.CharField(max_length=16, choices=choices("running", "finished"))
    due = models.IntegerField()
    shards = models.IntegerField()
    invoices = models.IntegerField(default=0)
    total_minor = minor_field(default=0)
    errors = models.IntegerField(default=0)
    skipped = models.IntegerField(default=0)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta(BillingModel.Meta):
        db_table = "billing_run"


class RunItem(BillingModel):
    """One subscription in one run; an error is kept here and stops nobody else."""

    id = id_field()
    account = account_field()
    run = reference("BillingRun", related_name="items", db_index=False)
    subscription_id = models.UUIDField()
    shard = models.IntegerField()
    state = models.CharField(max_length=16, choices=choices("pending", "done", "skipped", "error"))
    invoices = models.IntegerField(default=0)
    total_minor = minor_field(default=0)
    cap_reached = models.BooleanField(default=False)
    error = models.TextField(blank=True)
    settled_at = models.DateTimeField(null=True)

    class Meta(BillingModel.Meta):
        db_table = "run_item"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["run", "subscription_id"], name="run_item_once"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["run", "shard", "state"], name="run_item_shard"),
            models.Index(fields=["account"], name="run_item_account"),
        ]


class RunTick(BillingModel):
    """``billing``, ``collection``, ``maintenance``: the suite moment up to which the run is complete."""

    kind = models.CharField(primary_key=True, max_length=16)
    as_of = models.DateTimeField()
    finished_at = models.DateTimeField()

    class Meta(BillingModel.Meta):
        db_table = "run_tick"
