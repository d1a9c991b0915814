"""The audit of staff commands, and findings a person should look at."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from billing_api.billing_service.models.base import BillingModel, account_field, id_field


class AuditRecord(BillingModel):
    """Who did what, when and why, with the state before and after; append-only."""

    id = id_field()
    account = account_field(null=True)
    command = models.CharField(max_length=64)
    actor_kind = models.CharField(max_length=16)
    actor_id = models.CharField(max_length=128)
    reason = models.TextField()
    subject_kind = models.CharField(max_length=32)
    subject_id = models.UUIDField()
    before = models.JSONField()
    after = models.JSONField()
    correlation_id = models.CharField(max_length=64)
    done_at = models.DateTimeField()

    class Meta(BillingModel.Meta):
        db_table = "audit_record"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["account", "done_at"], name="audit_record_account"),
            models.Index(fields=["subject_id"], name="audit_record_subject"),
        ]


class ReviewItem(BillingModel):
    """Something out of the ordinary: late money, overpayment, a subscription the run set aside."""

    id = id_field()
    account = account_field()
    kind = models.CharField(max_length=32)
    subject_kind = models.CharField(max_length=32)
    subject_id = models.UUIDField()
    detail = models.JSONField(default=dict)
    found_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)

    class Meta(BillingModel.Meta):
        db_table = "review_item"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["kind", "subject_id"], name="review_item_once"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["account", "found_at"], name="review_item_account")
        ]
