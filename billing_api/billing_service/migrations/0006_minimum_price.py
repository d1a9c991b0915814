# ruff: noqa: RUF012
"""The least price after discounts."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("billing_service", "0005_terms_trials_readings"),
    ]

    operations = [
        migrations.AddField(
            model_name="price",
            name="minimum_minor",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddConstraint(
            model_name="price",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("minimum_minor__isnull", True), ("minimum_minor__gte", 0), _connector="OR"
                ),
                name="price_minimum_not_negative",
            ),
        ),
    ]
