"""The seed fills once, publishing tells the whole state, and editing leaves a history."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from shared.queue.messages.base import parse, state_of
from shared.queue.messages.catalog import CollectionState, ProductState
from tests.admin_panel.conftest import Panel, StaffClient

EVENTS = "SELECT envelope FROM outbox ORDER BY id"


def _states(panel: Panel) -> list[ProductState | CollectionState]:
    rows = panel.rows("movies", EVENTS)
    return [state_of(parse(json.dumps(envelope).encode())) for (envelope,) in rows]  # type: ignore[misc]


def test_the_seed_is_idempotent_and_republishing_tells_everything_again(panel: Panel) -> None:
    counted = (
        "SELECT (SELECT count(*) FROM movie), (SELECT count(*) FROM product), (SELECT count(*) FROM price)"
    )
    before = (panel.rows("movies", counted), len(_states(panel)))
    assert before[0][0][0] == 800
    said = panel.manage("seed_catalog", "--without-promo-code")
    assert "films 0, collections 0, products 0 made" in said
    assert (panel.rows("movies", counted), len(_states(panel))) == before
    panel.manage("republish_catalog")
    again = _states(panel)[before[1] :]
    slugs = {state.slug for state in again}
    assert {"basic", "premium", "family", "all", "classics", "top-250"} <= slugs
    assert len(again) == len({(type(state), state.slug) for state in again}) == 11 + 27
    sequences = panel.rows(
        "movies", "SELECT DISTINCT sequence FROM aggregate_sequence WHERE aggregate_type = 'product'"
    )
    assert (2,) in sequences


def test_events_carry_the_whole_product(panel: Panel) -> None:
    states = _states(panel)
    by_slug = {state.slug: state for state in states}
    premium, everything = by_slug["premium"], by_slug["all"]
    assert isinstance(premium, ProductState)
    assert isinstance(everything, CollectionState)
    assert (premium.kind, premium.group, premium.status) == ("recurring", "cinema", "published")
    assert "collection:all" in premium.grants
    assert {(p.amount.amount, p.interval_unit, p.is_default) for p in premium.prices} == {
        (49900, "month", True),
        (499000, "year", False),
    }
    assert len(everything.movie_ids) == 800
    films = [s for s in by_slug.values() if isinstance(s, ProductState) and s.kind == "one_time"]
    assert len(films) >= 20
    for film in films:
        default = next(price for price in film.prices if price.is_default)
        assert 19900 <= default.amount.amount <= 39900
        assert default.access_days is None
        assert film.grants[0].removeprefix("movie:") in {str(movie) for movie in everything.movie_ids}
    assert any(price.access_days for film in films for price in film.prices)


def test_publishing_shows_first_and_keeps_a_history(
    panel: Panel, clients: Callable[..., StaffClient]
) -> None:
    ((product_id,),) = panel.rows("movies", "SELECT id FROM product WHERE slug = 'basic'")
    client = clients("marketing")
    before = len(panel.rows("movies", EVENTS))
    preview, sent = client.act(f"/admin/catalog/product/{product_id}/retire/", {"reason": "out of season"})
    assert "whoever has it keeps it" in preview.text
    assert len(panel.rows("movies", EVENTS)) == before
    client.post(preview, sent | {"confirm": "1"})
    last = _states(panel)[-1]
    assert (last.slug, getattr(last, "status", "")) == ("basic", "retired")
    preview, sent = client.act(f"/admin/catalog/product/{product_id}/publish/", {"reason": "back again"})
    client.post(preview, sent | {"confirm": "1"})
    assert getattr(_states(panel)[-1], "status", "") == "published"
    reasons = panel.rows(
        "movies", "SELECT history_change_reason FROM catalog_historicalproduct WHERE id = %s", product_id
    )
    assert {("out of season",), ("back again",)} <= set(reasons)


def test_an_edit_over_somebody_elses_is_refused(panel: Panel, clients: Callable[..., StaffClient]) -> None:
    ((product_id,),) = panel.rows("movies", "SELECT id FROM product WHERE slug = 'family'")
    client = clients("marketing")
    path = f"/admin/catalog/product/{product_id}/change/"
    page = client.get(path)
    fields = dict(re.findall(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"', page.text))
    values = {name: value for name, value in fields.items() if name != "csrfmiddlewaretoken"}
    grants = "collection:all\nfeature:4k"
    values |= {"grants": grants, "kind": "recurring", "seen_at": "2020-01-01T00:00:00+00:00"}
    refused = client.post(page, values)
    assert "Somebody changed this product meanwhile" in refused.text
