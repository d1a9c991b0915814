"""The name of the database that every billing command works in, whichever Django project runs it."""

from __future__ import annotations

from typing import Any, Final

from django.db import connections, transaction

DATABASE: Final = "billing"


def atomic() -> transaction.Atomic:
    """One transaction on the billing database."""
    return transaction.atomic(using=DATABASE)


def cursor() -> Any:
    """A cursor on the billing connection, inside the transaction at hand."""
    return connections[DATABASE].cursor()
