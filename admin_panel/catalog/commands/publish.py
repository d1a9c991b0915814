"""Publishes products and collections: their full state as an event, in one transaction with the change."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, cast
from uuid import UUID

from django.db import connections, transaction

from admin_panel.catalog.grants import parse
from admin_panel.catalog.models import Collection, Price, Product
from admin_panel.databases import MOVIES
from admin_panel.settings import SERVICE
from shared.errors import invalid
from shared.money import Money
from shared.period import IntervalUnit
from shared.queue import outbox
from shared.queue.messages.catalog import CollectionState, LocalizedText, PriceState, ProductState


def publish_product(product_id: UUID, now: datetime) -> Product:
    """Puts a product on sale as it stands now (``product.published``).

    Raises AppError ``product-without-price``, ``grant-unknown``, ``price-currency-changed``;
    Product.DoesNotExist.
    """
    with transaction.atomic(using=MOVIES):
        product = Product.objects.using(MOVIES).select_for_update().get(pk=product_id)
        _check(product)
        product.status = Product.Status.PUBLISHED
        return _emit(product, "product.published", now)


def retire_product(product_id: UUID, now: datetime) -> Product:
    """Takes a product off sale (``product.retired``); whoever has it keeps it."""
    with transaction.atomic(using=MOVIES):
        product = Product.objects.using(MOVIES).select_for_update().get(pk=product_id)
        if product.status == Product.Status.DRAFT:
            raise invalid("product-not-published", "A draft has never been on sale.")
        product.status = Product.Status.RETIRED
        return _emit(product, "product.retired", now)


def publish_collection(collection_id: UUID, now: datetime) -> Collection:
    """Publishes which films a collection holds now (``collection.published``)."""
    with transaction.atomic(using=MOVIES):
        collection = Collection.objects.using(MOVIES).select_for_update().get(pk=collection_id)
        collection.published_at = now
        collection.save(using=MOVIES, update_fields=["published_at"])
        with connections[MOVIES].cursor() as cursor:
            outbox.add_sync(
                cursor, SERVICE, "collection.published", collection.pk, collection_state(collection), now
            )
        return collection


def republish(now: datetime) -> tuple[int, int]:
    """Emits the full state of every collection and every product that was ever published.

    Gives how many of each; a consumer that starts from nothing is whole after it.
    """
    collections = list(Collection.objects.using(MOVIES).values_list("pk", flat=True))
    for pk in collections:
        publish_collection(pk, now)
    statuses = Product.objects.using(MOVIES).exclude(status=Product.Status.DRAFT).values_list("pk", "status")
    for pk, status in (products := list(statuses)):
        if status == Product.Status.PUBLISHED:
            publish_product(pk, now)
        else:
            retire_product(pk, now)
    return len(collections), len(products)


def unknown_grants(grants: Iterable[str]) -> list[str]:
    """Those of ``grants`` that name no collection, no film, nor a well-formed feature."""
    return [grant for grant in grants if not parse(grant).exists()]


def _check(product: Product) -> None:
    if not product.prices.using(MOVIES).filter(is_active=True).exists():
        raise invalid("product-without-price", "A product on sale needs an active price.")
    if unknown := unknown_grants(product.grants):
        raise invalid("grant-unknown", "Unknown grants: " + ", ".join(unknown))
    if beyond := sorted(set(product.reduced_grants) - set(product.grants)):
        raise invalid("grant-unknown", "Left after the grace but not granted: " + ", ".join(beyond))
    for price in product.prices.using(MOVIES).all():
        if _currency_when_published(product, price) not in (None, price.currency):
            raise invalid("price-currency-changed", "A published price keeps its currency; add a new price.")
        if (price.interval_unit is None) == (product.kind == Product.Kind.RECURRING):
            raise invalid(
                "price-interval-mismatch", "Prices of a subscription have an interval, others have none."
            )


def _currency_when_published(product: Product, price: Price) -> str | None:
    """The price's currency at the product's last publication; None for one that has never been on sale.

    Of a price added since, the first one it had: the seed writes its prices a moment after its own time.
    """
    if product.published_at is None:
        return None
    versions = price.history.using(MOVIES).order_by("history_date", "history_id")
    then = versions.filter(history_date__lte=product.published_at).last() or versions.first()
    return None if then is None else str(then.currency)


def _emit(product: Product, event_type: str, now: datetime) -> Product:
    product.published_at = now
    product.save(using=MOVIES, update_fields=["status", "published_at"])
    with connections[MOVIES].cursor() as cursor:
        outbox.add_sync(cursor, SERVICE, event_type, product.pk, product_state(product), now)
    return product


def product_state(product: Product) -> ProductState:
    """The whole product as events carry it."""
    return ProductState(
        product_id=product.pk,
        slug=product.slug,
        kind="recurring" if product.kind == Product.Kind.RECURRING else "one_time",
        group=product.group,
        title=LocalizedText(ru=product.title_ru, en=product.title_en),
        description=LocalizedText(ru=product.description_ru, en=product.description_en),
        grants=list(product.grants),
        reduced_grants=list(product.reduced_grants),
        prices=[_price_state(price) for price in product.prices.using(MOVIES).order_by("-is_default", "id")],
        grace_days=product.grace_days,
        trial_needs_method=product.trial_needs_method,
        trial_without_method="invoice" if product.trial_without_method == "invoice" else "cancel",
        refund_window_days=product.refund_window_days,
        rank=product.rank,
        change_policy=_change_policy(product),
        dunning_policy=product.dunning_policy,
        status="retired" if product.status == Product.Status.RETIRED else "published",
        updated_at=product.updated_at,
    )


_Timing = Literal["now", "at_period_end"]


def _change_policy(product: Product) -> dict[Literal["dearer", "cheaper"], _Timing]:
    """When a change to the product takes effect, from a cheaper and from a dearer one."""
    return {"dearer": _timing(product.change_dearer), "cheaper": _timing(product.change_cheaper)}


def _timing(value: str) -> _Timing:
    return "at_period_end" if value == Product.When.AT_PERIOD_END else "now"


def _price_state(price: Price) -> PriceState:
    return PriceState(
        price_id=price.pk,
        amount=Money(price.amount_minor, price.currency),
        next_amount=None
        if price.next_amount_minor is None
        else Money(price.next_amount_minor, price.currency),
        minimum=None if price.minimum_minor is None else Money(price.minimum_minor, price.currency),
        interval_unit=IntervalUnit(price.interval_unit) if price.interval_unit else None,
        interval_count=price.interval_count,
        term_periods=price.term_periods,
        trial_days=price.trial_days,
        access_days=price.access_days,
        is_default=price.is_default,
        is_active=price.is_active,
        valid_from=price.valid_from_at,
    )


def collection_state(collection: Collection) -> CollectionState:
    """The whole collection as events carry it."""
    movie_ids = collection.movies.using(MOVIES).order_by("pk").values_list("pk", flat=True)
    return CollectionState(
        collection_id=collection.pk,
        slug=collection.slug,
        title=LocalizedText(ru=collection.title_ru, en=collection.title_en),
        movie_ids=cast(list[UUID], list(movie_ids)),
        updated_at=collection.updated_at,
    )
