"""``migrate_all``: the Admin and Movies databases, each with the apps that live in it; groups of staff."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.core.management import call_command
from django.core.management.base import BaseCommand

from admin_panel.databases import ADMIN, MOVIES
from admin_panel.staff.roles import ensure_groups

_ADMIN_APPS = ("contenttypes", "auth", "sessions", "admin", "account", "mfa")


class Command(BaseCommand):
    help = "Migrates the Admin and Movies databases as their owners."

    def handle(self, *args: Any, **options: Any) -> None:
        verbosity = options["verbosity"]
        call_command("migrate", "catalog", database=MOVIES, interactive=False, verbosity=verbosity)
        for app in _ADMIN_APPS:
            call_command("migrate", app, database=ADMIN, interactive=False, verbosity=verbosity)
        call_command("createcachetable", database=ADMIN, verbosity=verbosity)
        for config in apps.get_app_configs():
            # Permissions live in the Admin database, whichever database an app's tables are in.
            create_permissions(config, verbosity=0, interactive=False, using=ADMIN)
        ensure_groups()
