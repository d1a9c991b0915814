"""Makes the RabbitMQ users and their permissions; run by broker-migrate before the topology is declared.

Reads RABBITMQ_MANAGEMENT_URL (http://owner:password@host:15672) and RABBITMQ_PASSWORDS, a JSON object user ->
password. Safe to repeat: a user that exists gets the password and permissions given here.
"""

from __future__ import annotations

import base64
import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from urllib.parse import urlsplit

from shared.settings import secret_or_file

NOTHING = "^$"
CELERY = r"^(scheduler|celery.*|worker\..*)$"  # its own queues and exchanges, delayed ones included
# user -> (configure, write, read) on vhost /. The owner declares the topology; services only use it.
PERMISSIONS: dict[str, tuple[str, str, str]] = {
    "user-api": (NOTHING, r"^(users|dead-letters)$", r"^users\.(payments|invoices|catalog)$"),
    "pay-api": (NOTHING, r"^payments$", NOTHING),
    "billing-api": (NOTHING, r"^(invoices|dead-letters)$", r"^billing\.(payments|catalog|users)$"),
    "admin-panel": (NOTHING, r"^catalog$", NOTHING),
    "scheduler": (CELERY, CELERY, CELERY),
    # other systems: read both streams, and bind queues ext.<system>.* of their own to the two exchanges
    "data-bus-reader": (
        r"^ext\.[^.]+\..+$",
        r"^ext\.[^.]+\..+$",
        r"^(data-bus\.(payments|invoices)|payments|invoices|ext\.[^.]+\..+)$",
    ),
}


class ManagementApi:
    """The part of RabbitMQ's management API that makes users; credentials come in the address."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._base = f"{parts.scheme}://{parts.hostname}:{parts.port}/api"
        token = base64.b64encode(f"{parts.username}:{parts.password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}

    def put(self, path: str, body: Mapping[str, object]) -> None:
        """Creates or replaces; raises urllib's errors."""
        request = urllib.request.Request(
            f"{self._base}/{path}", method="PUT", data=json.dumps(body).encode(), headers=self._headers
        )
        with urllib.request.urlopen(request, timeout=10):
            pass

    def wait(self, patience_seconds: float) -> None:
        """Waits until the API answers; the plugin starts a moment after the broker."""
        deadline = time.monotonic() + patience_seconds
        while True:
            request = urllib.request.Request(f"{self._base}/overview", headers=self._headers)
            try:
                with urllib.request.urlopen(request, timeout=5):
                    return
            except (urllib.error.URLError, OSError) as error:
                if time.monotonic() > deadline:
                    raise SystemExit(f"RabbitMQ's management API does not answer: {error}") from error
                time.sleep(0.5)


def make_users(api: ManagementApi, passwords: Mapping[str, str], vhost: str = "%2F") -> None:
    """One user per service with its permissions on the vhost (percent-encoded).

    Raises SystemExit when a password is missing.
    """
    if absent := sorted(set(PERMISSIONS) - set(passwords)):
        raise SystemExit(f"RABBITMQ_PASSWORDS lacks: {', '.join(absent)}")
    for user, (configure, write, read) in PERMISSIONS.items():
        api.put(f"users/{user}", {"password": passwords[user], "tags": ""})
        api.put(f"permissions/{vhost}/{user}", {"configure": configure, "write": write, "read": read})


def _setting(name: str) -> str:
    if value := secret_or_file(name):
        return value
    raise SystemExit(f"{name} is not set")


def main() -> int:
    """The command: waits for the broker, makes the users, says so."""
    api = ManagementApi(_setting("RABBITMQ_MANAGEMENT_URL"))
    api.wait(patience_seconds=60)
    make_users(api, json.loads(_setting("RABBITMQ_PASSWORDS")))
    print(f"rabbitmq: {len(PERMISSIONS)} users in place")
    return 0


if __name__ == "__main__":
    sys.exit(main())
