# ruff: noqa: RUF012
"""The billing tables, the tables shared by all services, and the guards of ledger and documents."""

from pathlib import Path

import django.db.models.deletion
from django.db import migrations, models

import shared.ids
from shared import tables

GUARDS = Path(__file__).with_name("guards.sql").read_text(encoding="utf-8")
GUARDS_DROP = Path(__file__).with_name("guards_drop.sql").read_text(encoding="utf-8")


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Account",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=shared.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("user_id", models.UUIDField(unique=True)),
                ("currency", models.CharField(default="RUB", max_length=3)),
                ("locale", models.CharField(default="ru", max_length=16)),
                ("time_zone", models.CharField(default="Europe/Moscow", max_length=64)),
                (
                    "status",
                    models.CharField(
                        choices=[("active", "active"), ("blocked", "blocked"), ("erased", "erased")],
                        default="active",
                        max_length=16,
                    ),
                ),
                ("profile_sequence", models.BigIntegerField(default=0)),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
            ],
            options={
                "db_table": "account",
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="BillingRun",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=shared.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("as_of", models.DateTimeField()),
                ("is_dry", models.BooleanField(default=False)),
                (
                    "status",
                    models.CharField(
                        choices=[("running", "running"), ("finished", "finished")], max_length=16
                    ),
                ),
                ("due", models.IntegerField()),
                ("shards", models.IntegerField()),
                ("invoices", models.IntegerField(default=0)),
                ("total_minor", models.BigIntegerField(default=0)),
                ("errors", models.IntegerField(default=0)),
                ("skipped", models.IntegerField(default=0)),
                ("started_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "billing_run",
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="Product",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("sequence", models.BigIntegerField()),
                ("slug", models.CharField(max_length=128)),
                (
                    "kind",
                    models.CharField(
                        choices=[("recurring", "recurring"), ("one_time", "one time")], max_length=16
                    ),
                ),
                ("product_group", models.CharField(max_length=128)),
                ("title", models.JSONField()),
                ("grants", models.JSONField(default=list)),
                ("grace_days", models.IntegerField(default=3)),
                ("trial_needs_method", models.BooleanField(default=True)),
                ("refund_window_days", models.IntegerField(default=14)),
                ("rank", models.IntegerField(default=0)),
                (
                    "status",
                    models.CharField(
                        choices=[("published", "published"), ("retired", "retired")], max_length=16
                    ),
                ),
                ("updated_at", models.DateTimeField()),
            ],
            options={
                "db_table": "product",
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="RunTick",
            fields=[
                ("kind", models.CharField(max_length=16, primary_key=True, serialize=False)),
                ("as_of", models.DateTimeField()),
                ("finished_at", models.DateTimeField()),
            ],
            options={
                "db_table": "run_tick",
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="TokenState",
            fields=[
                ("user_id", models.UUIDField(primary_key=True, serialize=False)),
                ("sequence", models.BigIntegerField()),
                ("token_epoch", models.BigIntegerField()),
                ("is_blocked", models.BooleanField(default=False)),
                ("revoked_families", models.JSONField(default=list)),
                ("updated_at", models.DateTimeField()),
            ],
            options={
                "db_table": "token_state",
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="Customer",
            fields=[
                (
                    "account",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="customer",
                        serialize=False,
                        to="billing_service.account",
                    ),
                ),
                ("sequence", models.BigIntegerField()),
                ("email_hash", models.CharField(db_index=True, max_length=128)),
                ("email", models.EmailField(max_length=320)),
                ("document_name", models.CharField(blank=True, max_length=255)),
                ("updated_at", models.DateTimeField()),
            ],
            options={
                "db_table": "customer",
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="DocumentCounter",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("series", models.CharField(max_length=16)),
                ("year", models.IntegerField()),
                ("last_number", models.BigIntegerField()),
            ],
            options={
                "db_table": "document_counter",
                "abstract": False,
                "base_manager_name": "objects",
                "constraints": [
                    models.UniqueConstraint(fields=("series", "year"), name="document_counter_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Invoice",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=shared.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("number", models.CharField(max_length=32, null=True, unique=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("first", "first"),
                            ("renewal", "renewal"),
                            ("change", "change"),
                            ("purchase", "purchase"),
                            ("charge", "charge"),
                        ],
                        max_length=16,
                    ),
                ),
                ("currency", models.CharField(default="RUB", max_length=3)),
                ("list_minor", models.BigIntegerField()),
                ("discount_minor", models.BigIntegerField()),
                ("total_minor", models.BigIntegerField()),
                ("vat_minor", models.BigIntegerField()),
                ("balance_applied_minor", models.BigIntegerField()),
                ("steps", models.JSONField(default=list)),
                ("customer_snapshot", models.JSONField(default=dict)),
                ("corrects_id", models.UUIDField(null=True)),
                ("reason", models.TextField(blank=True)),
                ("period_start_on", models.DateField(null=True)),
                ("period_end_on", models.DateField(null=True)),
                ("issued_at", models.DateTimeField()),
                ("due_at", models.DateTimeField()),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("draft", "draft"),
                            ("open", "open"),
                            ("paid", "paid"),
                            ("void", "void"),
                            ("uncollectible", "uncollectible"),
                        ],
                        max_length=16,
                    ),
                ),
                (
                    "collection",
                    models.CharField(
                        choices=[
                            ("none", "none"),
                            ("processing", "processing"),
                            ("action_required", "action required"),
                            ("failed", "failed"),
                            ("partially_paid", "partially paid"),
                            ("overdue", "overdue"),
                        ],
                        default="none",
                        max_length=16,
                    ),
                ),
                ("paid_minor", models.BigIntegerField(default=0)),
                ("credited_minor", models.BigIntegerField(default=0)),
                ("credited_unpaid_minor", models.BigIntegerField(default=0)),
                ("written_off_minor", models.BigIntegerField(default=0)),
                ("amount_due_minor", models.BigIntegerField()),
                ("paid_at", models.DateTimeField(null=True)),
                ("overdue_at", models.DateTimeField(null=True)),
                ("closed_at", models.DateTimeField(null=True)),
                ("collects_automatically", models.BooleanField(default=False)),
                ("next_collection_at", models.DateTimeField(null=True)),
                ("collection_failures", models.IntegerField(default=0)),
                ("first_failed_at", models.DateTimeField(null=True)),
                ("updated_at", models.DateTimeField()),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="invoices",
                        to="billing_service.account",
                    ),
                ),
            ],
            options={
                "db_table": "invoice",
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="CreditNote",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=shared.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("subscription_id", models.UUIDField(null=True)),
                ("number", models.CharField(max_length=32, null=True, unique=True)),
                ("currency", models.CharField(default="RUB", max_length=3)),
                ("total_minor", models.BigIntegerField()),
                ("vat_minor", models.BigIntegerField()),
                ("reason", models.TextField()),
                ("refund_id", models.UUIDField(null=True)),
                ("issued_at", models.DateTimeField()),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="credit_notes",
                        to="billing_service.account",
                    ),
                ),
                (
                    "invoice",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="credit_notes",
                        to="billing_service.invoice",
                    ),
                ),
            ],
            options={
                "db_table": "credit_note",
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="CollectionAttempt",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=shared.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("subscription_id", models.UUIDField()),
                ("currency", models.CharField(default="RUB", max_length=3)),
                ("amount_minor", models.BigIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("planned", "planned"),
                            ("accepted", "accepted"),
                            ("succeeded", "succeeded"),
                            ("failed", "failed"),
                            ("refused", "refused"),
                            ("withdrawn", "withdrawn"),
                        ],
                        max_length=16,
                    ),
                ),
                ("refusal", models.CharField(blank=True, max_length=64)),
                ("decline", models.JSONField(null=True)),
                ("planned_at", models.DateTimeField()),
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
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="collection_attempts",
                        to="billing_service.invoice",
                    ),
                ),
            ],
            options={
                "db_table": "collection_attempt",
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="InvoiceLine",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=shared.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("position", models.IntegerField()),
                ("kind", models.CharField(max_length=16)),
                ("description", models.JSONField()),
                ("product_id", models.UUIDField(null=True)),
                ("price_id", models.UUIDField(null=True)),
                ("product_snapshot", models.JSONField(default=dict)),
                ("quantity", models.IntegerField()),
                ("list_minor", models.BigIntegerField()),
                ("discount_minor", models.BigIntegerField()),
                ("net_minor", models.BigIntegerField()),
                ("vat_minor", models.BigIntegerField()),
                ("vat_rate_bp", models.IntegerField()),
                ("period_start_on", models.DateField(null=True)),
                ("period_end_on", models.DateField(null=True)),
                ("steps", models.JSONField()),
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
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="lines",
                        to="billing_service.invoice",
                    ),
                ),
            ],
            options={
                "db_table": "invoice_line",
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="CreditNoteLine",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=shared.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("amount_minor", models.BigIntegerField()),
                ("vat_minor", models.BigIntegerField()),
                ("vat_rate_bp", models.IntegerField()),
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
                    "credit_note",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="lines",
                        to="billing_service.creditnote",
                    ),
                ),
                (
                    "invoice_line",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="credits",
                        to="billing_service.invoiceline",
                    ),
                ),
            ],
            options={
                "db_table": "credit_note_line",
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="LedgerTransaction",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=shared.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("source_kind", models.CharField(max_length=16)),
                ("source_id", models.UUIDField()),
                ("reverses_id", models.UUIDField(null=True)),
                ("posted_at", models.DateTimeField()),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="billing_service.account",
                    ),
                ),
            ],
            options={
                "db_table": "ledger_transaction",
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="LedgerEntry",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=shared.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("ledger_account", models.CharField(max_length=32)),
                ("amount_minor", models.BigIntegerField()),
                ("currency", models.CharField(default="RUB", max_length=3)),
                ("position", models.BigIntegerField(default=0)),
                ("posted_at", models.DateTimeField()),
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
                    "transaction",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="entries",
                        to="billing_service.ledgertransaction",
                    ),
                ),
            ],
            options={
                "db_table": "ledger_entry",
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="OutgoingOrder",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=shared.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("collection", "collection"),
                            ("refund", "refund"),
                            ("cancellation", "cancellation"),
                            ("close_payments", "close payments"),
                        ],
                        max_length=16,
                    ),
                ),
                ("invoice_id", models.UUIDField(null=True)),
                ("payment_id", models.UUIDField(null=True)),
                ("credit_note_id", models.UUIDField(null=True)),
                ("currency", models.CharField(default="RUB", max_length=3)),
                ("amount_minor", models.BigIntegerField(default=0)),
                ("body", models.JSONField(default=dict)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "pending"),
                            ("sent", "sent"),
                            ("done", "done"),
                            ("refused", "refused"),
                            ("withdrawn", "withdrawn"),
                        ],
                        max_length=16,
                    ),
                ),
                ("attempts", models.IntegerField(default=0)),
                ("next_try_at", models.DateTimeField()),
                ("last_error", models.TextField(blank=True)),
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
            ],
            options={
                "db_table": "outgoing_order",
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="Payment",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("sequence", models.BigIntegerField()),
                ("initiator", models.CharField(max_length=16)),
                ("provider", models.CharField(max_length=32)),
                ("status", models.CharField(max_length=24)),
                ("currency", models.CharField(default="RUB", max_length=3)),
                ("amount_minor", models.BigIntegerField()),
                ("captured_minor", models.BigIntegerField(default=0)),
                ("refunded_minor", models.BigIntegerField(default=0)),
                ("allocated_minor", models.BigIntegerField(default=0)),
                ("to_balance_minor", models.BigIntegerField(default=0)),
                ("is_late", models.BooleanField(default=False)),
                ("decline", models.JSONField(null=True)),
                ("card_mask", models.CharField(blank=True, max_length=32)),
                ("payment_method_id", models.UUIDField(null=True)),
                ("created_at", models.DateTimeField()),
                ("succeeded_at", models.DateTimeField(null=True)),
                ("posted_at", models.DateTimeField(null=True)),
                ("updated_at", models.DateTimeField()),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="payments",
                        to="billing_service.account",
                    ),
                ),
                (
                    "invoice",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="payments",
                        to="billing_service.invoice",
                    ),
                ),
            ],
            options={
                "db_table": "payment",
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="PaymentCancellation",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=shared.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("payment_id", models.UUIDField()),
                ("subscription_id", models.UUIDField(null=True)),
                ("action", models.CharField(choices=[("void", "void"), ("refund", "refund")], max_length=16)),
                ("currency", models.CharField(default="RUB", max_length=3)),
                ("amount_minor", models.BigIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[("open", "open"), ("done", "done"), ("failed", "failed")], max_length=16
                    ),
                ),
                ("requested_at", models.DateTimeField()),
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
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="billing_service.invoice",
                    ),
                ),
            ],
            options={
                "db_table": "payment_cancellation",
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="PersonalDiscount",
            fields=[
                ("kind", models.CharField(max_length=32)),
                ("value", models.BigIntegerField()),
                ("currency", models.CharField(default="RUB", max_length=3)),
                ("label", models.CharField(blank=True, max_length=255)),
                ("priority", models.IntegerField(default=0)),
                ("is_exclusive", models.BooleanField(default=False)),
                ("product_ids", models.JSONField(blank=True, default=list)),
                (
                    "duration_kind",
                    models.CharField(
                        choices=[
                            ("once", "once"),
                            ("repeating_invoices", "repeating invoices"),
                            ("repeating_months", "repeating months"),
                            ("forever", "forever"),
                        ],
                        default="once",
                        max_length=32,
                    ),
                ),
                ("duration_count", models.IntegerField(default=1)),
                ("starts_at", models.DateTimeField(blank=True, null=True)),
                ("ends_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField()),
                (
                    "id",
                    models.UUIDField(
                        default=shared.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("reason", models.TextField()),
                ("given_by", models.CharField(max_length=128)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("end_reason", models.TextField(blank=True)),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="personal_discounts",
                        to="billing_service.account",
                    ),
                ),
            ],
            options={
                "db_table": "personal_discount",
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="Price",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("amount_minor", models.BigIntegerField()),
                ("currency", models.CharField(default="RUB", max_length=3)),
                ("interval_unit", models.CharField(max_length=16, null=True)),
                ("interval_count", models.IntegerField(default=1)),
                ("trial_days", models.IntegerField(default=0)),
                ("access_days", models.IntegerField(null=True)),
                ("is_default", models.BooleanField(default=False)),
                ("is_active", models.BooleanField(default=True)),
                ("valid_from_at", models.DateTimeField(null=True)),
                (
                    "product",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="prices",
                        to="billing_service.product",
                    ),
                ),
            ],
            options={
                "db_table": "price",
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="PromoCode",
            fields=[
                ("kind", models.CharField(max_length=32)),
                ("value", models.BigIntegerField()),
                ("currency", models.CharField(default="RUB", max_length=3)),
                ("label", models.CharField(blank=True, max_length=255)),
                ("priority", models.IntegerField(default=0)),
                ("is_exclusive", models.BooleanField(default=False)),
                ("product_ids", models.JSONField(blank=True, default=list)),
                (
                    "duration_kind",
                    models.CharField(
                        choices=[
                            ("once", "once"),
                            ("repeating_invoices", "repeating invoices"),
                            ("repeating_months", "repeating months"),
                            ("forever", "forever"),
                        ],
                        default="once",
                        max_length=32,
                    ),
                ),
                ("duration_count", models.IntegerField(default=1)),
                ("starts_at", models.DateTimeField(blank=True, null=True)),
                ("ends_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField()),
                (
                    "id",
                    models.UUIDField(
                        default=shared.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("code", models.CharField(max_length=64, unique=True)),
                ("batch_id", models.UUIDField(blank=True, null=True)),
                ("redemption_limit", models.IntegerField(blank=True, null=True)),
                ("redemptions", models.IntegerField(default=0)),
                ("limit_per_user", models.IntegerField(default=1)),
                ("first_purchase_only", models.BooleanField(default=False)),
                ("minimum_minor", models.BigIntegerField(default=0)),
                ("is_active", models.BooleanField(default=True)),
                ("created_by", models.CharField(max_length=128)),
                ("reason", models.TextField(blank=True)),
            ],
            options={
                "db_table": "promo_code",
                "abstract": False,
                "base_manager_name": "objects",
                "indexes": [models.Index(fields=["batch_id"], name="promo_code_batch")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("redemptions__gte", 0),
                            models.Q(
                                ("redemption_limit__isnull", True),
                                ("redemptions__lte", models.F("redemption_limit")),
                                _connector="OR",
                            ),
                        ),
                        name="promo_code_within_limit",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PromoRedemption",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=shared.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("subscription_id", models.UUIDField()),
                ("invoice_id", models.UUIDField(null=True)),
                ("ordinal", models.IntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("reserved", "reserved"),
                            ("committed", "committed"),
                            ("released", "released"),
                        ],
                        max_length=16,
                    ),
                ),
                ("reserved_at", models.DateTimeField()),
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
                    "promo_code",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="redemption_rows",
                        to="billing_service.promocode",
                    ),
                ),
            ],
            options={
                "db_table": "promo_redemption",
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="Promotion",
            fields=[
                ("kind", models.CharField(max_length=32)),
                ("value", models.BigIntegerField()),
                ("currency", models.CharField(default="RUB", max_length=3)),
                ("label", models.CharField(blank=True, max_length=255)),
                ("priority", models.IntegerField(default=0)),
                ("is_exclusive", models.BooleanField(default=False)),
                ("product_ids", models.JSONField(blank=True, default=list)),
                (
                    "duration_kind",
                    models.CharField(
                        choices=[
                            ("once", "once"),
                            ("repeating_invoices", "repeating invoices"),
                            ("repeating_months", "repeating months"),
                            ("forever", "forever"),
                        ],
                        default="once",
                        max_length=32,
                    ),
                ),
                ("duration_count", models.IntegerField(default=1)),
                ("starts_at", models.DateTimeField(blank=True, null=True)),
                ("ends_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField()),
                (
                    "id",
                    models.UUIDField(
                        default=shared.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "segment",
                    models.CharField(
                        choices=[("all", "all"), ("new_customers", "new customers")],
                        default="all",
                        max_length=32,
                    ),
                ),
                ("is_active", models.BooleanField(default=True)),
                ("budget_minor", models.BigIntegerField(blank=True, null=True)),
                ("budget_spent_minor", models.BigIntegerField(default=0)),
            ],
            options={
                "db_table": "promotion",
                "abstract": False,
                "base_manager_name": "objects",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("budget_spent_minor__gte", 0),
                            models.Q(
                                ("budget_minor__isnull", True),
                                ("budget_spent_minor__lte", models.F("budget_minor")),
                                _connector="OR",
                            ),
                        ),
                        name="promotion_within_budget",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Refund",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("currency", models.CharField(default="RUB", max_length=3)),
                ("amount_minor", models.BigIntegerField()),
                ("reason", models.TextField(blank=True)),
                ("origin", models.CharField(max_length=16)),
                ("cancellation_id", models.UUIDField(null=True)),
                ("refund_order_id", models.UUIDField(null=True)),
                ("credited_minor", models.BigIntegerField(default=0)),
                ("succeeded_at", models.DateTimeField()),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="refunds",
                        to="billing_service.account",
                    ),
                ),
                (
                    "payment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="refund_rows",
                        to="billing_service.payment",
                    ),
                ),
            ],
            options={
                "db_table": "refund",
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="ReviewItem",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=shared.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("kind", models.CharField(max_length=32)),
                ("subject_kind", models.CharField(max_length=32)),
                ("subject_id", models.UUIDField()),
                ("detail", models.JSONField(default=dict)),
                ("found_at", models.DateTimeField()),
                ("resolved_at", models.DateTimeField(null=True)),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="billing_service.account",
                    ),
                ),
            ],
            options={
                "db_table": "review_item",
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="RunItem",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=shared.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("subscription_id", models.UUIDField()),
                ("shard", models.IntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "pending"),
                            ("done", "done"),
                            ("skipped", "skipped"),
                            ("error", "error"),
                        ],
                        max_length=16,
                    ),
                ),
                ("invoices", models.IntegerField(default=0)),
                ("total_minor", models.BigIntegerField(default=0)),
                ("cap_reached", models.BooleanField(default=False)),
                ("error", models.TextField(blank=True)),
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
                    "run",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="items",
                        to="billing_service.billingrun",
                    ),
                ),
            ],
            options={
                "db_table": "run_item",
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="Subscription",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=shared.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("recurring", "recurring"), ("one_time", "one time")], max_length=16
                    ),
                ),
                ("product_group", models.CharField(max_length=128)),
                ("unit_minor", models.BigIntegerField()),
                ("currency", models.CharField(default="RUB", max_length=3)),
                ("interval_unit", models.CharField(max_length=16, null=True)),
                ("interval_count", models.IntegerField(default=1)),
                ("grace_days", models.IntegerField()),
                ("rental_days", models.IntegerField(null=True)),
                ("term_periods", models.IntegerField(null=True)),
                ("time_zone", models.CharField(max_length=64)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("incomplete", "incomplete"),
                            ("trialing", "trialing"),
                            ("active", "active"),
                            ("past_due", "past due"),
                            ("paused", "paused"),
                            ("cancelled", "cancelled"),
                            ("expired", "expired"),
                        ],
                        max_length=16,
                    ),
                ),
                ("cancel_at_period_end", models.BooleanField(default=False)),
                ("anchor_on", models.DateField()),
                ("next_number", models.IntegerField(default=0)),
                ("periods_billed", models.IntegerField(default=0)),
                ("period_start_on", models.DateField(null=True)),
                ("period_end_on", models.DateField(null=True)),
                ("paid_through_on", models.DateField(null=True)),
                ("remaining_days", models.IntegerField(null=True)),
                ("ended_on", models.DateField(null=True)),
                ("trial_ends_at", models.DateTimeField(null=True)),
                ("trial_reminded_at", models.DateTimeField(null=True)),
                ("past_due_at", models.DateTimeField(null=True)),
                ("next_invoice_at", models.DateTimeField(null=True)),
                ("grants_access", models.BooleanField(default=False)),
                ("access_until", models.DateTimeField(null=True)),
                ("latest_invoice_id", models.UUIDField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
                ("end_reason", models.CharField(blank=True, max_length=64)),
                ("billing_failures", models.IntegerField(default=0)),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="subscriptions",
                        to="billing_service.account",
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
                    "promo_code",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="billing_service.promocode",
                    ),
                ),
            ],
            options={
                "db_table": "subscription",
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.AddField(
            model_name="invoice",
            name="subscription",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="invoices",
                to="billing_service.subscription",
            ),
        ),
        migrations.CreateModel(
            name="TrialUse",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=shared.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("email_hash", models.CharField(max_length=128, unique=True)),
                ("subscription_id", models.UUIDField()),
                ("started_at", models.DateTimeField()),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="billing_service.account",
                    ),
                ),
            ],
            options={
                "db_table": "trial_use",
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="AccountBalance",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=shared.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("currency", models.CharField(default="RUB", max_length=3)),
                ("balance_minor", models.BigIntegerField(default=0)),
                ("entry_count", models.BigIntegerField(default=0)),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="billing_service.account",
                    ),
                ),
            ],
            options={
                "db_table": "account_balance",
                "abstract": False,
                "base_manager_name": "objects",
                "constraints": [
                    models.UniqueConstraint(fields=("account", "currency"), name="account_balance_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="AuditRecord",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=shared.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("command", models.CharField(max_length=64)),
                ("actor_kind", models.CharField(max_length=16)),
                ("actor_id", models.CharField(max_length=128)),
                ("reason", models.TextField()),
                ("subject_kind", models.CharField(max_length=32)),
                ("subject_id", models.UUIDField()),
                ("before", models.JSONField()),
                ("after", models.JSONField()),
                ("correlation_id", models.CharField(max_length=64)),
                ("done_at", models.DateTimeField()),
                (
                    "account",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="billing_service.account",
                    ),
                ),
            ],
            options={
                "db_table": "audit_record",
                "abstract": False,
                "base_manager_name": "objects",
                "indexes": [
                    models.Index(fields=["account", "done_at"], name="audit_record_account"),
                    models.Index(fields=["subject_id"], name="audit_record_subject"),
                ],
            },
        ),
        migrations.CreateModel(
            name="DiscountUse",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=shared.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("subscription_id", models.UUIDField(null=True)),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("promotion", "promotion"),
                            ("personal", "personal"),
                            ("promo_code", "promo code"),
                        ],
                        max_length=16,
                    ),
                ),
                ("discount_id", models.UUIDField()),
                ("amount_minor", models.BigIntegerField()),
                ("days_taken", models.IntegerField(default=0)),
                ("used_on", models.DateField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("reserved", "reserved"),
                            ("committed", "committed"),
                            ("released", "released"),
                        ],
                        max_length=16,
                    ),
                ),
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
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="billing_service.invoice",
                    ),
                ),
            ],
            options={
                "db_table": "discount_use",
                "abstract": False,
                "base_manager_name": "objects",
                "indexes": [
                    models.Index(fields=["account", "discount_id"], name="discount_use_account"),
                    models.Index(fields=["discount_id"], name="discount_use_discount"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("invoice", "discount_id"), name="discount_use_once_per_invoice"
                    )
                ],
            },
        ),
        migrations.AddIndex(
            model_name="creditnote",
            index=models.Index(fields=["account", "issued_at"], name="credit_note_account"),
        ),
        migrations.AddConstraint(
            model_name="creditnote",
            constraint=models.CheckConstraint(
                condition=models.Q(("total_minor__gt", 0)), name="credit_note_positive"
            ),
        ),
        migrations.AddIndex(
            model_name="collectionattempt",
            index=models.Index(fields=["account", "planned_at"], name="collection_attempt_account"),
        ),
        migrations.AddIndex(
            model_name="collectionattempt",
            index=models.Index(fields=["subscription_id", "planned_at"], name="collection_attempt_sub"),
        ),
        migrations.AddConstraint(
            model_name="collectionattempt",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ("planned", "accepted"))),
                fields=("invoice",),
                name="collection_attempt_one_live",
            ),
        ),
        migrations.AddIndex(
            model_name="invoiceline",
            index=models.Index(fields=["account"], name="invoice_line_account"),
        ),
        migrations.AddConstraint(
            model_name="invoiceline",
            constraint=models.UniqueConstraint(fields=("invoice", "position"), name="invoice_line_position"),
        ),
        migrations.AddIndex(
            model_name="creditnoteline",
            index=models.Index(fields=["account"], name="credit_note_line_account"),
        ),
        migrations.AddIndex(
            model_name="ledgertransaction",
            index=models.Index(fields=["account", "posted_at"], name="ledger_transaction_account"),
        ),
        migrations.AddConstraint(
            model_name="ledgertransaction",
            constraint=models.UniqueConstraint(
                fields=("source_kind", "source_id"), name="ledger_transaction_source"
            ),
        ),
        migrations.AddIndex(
            model_name="ledgerentry",
            index=models.Index(
                fields=["account", "ledger_account", "posted_at"], name="ledger_entry_account"
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgerentry",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount_minor", 0), _negated=True), name="ledger_entry_not_zero"
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgerentry",
            constraint=models.UniqueConstraint(
                condition=models.Q(("ledger_account", "customer")),
                fields=("account", "currency", "position"),
                name="ledger_entry_customer_position",
            ),
        ),
        migrations.AddIndex(
            model_name="outgoingorder",
            index=models.Index(
                condition=models.Q(("state", "pending")), fields=["next_try_at"], name="outgoing_order_due"
            ),
        ),
        migrations.AddIndex(
            model_name="outgoingorder",
            index=models.Index(fields=["account", "created_at"], name="outgoing_order_account"),
        ),
        migrations.AddIndex(
            model_name="outgoingorder",
            index=models.Index(fields=["payment_id"], name="outgoing_order_payment"),
        ),
        migrations.AddConstraint(
            model_name="outgoingorder",
            constraint=models.UniqueConstraint(
                condition=models.Q(("kind", "close_payments"), ("state", "pending")),
                fields=("invoice_id",),
                name="outgoing_order_one_closing",
            ),
        ),
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(fields=["account", "created_at"], name="payment_account"),
        ),
        migrations.AddIndex(
            model_name="paymentcancellation",
            index=models.Index(fields=["account", "requested_at"], name="payment_cancellation_account"),
        ),
        migrations.AddConstraint(
            model_name="paymentcancellation",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "open")),
                fields=("payment_id",),
                name="payment_cancellation_one_open",
            ),
        ),
        migrations.AddIndex(
            model_name="personaldiscount",
            index=models.Index(fields=["account", "created_at"], name="personal_discount_account"),
        ),
        migrations.AddConstraint(
            model_name="price",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount_minor__gte", 0)), name="price_not_negative"
            ),
        ),
        migrations.AddConstraint(
            model_name="promoredemption",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "released"), _negated=True),
                fields=("account", "promo_code", "ordinal"),
                name="promo_redemption_within_user_limit",
            ),
        ),
        migrations.AddConstraint(
            model_name="promoredemption",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "released"), _negated=True),
                fields=("subscription_id", "promo_code"),
                name="promo_redemption_once_per_subscription",
            ),
        ),
        migrations.AddIndex(
            model_name="refund",
            index=models.Index(fields=["account", "succeeded_at"], name="refund_account"),
        ),
        migrations.AddIndex(
            model_name="reviewitem",
            index=models.Index(fields=["account", "found_at"], name="review_item_account"),
        ),
        migrations.AddConstraint(
            model_name="reviewitem",
            constraint=models.UniqueConstraint(fields=("kind", "subject_id"), name="review_item_once"),
        ),
        migrations.AddIndex(
            model_name="runitem",
            index=models.Index(fields=["run", "shard", "state"], name="run_item_shard"),
        ),
        migrations.AddIndex(
            model_name="runitem",
            index=models.Index(fields=["account"], name="run_item_account"),
        ),
        migrations.AddConstraint(
            model_name="runitem",
            constraint=models.UniqueConstraint(fields=("run", "subscription_id"), name="run_item_once"),
        ),
        migrations.AddIndex(
            model_name="subscription",
            index=models.Index(fields=["account", "created_at"], name="subscription_account"),
        ),
        migrations.AddIndex(
            model_name="subscription",
            index=models.Index(
                condition=models.Q(("status__in", ("trialing", "active"))),
                fields=["next_invoice_at"],
                name="subscription_due",
            ),
        ),
        migrations.AddIndex(
            model_name="subscription",
            index=models.Index(fields=["status", "period_end_on"], name="subscription_ending"),
        ),
        migrations.AddConstraint(
            model_name="subscription",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    ("kind", "recurring"), models.Q(("status__in", ("cancelled", "expired")), _negated=True)
                ),
                fields=("account", "product_group"),
                name="subscription_one_live_per_group",
            ),
        ),
        migrations.AddConstraint(
            model_name="subscription",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    ("kind", "one_time"), models.Q(("status__in", ("cancelled", "expired")), _negated=True)
                ),
                fields=("account", "product"),
                name="subscription_one_live_purchase",
            ),
        ),
        migrations.AddIndex(
            model_name="invoice",
            index=models.Index(fields=["account", "issued_at"], name="invoice_account"),
        ),
        migrations.AddIndex(
            model_name="invoice",
            index=models.Index(
                condition=models.Q(("status", "open")),
                fields=["next_collection_at"],
                name="invoice_to_collect",
            ),
        ),
        migrations.AddIndex(
            model_name="invoice",
            index=models.Index(
                condition=models.Q(("status", "open")), fields=["due_at"], name="invoice_open_due"
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    ("kind__in", ("first", "renewal")), models.Q(("status", "void"), _negated=True)
                ),
                fields=("subscription", "period_start_on"),
                name="invoice_one_per_period",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("amount_due_minor__gte", 0),
                    ("paid_minor__gte", 0),
                    ("credited_minor__gte", 0),
                    ("balance_applied_minor__gte", 0),
                ),
                name="invoice_amounts_not_negative",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("credited_minor__lte", models.F("total_minor")), ("total_minor__lt", 0), _connector="OR"
                ),
                name="invoice_credited_within_total",
            ),
        ),
        migrations.AddIndex(
            model_name="trialuse",
            index=models.Index(fields=["account"], name="trial_use_account"),
        ),
        migrations.RunSQL([tables.SQL], [tables.drop_sql()]),
        migrations.RunSQL([GUARDS], [GUARDS_DROP]),
    ]
