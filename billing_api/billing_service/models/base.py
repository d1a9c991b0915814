"""What every billing table shares: its rows are read and written through the alias ``billing``."""

from __future__ import annotations

from typing import Any, TypeVar
from uuid import UUID

from django.db import models

from billing_api.billing_service.database import DATABASE
from shared.ids import new_id

Row = TypeVar("Row", bound=models.Model)


class BillingManager(models.Manager[Row]):
    """Reads from ``billing`` unless told otherwise, so that a command never leaves its transaction."""

    def get_queryset(self) -> models.QuerySet[Row]:
        return super().get_queryset().using(self._db or DATABASE)


class BillingModel(models.Model):
    """Base of the billing tables."""

    objects = BillingManager()

    class Meta:
        abstract = True
        base_manager_name = "objects"

    def __str__(self) -> str:
        """What people call the row: its document number or code, else its id."""
        return str(getattr(self, "number", None) or getattr(self, "code", None) or self.pk)

    def store(self, *fields: str) -> None:
        """Updates the named columns of an existing row."""
        self.save(using=DATABASE, update_fields=list(fields))


def id_field(**options: Any) -> models.UUIDField[UUID, UUID]:
    return models.UUIDField(primary_key=True, default=new_id, editable=False, **options)


def minor_field(**options: Any) -> models.BigIntegerField[int, int]:
    """An amount in minor units of the row's currency."""
    return models.BigIntegerField(**options)


def currency_field() -> models.CharField[Any, Any]:
    return models.CharField(max_length=3, default="RUB")


def account_field(**options: Any) -> models.ForeignKey[Any, Any]:
    """The personal account, leading column of the table's keys; never cascades."""
    options.setdefault("on_delete", models.PROTECT)
    options.setdefault("related_name", "+")
    options.setdefault("db_index", False)
    return models.ForeignKey("billing_service.Account", **options)


def reference(to: str, **options: Any) -> models.ForeignKey[Any, Any]:
    options.setdefault("on_delete", models.PROTECT)
    options.setdefault("related_name", "+")
    return models.ForeignKey(f"billing_service.{to}", **options)


def choices(*names: str) -> list[tuple[str, str]]:
    return [(name, name.replace("_", " ")) for name in names]
