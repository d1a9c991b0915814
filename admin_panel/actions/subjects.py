"""Loads the row an action is about, from the read-only alias."""

from __future__ import annotations

from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Model
from django.http import Http404

from admin_panel.databases import BILLING_PAGES

Found = TypeVar("Found", bound=Model)


def load(model: type[Found], pk: UUID | None, *related: str, alias: str = BILLING_PAGES) -> Found:
    """The row; raises Http404."""
    rows: Any = model._default_manager.using(alias)
    row: Found | None = rows.select_related(*related).filter(pk=pk).first() if pk is not None else None
    if row is None:
        raise Http404(f"{model._meta.model_name} {pk}")
    return row
