# ruff: noqa: RUF012
"""What a product leaves of its rights after the grace."""

import django.contrib.postgres.fields
from django.db import migrations, models


def _field() -> models.Field:
    return django.contrib.postgres.fields.ArrayField(
        base_field=models.CharField(max_length=128),
        blank=True,
        db_default=models.Value("{}"),
        default=list,
        help_text="Those of the grants that go on until the day of cancellation. Empty: none.",
        size=None,
        verbose_name="grants after the grace",
    )


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0003_minimum_price"),
    ]

    operations = [
        migrations.AddField(model_name="historicalproduct", name="reduced_grants", field=_field()),
        migrations.AddField(model_name="product", name="reduced_grants", field=_field()),
    ]
