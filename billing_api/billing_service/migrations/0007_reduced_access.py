# ruff: noqa: RUF012
"""What a product leaves of its rights after the grace, and for how long."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("billing_service", "0006_minimum_price"),
    ]

    operations = [
        migrations.AddField(
            model_name="product",
            name="reduced_grants",
            field=models.JSONField(
                db_default=models.Value([], output_field=models.JSONField()), default=list
            ),
        ),
        migrations.AddField(
            model_name="subscription",
            name="reduced_days",
            field=models.IntegerField(db_default=21, default=21),
        ),
    ]
