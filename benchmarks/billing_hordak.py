"""The rival of the posting figure: django-hordak's ``transfer_to``, in a process of its own.

Reads a count per line from standard input, makes so many transfers, answers the seconds they took. Its own
deferred trigger checks each transaction's balance in the database.
"""

from __future__ import annotations

import json
import os
import sys
import time
from urllib.parse import unquote, urlsplit


def main() -> None:
    import django
    from django.conf import settings

    parts = urlsplit(os.environ["HORDAK_DATABASE_URL"])
    settings.configure(
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": parts.path[1:],
                "USER": unquote(parts.username or ""),
                "PASSWORD": unquote(parts.password or ""),
                "HOST": parts.hostname,
                "PORT": parts.port,
                "CONN_MAX_AGE": None,
            }
        },
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "mptt", "djmoney", "hordak"],
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        SECRET_KEY="benchmark",
        USE_TZ=True,
        DEFAULT_CURRENCY="RUB",
        CURRENCIES=["RUB"],
    )
    django.setup()
    from django.core.management import call_command
    from hordak.models import Account, AccountType
    from moneyed import Money

    call_command("migrate", verbosity=0)
    goodwill = Account.objects.create(name="Goodwill", code="1", type=AccountType.expense, currencies=["RUB"])
    customers = [
        Account.objects.create(
            name=f"Customer {n}", code=str(n), type=AccountType.liability, currencies=["RUB"]
        )
        for n in range(2, 52)
    ]
    print("ready", flush=True)
    for line in sys.stdin:
        count = int(line)
        started = time.perf_counter()
        for number in range(count):
            goodwill.transfer_to(customers[number % len(customers)], Money("1.00", "RUB"))
        print(json.dumps(time.perf_counter() - started), flush=True)


if __name__ == "__main__":
    main()
