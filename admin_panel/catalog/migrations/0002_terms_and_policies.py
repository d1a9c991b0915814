# ruff: noqa: RUF012
"""Fixed terms, a next amount from a date, and the policies of products."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="historicalprice",
            name="next_amount_minor",
            field=models.BigIntegerField(blank=True, null=True, verbose_name="next amount"),
        ),
        migrations.AddField(
            model_name="historicalprice",
            name="term_periods",
            field=models.PositiveSmallIntegerField(
                blank=True,
                help_text="The subscription ends after so many; empty: it renews until it is cancelled.",
                null=True,
                verbose_name="fixed term, periods",
            ),
        ),
        migrations.AddField(
            model_name="historicalproduct",
            name="change_cheaper",
            field=models.CharField(
                choices=[("now", "at once"), ("at_period_end", "at the period's end")],
                db_default="at_period_end",
                default="at_period_end",
                max_length=16,
                verbose_name="change to this from a dearer product",
            ),
        ),
        migrations.AddField(
            model_name="historicalproduct",
            name="change_dearer",
            field=models.CharField(
                choices=[("now", "at once"), ("at_period_end", "at the period's end")],
                db_default="now",
                default="now",
                max_length=16,
                verbose_name="change to this from a cheaper product",
            ),
        ),
        migrations.AddField(
            model_name="historicalproduct",
            name="dunning_policy",
            field=models.JSONField(
                blank=True,
                db_default=models.Value({}, output_field=models.JSONField()),
                default=dict,
                help_text="Empty: retries on days 1, 3, 5, 7 and 14, cancelled on day 21.",
                verbose_name="dunning",
            ),
        ),
        migrations.AddField(
            model_name="historicalproduct",
            name="trial_without_method",
            field=models.CharField(
                choices=[("cancel", "ends"), ("invoice", "leaves an invoice to pay")],
                db_default="cancel",
                default="cancel",
                max_length=16,
                verbose_name="a trial that nobody can be charged for",
            ),
        ),
        migrations.AddField(
            model_name="price",
            name="next_amount_minor",
            field=models.BigIntegerField(blank=True, null=True, verbose_name="next amount"),
        ),
        migrations.AddField(
            model_name="price",
            name="term_periods",
            field=models.PositiveSmallIntegerField(
                blank=True,
                help_text="The subscription ends after so many; empty: it renews until it is cancelled.",
                null=True,
                verbose_name="fixed term, periods",
            ),
        ),
        migrations.AddField(
            model_name="product",
            name="change_cheaper",
            field=models.CharField(
                choices=[("now", "at once"), ("at_period_end", "at the period's end")],
                db_default="at_period_end",
                default="at_period_end",
                max_length=16,
                verbose_name="change to this from a dearer product",
            ),
        ),
        migrations.AddField(
            model_name="product",
            name="change_dearer",
            field=models.CharField(
                choices=[("now", "at once"), ("at_period_end", "at the period's end")],
                db_default="now",
                default="now",
                max_length=16,
                verbose_name="change to this from a cheaper product",
            ),
        ),
        migrations.AddField(
            model_name="product",
            name="dunning_policy",
            field=models.JSONField(
                blank=True,
                db_default=models.Value({}, output_field=models.JSONField()),
                default=dict,
                help_text="Empty: retries on days 1, 3, 5, 7 and 14, cancelled on day 21.",
                verbose_name="dunning",
            ),
        ),
        migrations.AddField(
            model_name="product",
            name="trial_without_method",
            field=models.CharField(
                choices=[("cancel", "ends"), ("invoice", "leaves an invoice to pay")],
                db_default="cancel",
                default="cancel",
                max_length=16,
                verbose_name="a trial that nobody can be charged for",
            ),
        ),
        migrations.AlterField(
            model_name="historicalprice",
            name="valid_from_at",
            field=models.DateTimeField(
                blank=True,
                help_text="From then new customers pay it, and running subscriptions after a notice.",
                null=True,
                verbose_name="next amount from",
            ),
        ),
        migrations.AlterField(
            model_name="price",
            name="valid_from_at",
            field=models.DateTimeField(
                blank=True,
                help_text="From then new customers pay it, and running subscriptions after a notice.",
                null=True,
                verbose_name="next amount from",
            ),
        ),
        migrations.AddConstraint(
            model_name="price",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("next_amount_minor__isnull", True),
                    models.Q(("next_amount_minor__gte", 0), ("valid_from_at__isnull", False)),
                    _connector="OR",
                ),
                name="catalog_price_next_has_date",
            ),
        ),
        migrations.AddConstraint(
            model_name="price",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("term_periods__isnull", True),
                    models.Q(("interval_unit__isnull", False), ("term_periods__gte", 1)),
                    _connector="OR",
                ),
                name="catalog_price_term_of_periods",
            ),
        ),
    ]
