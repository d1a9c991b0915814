"""Bodies of answers of runs and of what operators ask, for the documentation."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from billing_api.api.fields import MoneyField


class BillingRunBody(serializers.Serializer[Any]):
    """A billing run; ``id`` null when nothing was due."""

    id = serializers.UUIDField(allow_null=True)
    as_of = serializers.DateTimeField()
    due = serializers.IntegerField()
    shards = serializers.IntegerField()
    status = serializers.CharField()


class FailedItemBody(serializers.Serializer[Any]):
    """A subscription a run could not bill, and why."""

    subscription_id = serializers.UUIDField()
    error = serializers.CharField()


class BillingRunReportBody(serializers.Serializer[Any]):
    """How a run stands; ``failed_items``: the first 100."""

    id = serializers.UUIDField()
    as_of = serializers.DateTimeField()
    dry_run = serializers.BooleanField()
    status = serializers.CharField()
    due = serializers.IntegerField()
    shards = serializers.IntegerField()
    invoices = serializers.IntegerField()
    total = MoneyField()
    errors = serializers.IntegerField()  # type: ignore[assignment]
    skipped = serializers.IntegerField()
    failed_items = FailedItemBody(many=True)
    started_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class ShardBody(serializers.Serializer[Any]):
    """What a shard of a run did."""

    invoices = serializers.IntegerField()
    errors = serializers.IntegerField()  # type: ignore[assignment]
    skipped = serializers.IntegerField()


class AttemptsBody(serializers.Serializer[Any]):
    """How many collection attempts were planned."""

    attempts = serializers.IntegerField()


class InvariantBody(serializers.Serializer[Any]):
    """One invariant and, when broken, examples of what breaks it."""

    name = serializers.CharField()
    description = serializers.CharField()
    holds = serializers.BooleanField()
    offending = serializers.ListField(child=serializers.CharField())


class InvariantsBody(serializers.Serializer[Any]):
    """All invariants of the Billing database."""

    holds = serializers.BooleanField()
    items = InvariantBody(many=True)


class QuiescenceBody(serializers.Serializer[Any]):
    """Whether anything is still under way here."""

    quiet = serializers.BooleanField()
    pending = serializers.DictField(child=serializers.IntegerField())
    ticks = serializers.DictField(child=serializers.DateTimeField(allow_null=True))
