# ruff: noqa: RUF012
"""The hash chain of every personal account."""

from pathlib import Path

from django.db import migrations, models

CHAIN = Path(__file__).with_name("chain.sql").read_text(encoding="utf-8")
CHAIN_DROP = Path(__file__).with_name("chain_drop.sql").read_text(encoding="utf-8")


class Migration(migrations.Migration):
    dependencies = [("billing_service", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="ledgerentry",
            name="chain_hash",
            field=models.CharField(max_length=64, null=True),
        ),
        migrations.AddField(
            model_name="accountbalance",
            name="chain_head",
            field=models.CharField(blank=True, db_default="", default="", max_length=64),
        ),
        migrations.RunSQL([CHAIN], [CHAIN_DROP]),
        migrations.AddConstraint(
            model_name="ledgerentry",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("chain_hash__isnull", False), ("ledger_account", "customer"), ("position__gt", 0)
                )
                | models.Q(
                    models.Q(("ledger_account", "customer"), _negated=True),
                    ("chain_hash__isnull", True),
                    ("position", 0),
                ),
                name="ledger_entry_chained",
            ),
        ),
    ]
