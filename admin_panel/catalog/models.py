"""Tables of the Movies database: films, collections, products, prices; columns and constraints only."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from shared.ids import new_id
from shared.money import EXPONENTS


def _history(**options: object) -> HistoricalRecords:
    # Staff live in another database: the history keeps their id, not a relation.
    return HistoricalRecords(
        history_user_id_field=models.IntegerField(null=True),
        history_user_getter=_staff_of,
        history_user_setter=_set_staff,
        **options,
    )


def _staff_of(historical_instance: models.Model) -> object | None:
    from django.contrib.auth import get_user_model

    staff_id: int | None = getattr(historical_instance, "history_user_id", None)
    return None if staff_id is None else get_user_model().objects.filter(pk=staff_id).first()


def _set_staff(historical_instance: models.Model, user: models.Model | None) -> None:
    historical_instance.history_user_id = None if user is None else user.pk  # type: ignore[attr-defined]


class Movie(models.Model):
    """A film. Films of the CSV have an id derived from title and date, the same in every stack."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    title = models.CharField(_("title"), max_length=255, db_index=True)
    released_on = models.DateField(_("released on"), db_index=True)
    genre = models.CharField(_("genre"), max_length=64, blank=True, db_index=True)
    director = models.CharField(_("director"), max_length=128, blank=True)
    distributor = models.CharField(_("distributor"), max_length=128, blank=True)
    running_time_minutes = models.PositiveIntegerField(_("running time, minutes"), null=True, blank=True)
    mpaa_rating = models.CharField(_("MPAA rating"), max_length=16, blank=True)
    imdb_rating = models.DecimalField(_("IMDb rating"), max_digits=3, decimal_places=1, null=True, blank=True)
    imdb_votes = models.PositiveIntegerField(_("IMDb votes"), default=0)

    history = _history()

    class Meta:
        db_table = "movie"
        verbose_name = _("film")
        verbose_name_plural = _("films")
        ordering: ClassVar[list[str]] = ["-imdb_votes", "title"]

    def __str__(self) -> str:
        return f"{self.title} ({self.released_on.year})"


class Localized(models.Model):
    """Titles in both languages."""

    title_ru = models.CharField(_("title in Russian"), max_length=255)
    title_en = models.CharField(_("title in English"), max_length=255)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.title_ru if get_language() == "ru" else self.title_en


class Collection(Localized):
    """A set of films that products grant as ``collection:<slug>``."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    slug = models.SlugField(_("slug"), max_length=64, unique=True)
    movies = models.ManyToManyField(Movie, verbose_name=_("films"), related_name="collections", blank=True)
    updated_at = models.DateTimeField(_("changed at"))
    published_at = models.DateTimeField(_("published at"), null=True, editable=False)

    history = _history(m2m_fields=[movies])

    class Meta:
        db_table = "collection"
        verbose_name = _("Film collection")
        verbose_name_plural = _("collections")
        ordering: ClassVar[list[str]] = ["slug"]


class Product(Localized):
    """What is sold: a subscription or a one-time purchase. Publishing is a command, see ``commands``."""

    class Kind(models.TextChoices):
        RECURRING = "recurring", _("subscription")
        ONE_TIME = "one_time", _("one-time purchase")

    class Status(models.TextChoices):
        DRAFT = "draft", _("draft")
        PUBLISHED = "published", _("published")
        RETIRED = "retired", _("retired")

    class WithoutMethod(models.TextChoices):
        CANCEL = "cancel", _("ends")
        INVOICE = "invoice", _("leaves an invoice to pay")

    class When(models.TextChoices):
        NOW = "now", _("at once")
        AT_PERIOD_END = "at_period_end", _("at the period's end")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    slug = models.SlugField(_("slug"), max_length=128, unique=True)
    kind = models.CharField(_("kind"), max_length=16, choices=Kind.choices)
    group = models.SlugField(
        _("group"), max_length=64, help_text=_("A customer has one subscription of a group at a time.")
    )
    description_ru = models.TextField(_("description in Russian"), blank=True)
    description_en = models.TextField(_("description in English"), blank=True)
    grants = ArrayField(
        models.CharField(max_length=128),
        verbose_name=_("grants"),
        help_text=_("collection:<slug>, movie:<id> or feature:<slug>, one a row."),
    )
    grace_days = models.PositiveSmallIntegerField(
        _("grace, days"), default=3, help_text=_("Access goes on for so long after an unpaid period's end.")
    )
    reduced_grants = ArrayField(
        models.CharField(max_length=128),
        verbose_name=_("grants after the grace"),
        default=list,
        db_default=models.Value("{}"),
        blank=True,
        help_text=_("Those of the grants that go on until the day of cancellation. Empty: none."),
    )
    trial_needs_method = models.BooleanField(_("a trial needs a saved card"), default=True)
    trial_without_method = models.CharField(
        _("a trial that nobody can be charged for"),
        max_length=16,
        choices=WithoutMethod.choices,
        default=WithoutMethod.CANCEL,
        db_default=WithoutMethod.CANCEL,
    )
    refund_window_days = models.PositiveSmallIntegerField(_("refund window, days"), default=14)
    change_dearer = models.CharField(
        _("change to this from a cheaper product"),
        max_length=16,
        choices=When.choices,
        default=When.NOW,
        db_default=When.NOW,
    )
    change_cheaper = models.CharField(
        _("change to this from a dearer product"),
        max_length=16,
        choices=When.choices,
        default=When.AT_PERIOD_END,
        db_default=When.AT_PERIOD_END,
    )
    dunning_policy = models.JSONField(
        _("dunning"),
        default=dict,
        db_default=models.Value({}, output_field=models.JSONField()),
        blank=True,
        help_text=_("Empty: retries on days 1, 3, 5, 7 and 14, cancelled on day 21."),
    )
    rank = models.IntegerField(_("rank"), default=0, help_text=_("Order in lists and of upgrades."))
    status = models.CharField(
        _("status"), max_length=16, choices=Status.choices, default=Status.DRAFT, editable=False
    )
    updated_at = models.DateTimeField(_("changed at"))
    published_at = models.DateTimeField(_("published at"), null=True, editable=False)

    history = _history()

    class Meta:
        db_table = "product"
        verbose_name = _("product")
        verbose_name_plural = _("products")
        ordering: ClassVar[list[str]] = ["rank", "slug"]


class Price(models.Model):
    """A price of a product, minor units, VAT included."""

    class Unit(models.TextChoices):
        DAY = "day", _("day")
        WEEK = "week", _("week")
        MONTH = "month", _("month")
        QUARTER = "quarter", _("quarter")
        HALF_YEAR = "half_year", _("half a year")
        YEAR = "year", _("year")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="prices")
    amount_minor = models.BigIntegerField(_("amount"))
    currency = models.CharField(
        _("currency"), max_length=3, default="RUB", choices=[(code, code) for code in EXPONENTS]
    )
    interval_unit = models.CharField(
        _("interval"), max_length=16, choices=Unit.choices, null=True, blank=True
    )
    interval_count = models.PositiveSmallIntegerField(_("intervals"), default=1)
    term_periods = models.PositiveSmallIntegerField(
        _("fixed term, periods"),
        null=True,
        blank=True,
        help_text=_("The subscription ends after so many; empty: it renews until it is cancelled."),
    )
    trial_days = models.PositiveSmallIntegerField(_("trial, days"), default=0)
    access_days = models.PositiveIntegerField(
        _("access, days"), null=True, blank=True, help_text=_("Of a rental; empty: for ever.")
    )
    is_default = models.BooleanField(_("default"), default=False)
    is_active = models.BooleanField(_("active"), default=True)
    next_amount_minor = models.BigIntegerField(_("next amount"), null=True, blank=True)
    minimum_minor = models.BigIntegerField(_("least price after discounts"), null=True, blank=True)
    valid_from_at = models.DateTimeField(
        _("next amount from"),
        null=True,
        blank=True,
        help_text=_("From then new customers pay it, and running subscriptions after a notice."),
    )

    history = _history()

    class Meta:
        db_table = "price"
        verbose_name = _("price")
        verbose_name_plural = _("prices")
        ordering: ClassVar[list[str]] = ["-is_default", "amount_minor"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=models.Q(amount_minor__gte=0), name="catalog_price_not_negative"
            ),
            models.CheckConstraint(
                condition=models.Q(interval_count__gte=1), name="catalog_price_interval_count"
            ),
            models.UniqueConstraint(
                fields=["product"], condition=models.Q(is_default=True), name="catalog_price_one_default"
            ),
            models.CheckConstraint(
                condition=models.Q(next_amount_minor__isnull=True)
                | models.Q(next_amount_minor__gte=0, valid_from_at__isnull=False),
                name="catalog_price_next_has_date",
            ),
            models.CheckConstraint(
                condition=models.Q(term_periods__isnull=True)
                | models.Q(term_periods__gte=1, interval_unit__isnull=False),
                name="catalog_price_term_of_periods",
            ),
            models.CheckConstraint(
                condition=models.Q(minimum_minor__isnull=True) | models.Q(minimum_minor__gte=0),
                name="catalog_price_minimum_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount_minor} {self.currency}"
