"""Fills an empty Movies database: films of the CSV, collections, products; what is there stays as it is."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from admin_panel.catalog.models import Collection, Movie, Price, Product
from admin_panel.databases import MOVIES
from shared.ids import derived_id

CSV: Final = Path(__file__).resolve().parents[1] / "data" / "movies.csv"
# Films and products of the seed have the same ids in every stack.
NAMESPACE: Final = UUID("6a7b6c2e-3a0f-5a6d-8f0e-2f1f7a2f9c10")
FILMS_FOR_SALE: Final = 24
RENTED_FROM: Final = 8  # of them, how many have a rental too
RENTAL_DAYS: Final = 7
CLASSICS_BEFORE_YEAR: Final = 1990
TOP: Final = 250
LEAST_OF_A_GENRE: Final = 20

_GENRES_RU: Final = {
    "Action": "Боевики",
    "Adventure": "Приключения",
    "Comedy": "Комедии",
    "Drama": "Драмы",
    "Horror": "Ужасы",
    "Romantic Comedy": "Романтические комедии",
    "Thriller/Suspense": "Триллеры",
    "Musical": "Мюзиклы",
    "Western": "Вестерны",
    "Documentary": "Документальные",
    "Black Comedy": "Чёрные комедии",
    "Concert/Performance": "Концерты",
}


@dataclass(frozen=True, slots=True)
class Seeded:
    """How many rows were made now; all 0 on a second run."""

    films: int
    collections: int
    products: int


@dataclass(frozen=True, slots=True)
class _Offer:
    slug: str
    titles: tuple[str, str]
    descriptions: tuple[str, str]
    grants: list[str]
    rank: int
    prices: tuple[tuple[int, str], ...]  # (minor units, interval), the first is the default


_OFFERS: Final = (
    _Offer(
        "basic",
        ("Базовая", "Basic"),
        (
            "250 лучших фильмов и семейное кино на одном экране.",
            "The 250 best films and family films, one screen.",
        ),
        ["collection:top-250", "collection:family", "feature:full-hd", "feature:1-screen"],
        10,
        ((29900, "month"),),
    ),
    _Offer(
        "premium",
        ("Премиум", "Premium"),
        ("Все фильмы в 4K на двух экранах, загрузки.", "Every film in 4K on two screens, with downloads."),
        ["collection:all", "feature:4k", "feature:2-screens", "feature:downloads"],
        20,
        ((49900, "month"), (499000, "year")),
    ),
    _Offer(
        "family",
        ("Семейная", "Family"),
        (
            "Все фильмы в 4K на пяти экранах, детский профиль.",
            "Every film in 4K on five screens, a kids' profile.",
        ),
        ["collection:all", "feature:4k", "feature:5-screens", "feature:downloads", "feature:kids-profile"],
        30,
        ((79900, "month"),),
    ),
)


def seed_catalog(now: datetime) -> Seeded:
    """Makes what is missing, in one transaction, and publishes nothing."""
    with transaction.atomic(using=MOVIES):
        films = _films()
        before = {row.pk for row in Movie.objects.using(MOVIES).only("pk")}
        Movie.objects.using(MOVIES).bulk_create([film for film in films if film.pk not in before])
        collections = sum(
            _collection(slug, titles, chosen, now) for slug, titles, chosen in _collections(films)
        )
        products = sum(_subscription(offer, now) for offer in _OFFERS)
        products += sum(
            _film_product(position, film, now) for position, film in enumerate(films[:FILMS_FOR_SALE])
        )
        return Seeded(len({film.pk for film in films} - before), collections, products)


def film_id(title: str, released_on: date) -> UUID:
    """UUIDv5 of title and date: the same film has the same id everywhere."""
    return derived_id(NAMESPACE, f"movie:{title}:{released_on.isoformat()}")


def _films() -> list[Movie]:
    with CSV.open(encoding="utf-8", newline="") as source:
        return [_film(row) for row in csv.DictReader(source)]


def _film(row: dict[str, str]) -> Movie:
    released_on = date.fromisoformat(row["release_date"])
    return Movie(
        id=film_id(row["title"], released_on),
        title=row["title"],
        released_on=released_on,
        genre=row["genre"],
        director=row["director"],
        distributor=row["distributor"],
        running_time_minutes=int(float(row["running_time_minutes"])) if row["running_time_minutes"] else None,
        mpaa_rating=row["mpaa_rating"],
        imdb_rating=Decimal(row["imdb_rating"]) if row["imdb_rating"] else None,
        imdb_votes=int(row["imdb_votes"] or 0),
    )


def _collections(films: list[Movie]) -> Iterable[tuple[str, tuple[str, str], list[Movie]]]:
    def where(holds: Callable[[Movie], bool]) -> list[Movie]:
        return [film for film in films if holds(film)]

    best = sorted(films, key=lambda film: (-(film.imdb_rating or 0), -film.imdb_votes))[:TOP]
    yield "all", ("Все фильмы", "All films"), films
    yield "top-250", ("250 лучших", "Top 250"), best
    yield (
        "classics",
        ("Классика", "Classics"),
        where(lambda film: film.released_on.year < CLASSICS_BEFORE_YEAR),
    )
    yield "family", ("Для всей семьи", "Family"), where(lambda film: film.mpaa_rating in ("G", "PG"))
    for genre in sorted({film.genre for film in films if film.genre}):
        chosen = where(lambda film, genre=genre: film.genre == genre)  # type: ignore[misc]
        if len(chosen) >= LEAST_OF_A_GENRE:
            slug = genre.lower().replace("/", "-").replace(" ", "-")
            yield slug, (_GENRES_RU.get(genre, genre), genre), chosen


def _collection(slug: str, titles: tuple[str, str], films: list[Movie], now: datetime) -> bool:
    collection, made = Collection.objects.using(MOVIES).get_or_create(
        slug=slug,
        defaults={
            "id": derived_id(NAMESPACE, f"collection:{slug}"),
            "title_ru": titles[0],
            "title_en": titles[1],
            "updated_at": now,
        },
    )
    if made:
        collection.movies.set(films)
    return made


def _subscription(offer: _Offer, now: datetime) -> bool:
    return _product(
        offer.slug,
        now,
        {
            "kind": Product.Kind.RECURRING,
            "group": "cinema",
            "title_ru": offer.titles[0],
            "title_en": offer.titles[1],
            "description_ru": offer.descriptions[0],
            "description_en": offer.descriptions[1],
            "grants": offer.grants,
            "rank": offer.rank,
        },
        [
            {"name": unit, "amount_minor": amount_minor, "interval_unit": unit, "is_default": position == 0}
            for position, (amount_minor, unit) in enumerate(offer.prices)
        ],
    )


def _film_product(position: int, film: Movie, now: datetime) -> bool:
    forever = 39900 - (position % 5) * 5000  # 199.00 to 399.00 roubles
    prices: list[dict[str, Any]] = [{"name": "forever", "amount_minor": forever, "is_default": True}]
    if position < RENTED_FROM:
        prices.append({"name": "rental", "amount_minor": 9900, "access_days": RENTAL_DAYS})
    year = film.released_on.year
    return _product(
        f"film-{position + 1:02d}-{_slug(film.title)}",
        now,
        {
            "kind": Product.Kind.ONE_TIME,
            "group": "films",
            "title_ru": f"Фильм «{film.title}» ({year})",
            "title_en": f"{film.title} ({year})",
            "description_ru": f"{film.director or film.distributor}, {year}",
            "description_en": f"{film.director or film.distributor}, {year}",
            "grants": [f"movie:{film.pk}"],
            "grace_days": 0,
            "rank": 100 + position,
        },
        prices,
    )


def _slug(title: str) -> str:
    return "-".join(
        "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in title).lower().split()
    )


def _product(slug: str, now: datetime, values: dict[str, Any], prices: list[dict[str, Any]]) -> bool:
    product, made = Product.objects.using(MOVIES).get_or_create(
        slug=slug,
        defaults={"id": derived_id(NAMESPACE, f"product:{slug}"), "updated_at": now, **values},
    )
    if made:
        for price in prices:
            name = price.pop("name")
            Price.objects.using(MOVIES).create(
                id=derived_id(NAMESPACE, f"price:{slug}:{name}"), product=product, **price
            )
    return made
