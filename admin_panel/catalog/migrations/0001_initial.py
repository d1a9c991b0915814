# ruff: noqa: RUF012
"""The tables of the Movies database, with the suite's idempotency, outbox and inbox."""

import django.contrib.postgres.fields
import django.db.models.deletion
import simple_history.models
from django.db import migrations, models

import shared.ids
from shared import tables


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.RunSQL(tables.SQL, tables.drop_sql()),
        migrations.CreateModel(
            name="Collection",
            fields=[
                ("title_ru", models.CharField(max_length=255, verbose_name="title in Russian")),
                ("title_en", models.CharField(max_length=255, verbose_name="title in English")),
                (
                    "id",
                    models.UUIDField(
                        default=shared.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("slug", models.SlugField(max_length=64, unique=True, verbose_name="slug")),
                ("updated_at", models.DateTimeField(verbose_name="changed at")),
                (
                    "published_at",
                    models.DateTimeField(editable=False, null=True, verbose_name="published at"),
                ),
            ],
            options={
                "verbose_name": "Film collection",
                "verbose_name_plural": "collections",
                "db_table": "collection",
                "ordering": ["slug"],
            },
        ),
        migrations.CreateModel(
            name="HistoricalCollection",
            fields=[
                ("title_ru", models.CharField(max_length=255, verbose_name="title in Russian")),
                ("title_en", models.CharField(max_length=255, verbose_name="title in English")),
                ("id", models.UUIDField(db_index=True, default=shared.ids.new_id, editable=False)),
                ("slug", models.SlugField(max_length=64, verbose_name="slug")),
                ("updated_at", models.DateTimeField(verbose_name="changed at")),
                (
                    "published_at",
                    models.DateTimeField(editable=False, null=True, verbose_name="published at"),
                ),
                ("history_user_id", models.IntegerField(null=True)),
                ("history_id", models.AutoField(primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.CharField(max_length=100, null=True)),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
            ],
            options={
                "verbose_name": "historical Film collection",
                "verbose_name_plural": "historical collections",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalMovie",
            fields=[
                ("id", models.UUIDField(db_index=True, default=shared.ids.new_id, editable=False)),
                ("title", models.CharField(db_index=True, max_length=255, verbose_name="title")),
                ("released_on", models.DateField(db_index=True, verbose_name="released on")),
                ("genre", models.CharField(blank=True, db_index=True, max_length=64, verbose_name="genre")),
                ("director", models.CharField(blank=True, max_length=128, verbose_name="director")),
                ("distributor", models.CharField(blank=True, max_length=128, verbose_name="distributor")),
                (
                    "running_time_minutes",
                    models.PositiveIntegerField(blank=True, null=True, verbose_name="running time, minutes"),
                ),
                ("mpaa_rating", models.CharField(blank=True, max_length=16, verbose_name="MPAA rating")),
                (
                    "imdb_rating",
                    models.DecimalField(
                        blank=True, decimal_places=1, max_digits=3, null=True, verbose_name="IMDb rating"
                    ),
                ),
                ("imdb_votes", models.PositiveIntegerField(default=0, verbose_name="IMDb votes")),
                ("history_user_id", models.IntegerField(null=True)),
                ("history_id", models.AutoField(primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.CharField(max_length=100, null=True)),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
            ],
            options={
                "verbose_name": "historical film",
                "verbose_name_plural": "historical films",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalProduct",
            fields=[
                ("title_ru", models.CharField(max_length=255, verbose_name="title in Russian")),
                ("title_en", models.CharField(max_length=255, verbose_name="title in English")),
                ("id", models.UUIDField(db_index=True, default=shared.ids.new_id, editable=False)),
                ("slug", models.SlugField(max_length=128, verbose_name="slug")),
                (
                    "kind",
                    models.CharField(
                        choices=[("recurring", "subscription"), ("one_time", "one-time purchase")],
                        max_length=16,
                        verbose_name="kind",
                    ),
                ),
                (
                    "group",
                    models.SlugField(
                        help_text="A customer has one subscription of a group at a time.",
                        max_length=64,
                        verbose_name="group",
                    ),
                ),
                ("description_ru", models.TextField(blank=True, verbose_name="description in Russian")),
                ("description_en", models.TextField(blank=True, verbose_name="description in English")),
                (
                    "grants",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=128),
                        help_text="collection:<slug>, movie:<id> or feature:<slug>, one a row.",
                        size=None,
                        verbose_name="grants",
                    ),
                ),
                (
                    "grace_days",
                    models.PositiveSmallIntegerField(
                        default=3,
                        help_text="Access goes on for so long after an unpaid period's end.",
                        verbose_name="grace, days",
                    ),
                ),
                (
                    "trial_needs_method",
                    models.BooleanField(default=True, verbose_name="a trial needs a saved card"),
                ),
                (
                    "refund_window_days",
                    models.PositiveSmallIntegerField(default=14, verbose_name="refund window, days"),
                ),
                (
                    "rank",
                    models.IntegerField(
                        default=0, help_text="Order in lists and of upgrades.", verbose_name="rank"
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[("draft", "draft"), ("published", "published"), ("retired", "retired")],
                        default="draft",
                        editable=False,
                        max_length=16,
                        verbose_name="status",
                    ),
                ),
                ("updated_at", models.DateTimeField(verbose_name="changed at")),
                (
                    "published_at",
                    models.DateTimeField(editable=False, null=True, verbose_name="published at"),
                ),
                ("history_user_id", models.IntegerField(null=True)),
                ("history_id", models.AutoField(primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.CharField(max_length=100, null=True)),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
            ],
            options={
                "verbose_name": "historical product",
                "verbose_name_plural": "historical products",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="Movie",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=shared.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("title", models.CharField(db_index=True, max_length=255, verbose_name="title")),
                ("released_on", models.DateField(db_index=True, verbose_name="released on")),
                ("genre", models.CharField(blank=True, db_index=True, max_length=64, verbose_name="genre")),
                ("director", models.CharField(blank=True, max_length=128, verbose_name="director")),
                ("distributor", models.CharField(blank=True, max_length=128, verbose_name="distributor")),
                (
                    "running_time_minutes",
                    models.PositiveIntegerField(blank=True, null=True, verbose_name="running time, minutes"),
                ),
                ("mpaa_rating", models.CharField(blank=True, max_length=16, verbose_name="MPAA rating")),
                (
                    "imdb_rating",
                    models.DecimalField(
                        blank=True, decimal_places=1, max_digits=3, null=True, verbose_name="IMDb rating"
                    ),
                ),
                ("imdb_votes", models.PositiveIntegerField(default=0, verbose_name="IMDb votes")),
            ],
            options={
                "verbose_name": "film",
                "verbose_name_plural": "films",
                "db_table": "movie",
                "ordering": ["-imdb_votes", "title"],
            },
        ),
        migrations.CreateModel(
            name="Product",
            fields=[
                ("title_ru", models.CharField(max_length=255, verbose_name="title in Russian")),
                ("title_en", models.CharField(max_length=255, verbose_name="title in English")),
                (
                    "id",
                    models.UUIDField(
                        default=shared.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("slug", models.SlugField(max_length=128, unique=True, verbose_name="slug")),
                (
                    "kind",
                    models.CharField(
                        choices=[("recurring", "subscription"), ("one_time", "one-time purchase")],
                        max_length=16,
                        verbose_name="kind",
                    ),
                ),
                (
                    "group",
                    models.SlugField(
                        help_text="A customer has one subscription of a group at a time.",
                        max_length=64,
                        verbose_name="group",
                    ),
                ),
                ("description_ru", models.TextField(blank=True, verbose_name="description in Russian")),
                ("description_en", models.TextField(blank=True, verbose_name="description in English")),
                (
                    "grants",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=128),
                        help_text="collection:<slug>, movie:<id> or feature:<slug>, one a row.",
                        size=None,
                        verbose_name="grants",
                    ),
                ),
                (
                    "grace_days",
                    models.PositiveSmallIntegerField(
                        default=3,
                        help_text="Access goes on for so long after an unpaid period's end.",
                        verbose_name="grace, days",
                    ),
                ),
                (
                    "trial_needs_method",
                    models.BooleanField(default=True, verbose_name="a trial needs a saved card"),
                ),
                (
                    "refund_window_days",
                    models.PositiveSmallIntegerField(default=14, verbose_name="refund window, days"),
                ),
                (
                    "rank",
                    models.IntegerField(
                        default=0, help_text="Order in lists and of upgrades.", verbose_name="rank"
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[("draft", "draft"), ("published", "published"), ("retired", "retired")],
                        default="draft",
                        editable=False,
                        max_length=16,
                        verbose_name="status",
                    ),
                ),
                ("updated_at", models.DateTimeField(verbose_name="changed at")),
                (
                    "published_at",
                    models.DateTimeField(editable=False, null=True, verbose_name="published at"),
                ),
            ],
            options={
                "verbose_name": "product",
                "verbose_name_plural": "products",
                "db_table": "product",
                "ordering": ["rank", "slug"],
            },
        ),
        migrations.CreateModel(
            name="HistoricalCollection_movies",
            fields=[
                (
                    "id",
                    models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name="ID"),
                ),
                ("m2m_history_id", models.AutoField(primary_key=True, serialize=False)),
                (
                    "collection",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_tablespace="",
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="catalog.collection",
                    ),
                ),
                (
                    "history",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="catalog.historicalcollection",
                    ),
                ),
                (
                    "movie",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_tablespace="",
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="catalog.movie",
                    ),
                ),
            ],
            options={
                "verbose_name": "HistoricalCollection_movies",
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.AddField(
            model_name="collection",
            name="movies",
            field=models.ManyToManyField(
                blank=True, related_name="collections", to="catalog.movie", verbose_name="films"
            ),
        ),
        migrations.CreateModel(
            name="HistoricalPrice",
            fields=[
                ("id", models.UUIDField(db_index=True, default=shared.ids.new_id, editable=False)),
                ("amount_minor", models.BigIntegerField(verbose_name="amount")),
                (
                    "currency",
                    models.CharField(
                        choices=[
                            ("RUB", "RUB"),
                            ("USD", "USD"),
                            ("EUR", "EUR"),
                            ("KZT", "KZT"),
                            ("GEL", "GEL"),
                            ("AMD", "AMD"),
                            ("UZS", "UZS"),
                        ],
                        default="RUB",
                        max_length=3,
                        verbose_name="currency",
                    ),
                ),
                (
                    "interval_unit",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("day", "day"),
                            ("week", "week"),
                            ("month", "month"),
                            ("quarter", "quarter"),
                            ("half_year", "half a year"),
                            ("year", "year"),
                        ],
                        max_length=16,
                        null=True,
                        verbose_name="interval",
                    ),
                ),
                ("interval_count", models.PositiveSmallIntegerField(default=1, verbose_name="intervals")),
                ("trial_days", models.PositiveSmallIntegerField(default=0, verbose_name="trial, days")),
                (
                    "access_days",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Of a rental; empty: for ever.",
                        null=True,
                        verbose_name="access, days",
                    ),
                ),
                ("is_default", models.BooleanField(default=False, verbose_name="default")),
                ("is_active", models.BooleanField(default=True, verbose_name="active")),
                ("valid_from_at", models.DateTimeField(blank=True, null=True, verbose_name="valid from")),
                ("history_user_id", models.IntegerField(null=True)),
                ("history_id", models.AutoField(primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.CharField(max_length=100, null=True)),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
                (
                    "product",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="catalog.product",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical price",
                "verbose_name_plural": "historical prices",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="Price",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=shared.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("amount_minor", models.BigIntegerField(verbose_name="amount")),
                (
                    "currency",
                    models.CharField(
                        choices=[
                            ("RUB", "RUB"),
                            ("USD", "USD"),
                            ("EUR", "EUR"),
                            ("KZT", "KZT"),
                            ("GEL", "GEL"),
                            ("AMD", "AMD"),
                            ("UZS", "UZS"),
                        ],
                        default="RUB",
                        max_length=3,
                        verbose_name="currency",
                    ),
                ),
                (
                    "interval_unit",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("day", "day"),
                            ("week", "week"),
                            ("month", "month"),
                            ("quarter", "quarter"),
                            ("half_year", "half a year"),
                            ("year", "year"),
                        ],
                        max_length=16,
                        null=True,
                        verbose_name="interval",
                    ),
                ),
                ("interval_count", models.PositiveSmallIntegerField(default=1, verbose_name="intervals")),
                ("trial_days", models.PositiveSmallIntegerField(default=0, verbose_name="trial, days")),
                (
                    "access_days",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Of a rental; empty: for ever.",
                        null=True,
                        verbose_name="access, days",
                    ),
                ),
                ("is_default", models.BooleanField(default=False, verbose_name="default")),
                ("is_active", models.BooleanField(default=True, verbose_name="active")),
                ("valid_from_at", models.DateTimeField(blank=True, null=True, verbose_name="valid from")),
                (
                    "product",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="prices",
                        to="catalog.product",
                    ),
                ),
            ],
            options={
                "verbose_name": "price",
                "verbose_name_plural": "prices",
                "db_table": "price",
                "ordering": ["-is_default", "amount_minor"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("amount_minor__gte", 0)), name="catalog_price_not_negative"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("interval_count__gte", 1)), name="catalog_price_interval_count"
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("is_default", True)),
                        fields=("product",),
                        name="catalog_price_one_default",
                    ),
                ],
            },
        ),
    ]
