# ruff: noqa: RUF012
"""The least price after discounts."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0002_terms_and_policies"),
    ]

    operations = [
        migrations.AddField(
            model_name="historicalprice",
            name="minimum_minor",
            field=models.BigIntegerField(blank=True, null=True, verbose_name="least price after discounts"),
        ),
        migrations.AddField(
            model_name="price",
            name="minimum_minor",
            field=models.BigIntegerField(blank=True, null=True, verbose_name="least price after discounts"),
        ),
        migrations.AddConstraint(
            model_name="price",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("minimum_minor__isnull", True), ("minimum_minor__gte", 0), _connector="OR"
                ),
                name="catalog_price_minimum_not_negative",
            ),
        ),
    ]
