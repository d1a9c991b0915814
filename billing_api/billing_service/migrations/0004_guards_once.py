# ruff: noqa: RUF012
"""The ledger's guards, cheaper: nothing that was refused is taken now."""

from pathlib import Path

from django.db import migrations

GUARDS = Path(__file__).with_name("guards_once.sql").read_text(encoding="utf-8")
GUARDS_BEFORE = Path(__file__).with_name("guards_once_drop.sql").read_text(encoding="utf-8")


class Migration(migrations.Migration):
    dependencies = [("billing_service", "0003_change_of_product")]

    operations = [migrations.RunSQL([GUARDS], [GUARDS_BEFORE])]
