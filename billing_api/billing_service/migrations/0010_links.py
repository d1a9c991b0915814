# ruff: noqa: RUF012
"""Links of a chain are made by the statement that writes them."""

from pathlib import Path

from django.db import migrations

LINKS = Path(__file__).with_name("links.sql").read_text(encoding="utf-8")
LINKS_DROP = Path(__file__).with_name("links_drop.sql").read_text(encoding="utf-8")


class Migration(migrations.Migration):
    dependencies = [("billing_service", "0009_debts")]

    operations = [migrations.RunSQL([LINKS], [LINKS_DROP])]
