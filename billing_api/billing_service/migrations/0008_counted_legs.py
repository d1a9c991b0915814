# ruff: noqa: RUF012
"""A posting says how many legs it has, and is proven once."""

from pathlib import Path

import django.db.models.deletion
from django.db import migrations, models

LEGS = Path(__file__).with_name("legs.sql").read_text(encoding="utf-8")
LEGS_DROP = Path(__file__).with_name("legs_drop.sql").read_text(encoding="utf-8")
KEYS = Path(__file__).with_name("legs_keys.sql").read_text(encoding="utf-8")
KEYS_DROP = Path(__file__).with_name("legs_keys_drop.sql").read_text(encoding="utf-8")


def count_field() -> models.SmallIntegerField:
    """0 until the next step fills it in."""
    return models.SmallIntegerField(default=0)


class Migration(migrations.Migration):
    dependencies = [("billing_service", "0007_reduced_access")]

    operations = [
        migrations.AddField("ledgertransaction", "leg_count", count_field(), preserve_default=False),
        migrations.AddField("ledgerentry", "leg_number", count_field(), preserve_default=False),
        migrations.AddField("ledgerentry", "leg_count", count_field(), preserve_default=False),
        migrations.RunSQL([LEGS], [LEGS_DROP]),
        migrations.AlterField(
            "ledgerentry",
            "account",
            models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="billing_service.account",
            ),
        ),
        migrations.AlterField(
            "ledgerentry",
            "transaction",
            models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="entries",
                to="billing_service.ledgertransaction",
            ),
        ),
        migrations.AddConstraint(
            "ledgertransaction",
            models.CheckConstraint(
                condition=models.Q(("leg_count__gte", 2)), name="ledger_transaction_two_legs"
            ),
        ),
        migrations.AddConstraint(
            "ledgerentry",
            models.CheckConstraint(
                condition=models.Q(("leg_number__gte", 1), ("leg_number__lte", models.F("leg_count"))),
                name="ledger_entry_leg_number",
            ),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL([KEYS], [KEYS_DROP])],
            state_operations=[
                migrations.RemoveIndex("ledgertransaction", "ledger_transaction_account"),
                migrations.AddConstraint(
                    "ledgertransaction",
                    models.UniqueConstraint(
                        fields=("account", "id", "leg_count"), name="ledger_transaction_legs"
                    ),
                ),
                migrations.AddConstraint(
                    "ledgerentry",
                    models.UniqueConstraint(fields=("transaction", "leg_number"), name="ledger_entry_leg"),
                ),
            ],
        ),
    ]
