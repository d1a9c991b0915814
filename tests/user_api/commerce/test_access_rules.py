"""Access decisions, pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from user_api.api.language import choose
from user_api.user_service.access import RESOURCE, Purchase, Right, compare, decide, rights_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
FILM = "movie:0198c0de-0000-7000-8000-00000000f11d"


def test_an_end_is_exclusive() -> None:
    rights = [Right("feature:uhd", NOW, "s")]
    assert decide(rights, "feature:uhd", {}, NOW - timedelta(microseconds=1)).granted
    assert not decide(rights, "feature:uhd", {}, NOW).granted


def test_a_film_is_granted_through_any_collection_that_holds_it_and_the_latest_end_counts() -> None:
    films = {FILM: ("collection:a", "collection:b")}
    rights = [Right("collection:a", NOW + timedelta(hours=1), "s1"), Right("collection:b", LATER, "s2")]
    assert decide(rights, FILM, films, NOW).until == LATER
    assert not decide(rights, FILM, {}, NOW).granted
    endless = decide([*rights, Right(FILM, None, "s3")], FILM, films, NOW)
    assert (endless.granted, endless.until) == (True, None)
    assert not decide(rights, f"movie:{uuid4()}", films, NOW).granted


def test_what_a_purchase_gives() -> None:
    purchase = Purchase(UUID(int=1), UUID(int=2), grants_access=True, access_until=LATER)
    source = f"subscription:{UUID(int=1)}"
    assert rights_of(purchase, ["feature:uhd"]) == {Right("feature:uhd", LATER, source)}
    unpaid = Purchase(UUID(int=1), UUID(int=2), grants_access=False, access_until=LATER)
    removed = Purchase(UUID(int=1), UUID(int=2), grants_access=True, access_until=None, removed=True)
    assert rights_of(unpaid, ["feature:uhd"]) == rights_of(removed, ["feature:uhd"]) == frozenset()


def test_what_is_left_after_the_grace_ends_later_than_the_rest() -> None:
    later = LATER + timedelta(days=18)
    late = Purchase(UUID(int=1), UUID(int=2), True, LATER, reduced_until=later)
    source = f"subscription:{UUID(int=1)}"
    of_product = (["feature:uhd", "collection:old"], ["collection:old"])
    rights = rights_of(late, *of_product)
    assert rights == {Right("feature:uhd", LATER, source), Right("collection:old", later, source)}
    assert not decide(list(rights), "feature:uhd", {}, LATER).granted
    assert decide(list(rights), "collection:old", {}, LATER).until == later
    leaving = Purchase(UUID(int=1), UUID(int=2), True, LATER)
    assert {right.until for right in rights_of(leaving, *of_product)} == {LATER}
    # What the product does not grant is not left of it either.
    assert rights_of(late, ["feature:uhd"], ["feature:more"]) == {Right("feature:uhd", LATER, source)}


def test_changes_name_what_holds_and_what_does_not() -> None:
    uhd, hd = Right("feature:uhd", LATER, "a"), Right("feature:hd", LATER, "a")
    assert compare([], [uhd], NOW).granted == ("feature:uhd",)
    assert compare([uhd, hd], [hd], NOW).revoked == ("feature:uhd",)
    assert not compare([uhd], [Right("feature:uhd", LATER, "another source")], NOW)
    assert not compare([Right("feature:uhd", NOW, "a")], [], NOW)  # it had ended by itself
    longer = compare([uhd], [Right("feature:uhd", None, "a")], NOW)
    assert (longer.granted, longer.revoked) == (("feature:uhd",), ())


@pytest.mark.parametrize(
    ("name", "good"),
    [
        (FILM, True),
        ("collection:top-250", True),
        ("feature:uhd", True),
        ("movie:1", False),
        ("collection:", False),
        ("collection:A", False),
        ("rights:x", False),
        (f"{FILM}\n", False),
    ],
)
def test_names_of_resources(name: str, good: bool) -> None:
    assert bool(RESOURCE.fullmatch(name)) is good


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "ru"),
        ("", "ru"),
        ("en", "en"),
        ("en-GB,en;q=0.9", "en"),
        ("ru-RU,ru;q=0.9,en;q=0.8", "ru"),
        ("de,en;q=0.5,ru;q=0.4", "en"),
        ("fr", "ru"),
        ("en;q=zero", "ru"),
        ("*", "ru"),
        ("en;q=0", "ru"),
    ],
)
def test_the_language_asked_for(header: str | None, language: str) -> None:
    assert choose(header) == language
