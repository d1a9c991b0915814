"""The seed fills once, publishing tells the whole state, and editing leaves a history."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser

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


class _Form(HTMLParser):
    """The fields of a page's forms with what they hold."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self._select = self._area = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        name = given.get("name", "")
        if tag == "input" and name and given.get("type") not in ("submit", "button"):
            if given.get("type") != "checkbox" or "checked" in given:
                self.fields[name] = given.get("value", "on" if given.get("type") == "checkbox" else "")
        elif tag == "select":
            self._select = name
            self.fields[name] = ""
        elif tag == "option" and self._select and "selected" in given:
            self.fields[self._select] = given.get("value", "")
        elif tag == "textarea" and name:
            self._area = name
            self.fields[name] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        if tag == "textarea":
            self._area = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.fields[self._area] += data


def test_a_term_a_next_amount_and_policies_are_edited_and_published(
    panel: Panel, clients: Callable[..., StaffClient]
) -> None:
    """What the admin sets reaches the event: fixed term, amount from a date, trial, changes, dunning."""
    ((product_id,),) = panel.rows("movies", "SELECT id FROM product WHERE slug = 'family'")
    client = clients("marketing")
    page = client.get(f"/admin/catalog/product/{product_id}/change/")
    fields = {n: v.removeprefix("\r").lstrip("\n") for n, v in _Form(page.text).fields.items()}
    fields = {
        name: value
        for name, value in fields.items()
        if name != "csrfmiddlewaretoken" and "__prefix__" not in name and name in _product_fields(fields)
    }
    assert fields["prices-0-amount"] == "799.00"
    refused = client.post(
        page,
        fields
        | {
            "prices-0-next_amount": "899.00",
            "prices-0-minimum": "799.01",
            "prices-0-currency": "USD",
            "dunning_policy": '{"cancel_day": 2}',
            "reduced_grants": "feature:nothing-like-it",
        },
    )
    assert "The minimum is above the price." in refused.text
    assert "Say from when the next amount holds." in refused.text
    assert "A published price keeps its currency." in refused.text
    assert "makes no sense" in refused.text
    assert "Not among the grants: feature:nothing-like-it" in refused.text
    saved = client.post(
        page,
        fields
        | {
            "prices-0-term_periods": "12",
            "prices-0-next_amount": "899.00",
            "prices-0-minimum": "99.50",
            "prices-0-valid_from_at_0": "2031-01-01",
            "prices-0-valid_from_at_1": "00:00:00",
            "trial_without_method": "invoice",
            "change_cheaper": "now",
            "dunning_policy": '{"soft_retry_days": [2, 4], "cancel_day": 10}',
            "reduced_grants": fields["grants"].split()[0],
        },
    )
    told = re.findall(r"text-red-[67]00[^>]*>\s*([^<]{3,200})", saved.text)
    assert "errornote" not in saved.text, [" ".join(one.split()) for one in told]
    preview, sent = client.act(
        f"/admin/catalog/product/{product_id}/publish/", {"reason": "a season's offer"}
    )
    client.post(preview, sent | {"confirm": "1"})
    state = _states(panel)[-1]
    assert isinstance(state, ProductState)
    (price,) = state.prices
    assert (price.amount.amount, price.term_periods) == (79900, 12)
    assert price.minimum is not None
    assert price.minimum.amount == 9950
    assert price.next_amount is not None
    assert price.next_amount.amount == 89900
    assert price.valid_from is not None
    assert price.valid_from.isoformat().startswith("2030-12-31T21:00")
    assert (state.trial_without_method, state.change_policy) == (
        "invoice",
        {"dearer": "now", "cheaper": "now"},
    )
    assert state.reduced_grants == state.grants[:1] != state.grants
    assert state.dunning_policy == {"soft_retry_days": [2, 4], "cancel_day": 10}


def test_a_published_price_is_not_published_in_another_currency(panel: Panel) -> None:
    """Whatever changed it: the form refuses it before."""
    assert panel.inside("published_in_another_currency") == "price-currency-changed"


def _product_fields(fields: dict[str, str]) -> set[str]:
    """Those of the product's own form, not of the page around it."""
    own = {
        "slug", "title_ru", "title_en", "kind", "group", "grants", "seen_at", "description_ru",
        "description_en", "grace_days", "reduced_grants", "trial_needs_method", "trial_without_method",
        "refund_window_days", "change_dearer", "change_cheaper", "dunning_policy", "rank",
    }  # fmt: skip
    return own | {name for name in fields if name.startswith("prices-")}
