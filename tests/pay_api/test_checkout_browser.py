"""The checkout page in a real browser: what it checks, encrypts and shows, on a phone and on a desk."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Route, async_playwright, expect

from tests.pay_api.conftest import OK, OK_3DS, POOR, Pay
from tests.pay_api.test_checkout import opened

pytestmark = pytest.mark.long


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    async with async_playwright() as driver:
        started = await driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        await started.close()


async def visit(browser: Browser, view: dict[str, Any], **options: Any) -> Page:
    """The page as the gateway serves it: the prefix is taken off on the way."""
    context = await browser.new_context(**{"viewport": {"width": 390, "height": 844}, **options})

    async def strip(route: Route) -> None:
        await route.continue_(url=route.request.url.replace("/pay-api/", "/", 1))

    await context.route("**/pay-api/**", strip)
    page = await context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.problems = problems  # type: ignore[attr-defined]
    await page.goto(view["next_action"]["url"])
    return page


async def fill(page: Page, pan: str = OK, expiry: str = "1240", cvv: str = "123", name: str = "") -> None:
    for field, value in (("number", pan), ("expiry", expiry), ("cvv", cvv), ("name", name)):
        await page.locator(f"#{field}").fill("")
        await page.locator(f"#{field}").press_sequentially(value)


async def picture(page: Page, name: str) -> None:
    """Pictures are kept only when somebody wants to look: SCREENSHOTS=folder."""
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        await page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


async def test_declined_then_paid_and_no_card_in_any_request(pay: Pay, browser: Browser) -> None:
    view = await opened(pay)
    page = await visit(browser, view)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(f"{request.url} {request.post_data or ''}"))
    await picture(page, "form-phone")
    await fill(page, POOR, name="IVAN PETROV")
    await expect(page.locator("#number")).to_have_value("4000 0566 5566 5556")
    await expect(page.locator("#expiry")).to_have_value("12 / 40")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("Недостаточно средств")
    await picture(page, "declined-phone")
    await fill(page)
    await page.locator("#save").check()
    await page.get_by_role("button").click()
    await expect(page.locator("#title")).to_have_text("Оплата прошла")
    await expect(page.locator("#onward")).to_be_visible()
    await picture(page, "paid-phone")
    assert (await pay.show(view["id"]))["payment_method_id"]
    assert await pay.effects(view["user_id"]) == [("charged", 49_900)]
    assert not any(number in text.replace(" ", "") for number in (OK, POOR) for text in sent)
    assert page.problems == []  # type: ignore[attr-defined]


async def test_mistakes_are_named_at_their_field(pay: Pay, browser: Browser) -> None:
    page = await visit(browser, await opened(pay, payer={"locale": "en"}))
    await page.get_by_role("button").click()
    for field in ("number", "expiry", "cvv"):
        await expect(page.locator(f"#{field}")).to_have_attribute("aria-invalid", "true")
    await expect(page.locator("#number")).to_be_focused()
    await fill(page, "4000000000003056", "0120", "12", "Иван")
    await page.get_by_role("button").click()
    await expect(page.locator("#number-error")).to_have_text(
        "There is a mistake in the card number. Check the digits."
    )
    await expect(page.locator("#expiry-error")).to_have_text("This card has expired.")
    await expect(page.locator("#cvv-error")).to_have_text("The code has 3 digits.")
    await expect(page.locator("#name-error")).to_contain_text("Latin letters")
    await picture(page, "mistakes-phone")
    await fill(page, "4000", "1340")
    await page.get_by_role("button").click()
    await expect(page.locator("#number-error")).to_have_text("The card number is not complete.")
    await expect(page.locator("#expiry-error")).to_contain_text("There is no such month")


async def test_two_tabs_show_the_same_and_pay_once(pay: Pay, browser: Browser) -> None:
    view = await opened(pay)
    first, second = await visit(browser, view), await visit(browser, view)
    await fill(first)
    await fill(second)
    await first.get_by_role("button").click()
    await expect(first.locator("#title")).to_have_text("Оплата прошла")
    await expect(second.locator("#title")).to_have_text("Оплата прошла")
    assert await pay.effects(view["user_id"]) == [("charged", 49_900)]


async def test_a_stream_the_browser_gave_up_is_opened_again(pay: Pay, browser: Browser) -> None:
    """While PayAPI starts anew the gateway answers 502, and a browser gives up for good."""
    view = await opened(pay)
    page, other = await visit(browser, view), await visit(browser, view)
    asked = 0

    async def away(route: Route) -> None:
        nonlocal asked
        asked += 1
        if asked > 2:
            await route.continue_(url=route.request.url.replace("/pay-api/", "/", 1))
        else:
            await route.fulfill(status=502)

    await other.route("**/events?**", away)
    await other.reload()
    await fill(page)
    await page.get_by_role("button").click()
    await expect(page.locator("#title")).to_have_text("Оплата прошла")
    await expect(other.locator("#title")).to_have_text("Оплата прошла", timeout=20_000)
    assert asked == 3


async def test_threeds_from_the_page(pay: Pay, browser: Browser) -> None:
    view = await opened(pay)
    page, other = await visit(browser, view), await visit(browser, view)
    await fill(page, OK_3DS)
    await page.get_by_role("button").click()
    await page.wait_for_url("**/acs**")
    await expect(other.locator("#bank")).to_be_visible()
    await picture(other, "bank-phone")
    await (
        page.locator("form:has(input[name=PaRes]), form:has(button[name=PaRes])")
        .first.locator("button")
        .first.click()
    )
    await expect(page.locator("#title")).to_have_text("Оплата прошла")
    await expect(other.locator("#title")).to_have_text("Оплата прошла")
    assert await pay.effects(view["user_id"]) == [("charged", 49_900)]


async def test_it_fits_every_screen_dark_and_light(pay: Pay, browser: Browser) -> None:
    for name, options in (
        ("form-narrow", {"viewport": {"width": 320, "height": 640}}),
        ("form-dark-phone", {"color_scheme": "dark"}),
        ("form-desk", {"viewport": {"width": 1280, "height": 900}}),
        ("form-dark-desk", {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"}),
    ):
        page = await visit(
            browser, await opened(pay, payer={"locale": "en"}, save_method="dark" in name), **options
        )
        await expect(page.locator("#form")).to_be_visible()
        wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, name
        await picture(page, name)
