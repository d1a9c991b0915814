"""Every page a payer may meet, in a real browser: both languages, phone and desk, light and dark."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, Page, Route

from pay_api.pay_service.context import open_context
from pay_api.pay_service.reconcile import reconcile
from tests.pay_api.conftest import OK, OK_3DS, POOR, Pay
from tests.pay_api.test_checkout import opened
from tests.pay_api.test_checkout_browser import browser, picture  # noqa: F401 - a fixture
from tests.pay_api.test_threeds import bank_answers, local

pytestmark = pytest.mark.long

SCREENS = {
    "narrow": {"viewport": {"width": 320, "height": 640}},
    "phone": {"viewport": {"width": 360, "height": 740}},
    "desk": {"viewport": {"width": 1280, "height": 800}},
    "dark": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
}
Visit = Callable[[Page], Awaitable[None]]


async def visitor(browser: Browser, **options: Any) -> tuple[BrowserContext, Page, list[str]]:  # noqa: F811
    context = await browser.new_context(**options)

    async def strip(route: Route) -> None:
        await route.continue_(url=route.request.url.replace("/pay-api/", "/", 1))

    await context.route("**/pay-api/**", strip)
    page = await context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    return context, page, problems


def payer(locale: str) -> dict[str, Any]:
    return {"payer": {"locale": locale, "email": "viewer@example.com"}}


async def pages(pay: Pay, locale: str) -> dict[str, tuple[str, bool]]:
    """Addresses by name, and whether the page wants scripts (a page that goes on by itself is held)."""
    words = (
        {"description": "Подписка «Премиум», счёт 2026-000123"}
        if locale == "ru"
        else {"description": "Subscription Premium, invoice 2026-000123"}
    )
    checkout = await opened(pay, **payer(locale), **words)
    challenge = await pay.pay(OK_3DS, "action_required", **payer(locale), **words)
    bank = await pay.http.get(local(pay, challenge["next_action"]["url"]))
    assert bank.status_code == 200
    rejected = await pay.pay(OK_3DS, "action_required", **payer(locale), **words)
    page = await pay.http.get(local(pay, rejected["next_action"]["url"]))
    term_url, fields = await bank_answers(pay, page.text, button=1)
    await pay.http.post(local(pay, term_url), data=fields)
    paid = await pay.pay(OK_3DS, "action_required", **payer(locale), **words)
    page = await pay.http.get(local(pay, paid["next_action"]["url"]))
    term_url, fields = await bank_answers(pay, page.text)
    await pay.http.post(local(pay, term_url), data=fields)
    cancelled = await pay.pay(OK_3DS, "action_required", **payer(locale), **words)
    await pay.post(
        f"/v1/payments/{cancelled['id']}/cancel", {"cancellation_id": cancelled["id"], "reason": "x"}
    )
    transfer = await pay.start(
        pay.body(method={"kind": "bank_transfer"}, provider="bank_transfer", **payer(locale), **words)
    )
    sandbox = pay.house.sandbox_url
    order = await pay.http.post(
        f"{sandbox}/orders/create",
        json={"Amount": 499, "Description": words["description"], "CultureName": f"{locale}-RU"},
        auth=httpx.BasicAuth("pk_cinema_sandbox", "cinema-sandbox-secret"),
    )
    qr = await pay.http.post(
        f"{sandbox}/payments/qr/sbp/link",
        json={
            "PublicId": "pk_cinema_sandbox",
            "Amount": 499,
            "Scheme": "charge",
            "Description": words["description"],
            "CultureName": f"{locale}-RU",
        },
        auth=httpx.BasicAuth("pk_cinema_sandbox", "cinema-sandbox-secret"),
    )
    return {
        "checkout": (checkout["next_action"]["url"], True),
        "transfer": (transfer.json()["next_action"]["url"], True),
        "to-bank": (challenge["next_action"]["url"], False),
        "paid": (paid["next_action"]["url"], True),
        "declined": (rejected["next_action"]["url"], True),
        "cancelled": (cancelled["next_action"]["url"], True),
        "link-over": (checkout["next_action"]["url"] + "x", True),
        "order": (f"{sandbox}/d/{order.json()['Model']['Id']}", True),
        "qr": (qr.json()["Model"]["QrUrl"], True),
        "transactions": (f"{sandbox}/", True),
    }


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("locale", ["ru", "en"])
async def test_every_page_fits(pay: Pay, browser: Browser, locale: str, screen: str) -> None:  # noqa: F811
    accept = "ru-RU" if locale == "ru" else "en-US"
    for name, (url, scripts) in (await pages(pay, locale)).items():
        context, page, problems = await visitor(
            browser, locale=accept, java_script_enabled=scripts, **SCREENS[screen]
        )
        answer = await page.goto(url)
        assert answer is not None
        expected = 401 if name == "link-over" else 200
        assert answer.status == expected, name
        await picture(page, f"{name}-{locale}-{screen}")
        if scripts:
            wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, (name, wide)
            if name != "transactions":  # in the middle, with the same margin at both sides
                left, right = await page.evaluate(
                    "(box => [box.left, innerWidth - box.right])(document.querySelector('main')"
                    ".getBoundingClientRect())"
                )
                assert abs(left - right) <= 1, (name, left, right)
            assert [text for text in problems if "401" not in text] == [], name
        if name != "transactions":
            assert await page.locator("html").get_attribute("lang") == locale, name
        if name == "to-bank":
            await page.get_by_role("button").click()
            await page.wait_for_url("**/acs**")
            await picture(page, f"acs-{locale}-{screen}")
            assert await page.locator("html").get_attribute("lang") == locale
        await context.close()


async def test_a_payment_without_a_verdict_updates_its_own_page(pay: Pay, browser: Browser) -> None:  # noqa: F811
    """The payer comes back from the bank, the provider is silent; later the page says how it ended."""
    view = await pay.pay(OK_3DS, "action_required", **payer("ru"))
    context, page, problems = await visitor(browser, **SCREENS["phone"])
    await pay.fault(kind="suppressed", webhook="pay")
    await pay.fault(kind="timeout_after", method="payments/cards/post3ds", manner="close")
    await page.goto(view["next_action"]["url"])
    await page.wait_for_url("**/acs**")
    await page.locator("#confirm").click()
    await page.locator("#title").wait_for()
    assert await page.locator("#title").inner_text() == "Проверяем платёж"
    await picture(page, "waiting-ru-phone")
    pay.clock.advance(timedelta(seconds=25))
    ctx = open_context(pay.house.settings, pay.clock)
    await reconcile(ctx)
    await ctx.aclose()
    await page.get_by_text("Оплата прошла").wait_for()
    await picture(page, "waited-ru-phone")
    assert problems == []
    await context.close()


async def test_a_transfer_ends_before_the_payers_eyes(pay: Pay, browser: Browser) -> None:  # noqa: F811
    body = pay.body(method={"kind": "bank_transfer"}, provider="bank_transfer", **payer("ru"))
    view = (await pay.start(body)).json()
    context, page, problems = await visitor(browser, **SCREENS["phone"])
    await page.goto(view["next_action"]["url"])
    await page.get_by_text("40702810900000000001").wait_for()
    confirmation = {
        "confirmation_id": view["id"],
        "amount": view["amount"],
        "reason": "statement",
        "actor": "accountant",
    }
    path = f"/internal/v1/payments/{view['id']}/transfer-confirmations"
    assert (await pay.post(path, confirmation, view["id"])).status_code == 201
    await page.get_by_text("Оплата прошла").wait_for()
    assert await page.locator("#details").is_hidden()
    await picture(page, "transfer-done-ru-phone")
    assert problems == []
    await context.close()


async def test_the_sandbox_shows_what_happened(pay: Pay, browser: Browser) -> None:  # noqa: F811
    await pay.pay(OK)
    await pay.pay(POOR, "failed")
    await pay.pay(OK_3DS, "action_required")
    for name, options in SCREENS.items():
        context, page, problems = await visitor(browser, **options)
        await page.goto(pay.house.sandbox_url)
        assert "Completed" in await page.inner_text("body")
        await picture(page, f"sandbox-{name}")
        assert problems == []
        await context.close()
