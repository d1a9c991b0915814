# ruff: noqa: RUF012
"""Fixed terms, what a trial without a method comes to, saved cards by fingerprint, readings of payments."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("billing_service", "0004_guards_once"),
    ]

    operations = [
        migrations.CreateModel(
            name="KnownCard",
            fields=[
                ("payment_method_id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="billing_service.account",
                    ),
                ),
                ("fingerprint", models.CharField(db_index=True, max_length=128)),
                ("sequence", models.BigIntegerField()),
                ("is_active", models.BooleanField(default=True)),
                ("saved_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
            ],
            options={
                "db_table": "known_card",
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.AddField(
            model_name="pendingchange",
            name="term_periods",
            field=models.IntegerField(null=True),
        ),
        migrations.AddField(
            model_name="price",
            name="term_periods",
            field=models.IntegerField(null=True),
        ),
        migrations.AddField(
            model_name="product",
            name="trial_without_method",
            field=models.CharField(
                choices=[("cancel", "cancel"), ("invoice", "invoice")],
                db_default="cancel",
                default="cancel",
                max_length=16,
            ),
        ),
        migrations.AlterField(
            model_name="outgoingorder",
            name="kind",
            field=models.CharField(
                choices=[
                    ("collection", "collection"),
                    ("refund", "refund"),
                    ("cancellation", "cancellation"),
                    ("close_payments", "close payments"),
                    ("payment_reading", "payment reading"),
                ],
                max_length=16,
            ),
        ),
        migrations.AddConstraint(
            model_name="outgoingorder",
            constraint=models.UniqueConstraint(
                condition=models.Q(("kind", "payment_reading"), ("state", "pending")),
                fields=("payment_id",),
                name="outgoing_order_one_reading",
            ),
        ),
        migrations.AddIndex(
            model_name="knowncard",
            index=models.Index(fields=["account"], name="known_card_account"),
        ),
    ]
