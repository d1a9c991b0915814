"""Which database each model lives in, and the five aliases of AdminPanel."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote, urlsplit

from django.db import connections

ADMIN: Final = "default"  # staff, sessions, staff's own log
MOVIES: Final = "movies"
USERS: Final = "users"  # read-only: UserAPI alone writes there
BILLING: Final = "billing"  # commands of BillingService, nothing else
BILLING_PAGES: Final = "billing_ro"  # what pages read
READ_ONLY: Final = frozenset({USERS, BILLING_PAGES})

_HOME: Final = {"catalog": MOVIES, "users": USERS}


def database(url: str, alias: str) -> dict[str, Any]:
    """An address as an entry of DATABASES; on read-only aliases the server refuses writes."""
    parts = urlsplit(url)
    options: dict[str, Any] = {"connect_timeout": 2, "application_name": f"admin-panel/{alias}"}
    if alias in READ_ONLY:
        options["options"] = "-c default_transaction_read_only=on"
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.removeprefix("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "127.0.0.1",
        "PORT": str(parts.port or 5432),
        "CONN_MAX_AGE": 300,
        "CONN_HEALTH_CHECKS": True,
        "DISABLE_SERVER_SIDE_CURSORS": True,
        "ATOMIC_REQUESTS": False,  # the transaction belongs to the command
        "OPTIONS": options,
    }


class Router:
    """Sends each app to its database; billing rows are read where the command at hand writes them.

    No relation crosses a database, and a database is migrated only with the apps that live in it.
    """

    def db_for_read(self, model: Any, **hints: Any) -> str:
        if model._meta.app_label == "billing_service":
            return BILLING if connections[BILLING].in_atomic_block else BILLING_PAGES
        return _HOME.get(model._meta.app_label, ADMIN)

    def db_for_write(self, model: Any, **hints: Any) -> str:
        if model._meta.app_label == "billing_service":
            return BILLING
        return _HOME.get(model._meta.app_label, ADMIN)

    def allow_relation(self, first: Any, second: Any, **hints: Any) -> bool:
        # Instances, not their types: request.user is a lazy object around one.
        return self.db_for_write(first) == self.db_for_write(second)

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        if app_label in ("billing_service", "users"):
            return False  # their owners migrate them
        return db == _HOME.get(app_label, ADMIN)
