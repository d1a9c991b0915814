"""The command line of AdminPanel: ``python -m admin_panel.manage migrate_all`` and the other commands."""

from __future__ import annotations

import os
import sys

from admin_panel.settings import settings, use_migration_roles
from shared import logs

# Commands that change the schema run as its owner.
_OF_THE_OWNER = {"migrate", "migrate_all", "sqlmigrate"}


def main(argv: list[str]) -> None:
    """Runs one management command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "admin_panel.config.settings")
    if len(argv) > 1 and argv[1] in _OF_THE_OWNER:
        use_migration_roles()
    logs.configure(settings().service_name, settings().log_level)
    from django.core.management import execute_from_command_line

    execute_from_command_line(argv)


if __name__ == "__main__":
    main(sys.argv)
