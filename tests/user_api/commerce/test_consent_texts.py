"""The words of a consent: served to whoever shows them, and recorded with what was accepted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from tests.user_api.commerce.conftest import Catalogue, Person, card
from user_api.user_service import consent_texts


def counted(text: str) -> float:
    return REGISTRY.get_sample_value("consents_recorded_total", {"text": text}) or 0.0


@pytest.mark.parametrize(("language", "word"), [("ru", "Согласие"), ("en", "Consent")])
async def test_the_words_are_served_without_a_token(
    client: httpx.AsyncClient, language: str, word: str
) -> None:
    headers = {"Accept-Language": language}
    current = await client.get("/v1/consent-texts/current", headers=headers)
    assert current.status_code == 200, current.text
    body = current.json()
    assert (body["version"], body["language"]) == (consent_texts.CURRENT, language)
    assert body["text"].startswith(word)
    assert body["sha256"] == hashlib.sha256(body["text"].encode()).hexdigest()
    assert (await client.get(f"/v1/consent-texts/{body['version']}", headers=headers)).json() == body
    missing = await client.get("/v1/consent-texts/1999-01", headers=headers)
    assert (missing.status_code, missing.json()["type"]) == (404, "/problems/consent-text-not-found")


def test_a_text_that_was_shown_is_never_edited() -> None:
    """A consent is proved by the hash: other words are another version, with files of its own."""
    shown = {
        ("2026-01", "ru"): "a2a3dcecfd827787b50c2eb4d1e55cec7395389bf79b3c9029a66f4e5d4ea4df",
        ("2026-01", "en"): "4ff6a3b22f53e504ebc599bf160cfb3e3da4f6f3bf0fb44716226a2e2bee255a",
    }
    for (version, language), digest in shown.items():
        text = consent_texts.find(version, language)
        assert text is not None
        assert text.sha256 == digest, (version, language)
    assert {version for version, _ in shown} >= {consent_texts.CURRENT}


@pytest.mark.parametrize("language", ["ru", "en"])
async def test_what_was_accepted_is_recorded_with_the_hash_of_its_words(
    anna: Person, catalogue: Catalogue, deliver: Any, language: str, rows: Callable[..., Any]
) -> None:
    """By a purchase and by a consent of its own alike."""
    anna.headers["Accept-Language"] = language
    text = (await anna.get("/v1/consent-texts/current")).json()
    consent = {"text_version": text["version"], "accepted": True}
    product = await catalogue.product("feature:uhd")
    before = counted("published")
    bought = (await anna.buy(product, payment=card(save=True), consent=consent)).json()
    await deliver()
    (method,) = (await anna.get("/v1/me/payment-methods")).json()["items"]
    given = {"subscription_id": bought["subscription"]["id"], "payment_method_id": method["id"]}
    answer = await anna.post("/v1/me/recurring-payments", given | {"consent": consent})
    assert answer.status_code == 201, answer.text
    shown = [answer.json(), *(await anna.get("/v1/me/recurring-payments")).json()["items"]]
    assert len(shown) == 3
    for one in shown:
        assert (one["text_language"], one["text_sha256"]) == (language, text["sha256"])
    kept = await rows("SELECT text_version, text_language, text_sha256 FROM recurring_payments")
    assert {tuple(row) for row in kept} == {(text["version"], language, text["sha256"])}
    assert counted("published") == before + 2


async def test_a_text_published_elsewhere_is_recorded_as_given_and_counted(
    anna: Person, catalogue: Catalogue
) -> None:
    before = counted("unknown")
    consent = {"text_version": "shop-7", "accepted": True}
    product = await catalogue.product("feature:uhd")
    assert (await anna.buy(product, payment=card(save=True), consent=consent)).status_code == 201
    (kept,) = (await anna.get("/v1/me/recurring-payments")).json()["items"]
    assert (kept["text_version"], kept["text_sha256"]) == ("shop-7", None)
    assert counted("unknown") == before + 1
