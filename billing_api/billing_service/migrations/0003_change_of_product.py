# ruff: noqa: RUF012
"""Changes of product that wait; policies of products; new prices with a date and a notice."""

import django.db.models.deletion
from django.db import migrations, models

import shared.ids


class Migration(migrations.Migration):
    dependencies = [
        ("billing_service", "0002_ledger_chain"),
    ]

    operations = [
        migrations.AddField(
            model_name="price",
            name="next_amount_minor",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="product",
            name="change_policy",
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name="product",
            name="dunning_policy",
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name="subscription",
            name="price_noticed_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="subscription",
            name="price_noticed_minor",
            field=models.BigIntegerField(null=True),
        ),
        migrations.CreateModel(
            name="PendingChange",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=shared.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "timing",
                    models.CharField(
                        choices=[("now", "now"), ("at_period_end", "at period end")], max_length=16
                    ),
                ),
                ("effective_on", models.DateField()),
                ("lapses_at", models.DateTimeField(null=True)),
                ("unit_minor", models.BigIntegerField()),
                ("currency", models.CharField(default="RUB", max_length=3)),
                ("interval_unit", models.CharField(max_length=16)),
                ("interval_count", models.IntegerField()),
                ("moves_anchor", models.BooleanField()),
                ("terms_before", models.JSONField(default=dict)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "open"),
                            ("done", "done"),
                            ("lapsed", "lapsed"),
                            ("replaced", "replaced"),
                            ("undone", "undone"),
                        ],
                        max_length=16,
                    ),
                ),
                ("created_at", models.DateTimeField()),
                ("settled_at", models.DateTimeField(null=True)),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="billing_service.account",
                    ),
                ),
                (
                    "invoice",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="billing_service.invoice",
                    ),
                ),
                (
                    "price",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="billing_service.price",
                    ),
                ),
                (
                    "product",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="billing_service.product",
                    ),
                ),
                (
                    "subscription",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="changes",
                        to="billing_service.subscription",
                    ),
                ),
            ],
            options={
                "db_table": "pending_change",
                "abstract": False,
                "base_manager_name": "objects",
                "indexes": [
                    models.Index(fields=["account", "created_at"], name="pending_change_account"),
                    models.Index(fields=["subscription", "created_at"], name="pending_change_sub"),
                    models.Index(
                        condition=models.Q(("state", "open")),
                        fields=["lapses_at"],
                        name="pending_change_lapsing",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state", "open")),
                        fields=("subscription",),
                        name="pending_change_one_open",
                    )
                ],
            },
        ),
    ]
