"""The command line of BillingAPI: ``python -m billing_api.manage migrate`` and Django's other commands."""

from __future__ import annotations

import os
import sys

from billing_api.settings import use_migration_role

# Commands that change the schema run as its owner; those on one database mean ours.
_OF_THE_OWNER = {"migrate", "sqlmigrate"}
_OF_ONE_DATABASE = {"migrate", "sqlmigrate", "showmigrations", "flush", "dbshell", "inspectdb"}


def with_database(argv: list[str]) -> list[str]:
    """The command line with ``--database billing`` added where Django would fall back to ``default``."""
    if len(argv) > 1 and argv[1] in _OF_ONE_DATABASE and not any(a.startswith("--database") for a in argv):
        return [*argv, "--database", "billing"]
    return argv


def main(argv: list[str]) -> None:
    """Runs one management command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billing_api.config.settings")
    if len(argv) > 1 and argv[1] in _OF_THE_OWNER:
        use_migration_role()
    from django.core.management import execute_from_command_line

    execute_from_command_line(with_database(argv))


if __name__ == "__main__":
    main(sys.argv)
