"""Where models live: everything of this project in the database ``billing``."""

from __future__ import annotations

from typing import Any


class BillingRouter:
    """Sends every model to ``billing`` and lets nothing be migrated anywhere else."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "billing"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "billing"

    def allow_relation(self, first: Any, second: Any, **hints: Any) -> bool:
        return True

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db == "billing"
