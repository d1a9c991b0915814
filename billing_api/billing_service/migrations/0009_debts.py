# ruff: noqa: RUF012
"""An invoice that asks for a debt of the account: it sells nothing, and its balance is negative."""

from django.db import migrations, models

KINDS = ("first", "renewal", "change", "purchase", "charge", "debt")


class Migration(migrations.Migration):
    dependencies = [("billing_service", "0008_counted_legs")]

    operations = [
        migrations.AlterField(
            "invoice", "kind", models.CharField(max_length=16, choices=[(one, one) for one in KINDS])
        ),
        migrations.RemoveConstraint("invoice", "invoice_amounts_not_negative"),
        migrations.AddConstraint(
            "invoice",
            models.CheckConstraint(
                condition=models.Q(
                    ("amount_due_minor__gte", 0),
                    ("paid_minor__gte", 0),
                    ("credited_minor__gte", 0),
                    models.Q(("balance_applied_minor__gte", 0), ("kind", "debt"), _connector="OR"),
                ),
                name="invoice_amounts_not_negative",
            ),
        ),
        migrations.AddConstraint(
            "invoice",
            models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "debt"), _negated=True),
                    models.Q(("balance_applied_minor__lt", 0), ("total_minor", 0), ("vat_minor", 0)),
                    _connector="OR",
                ),
                name="invoice_debt_sells_nothing",
            ),
        ),
    ]
