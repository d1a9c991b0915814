"""3-D Secure in whole: the page to the bank, the bank's page, the way back, expiry and closing."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import asyncpg
import httpx
import pytest

from pay_api.links import Links, Purpose
from pay_api.pay_service.context import Context
from pay_api.pay_service.reconcile import reconcile
from shared.ids import new_id
from tests.pay_api.conftest import OK_3DS, Pay, event_types, history

_INPUT = re.compile(r'<(?:input|button)[^>]*name="(\w+)"[^>]*value="([^"]*)"')


def local(pay: Pay, url: str) -> str:
    """The gateway's prefix taken off: there is no gateway here."""
    return url.replace("/pay-api/", "/", 1)


async def bank_answers(pay: Pay, page: str, button: int = 0) -> tuple[str, dict[str, str]]:
    """Submits the form to the bank and gives where its page sends the payer, with which fields."""
    action = html.unescape(re.search(r'action="([^"]+)"', page)[1])
    fields = {name: html.unescape(value) for name, value in _INPUT.findall(page)}
    acs = await pay.http.post(action, data=fields)
    assert acs.status_code == 200, acs.text
    forms = re.findall(r"<form[^>]*>.*?</form>", acs.text, re.S)
    chosen = [form for form in forms if 'name="PaRes"' in form]
    found = [value for form in chosen for name, value in _INPUT.findall(form) if name == "PaRes"]
    return fields["TermUrl"], {"MD": fields["MD"], "PaRes": html.unescape(found[button])}


async def challenged(pay: Pay, **changes: object) -> tuple[dict, httpx.Response]:
    view = await pay.pay(OK_3DS, "action_required", **changes)
    page = await pay.http.get(local(pay, view["next_action"]["url"]))
    assert page.status_code == 200
    return view, page


async def test_payer_passes_and_sees_the_result(pay: Pay, db: asyncpg.Pool) -> None:
    view, page = await challenged(pay)
    policy = page.headers["content-security-policy"]
    assert f"form-action {pay.house.sandbox_url}" in policy
    assert "default-src 'none'" in policy
    assert page.headers["referrer-policy"] == "no-referrer"
    assert await pay.effects(view["user_id"]) == []
    term_url, fields = await bank_answers(pay, page.text)
    result = await pay.http.post(local(pay, term_url), data=fields)
    assert result.status_code == 200
    assert "Оплата прошла" in result.text
    assert f"payment_id={view['id']}" in result.headers["refresh"]
    assert (await pay.show(view["id"]))["status"] == "succeeded"
    assert await event_types(db, view["id"]) == [
        "payment.created",
        "payment.action_required",
        "payment.succeeded",
    ]
    again = await pay.http.post(local(pay, term_url), data=fields)
    assert "Оплата прошла" in again.text
    assert await pay.effects(view["user_id"]) == [("charged", 49_900)]


async def test_payer_rejects(pay: Pay) -> None:
    view, page = await challenged(pay, payer={"locale": "en"})
    term_url, fields = await bank_answers(pay, page.text, button=1)
    result = await pay.http.post(local(pay, term_url), data=fields)
    assert "did not go through" in result.text
    shown = await pay.show(view["id"])
    assert shown["status"] == "failed"
    assert shown["decline"]["class"] == "authentication"
    assert await pay.effects(view["user_id"]) == []


async def test_challenge_expires_and_a_late_return_does_nothing(pay: Pay, ctx: Context) -> None:
    view, page = await challenged(pay)
    term_url, fields = await bank_answers(pay, page.text)
    pay.clock.advance(timedelta(minutes=31))
    while await reconcile(ctx):  # a pass takes so many rows; other tests may have left some
        pass
    shown = await pay.show(view["id"])
    assert shown["status"] == "failed"
    assert shown["decline"]["code"] == "authentication-expired"
    await pay.http.post(local(pay, term_url), data=fields)
    assert await pay.effects(view["user_id"]) == []


async def test_closed_payment_never_reaches_post3ds(pay: Pay, db: asyncpg.Pool) -> None:
    view, page = await challenged(pay)
    term_url, fields = await bank_answers(pay, page.text)
    closed = await pay.post(f"/v1/invoices/{view['invoice_id']}/close")
    assert closed.json() == {"invoice_id": view["invoice_id"], "result": "closed"}
    result = await pay.http.post(local(pay, term_url), data=fields)
    assert "Платёж отменён" in result.text
    assert await pay.effects(view["user_id"]) == []
    assert (await event_types(db, view["id"]))[-1] == "payment.cancelled"
    refused = await pay.start(pay.body(invoice_id=view["invoice_id"], user_id=view["user_id"]))
    assert refused.json()["type"] == "/problems/invoice-closed"


async def test_post3ds_without_answer_is_found_out(pay: Pay, ctx: Context, db: asyncpg.Pool) -> None:
    view, page = await challenged(pay)
    term_url, fields = await bank_answers(pay, page.text)
    await pay.fault(kind="suppressed", webhook="pay")
    await pay.fault(kind="timeout_after", method="payments/cards/post3ds", manner="close")
    result = await pay.http.post(local(pay, term_url), data=fields)
    assert "Проверяем платёж" in result.text
    assert (await pay.show(view["id"]))["status"] == "unknown"
    pay.clock.advance(timedelta(seconds=25))
    await reconcile(ctx)
    assert (await pay.show(view["id"]))["status"] == "succeeded"
    assert (await history(db, view["id"]))[-1] == ("succeeded", "reconciler")
    assert await pay.effects(view["user_id"]) == [("charged", 49_900)]


@pytest.mark.parametrize("md", ["999999999", "²"])
async def test_a_foreign_md_changes_nothing_and_is_led_nowhere(pay: Pay, md: str) -> None:
    view, page = await challenged(pay)
    term_url, fields = await bank_answers(pay, page.text)
    answer = await pay.http.post(local(pay, term_url), data={**fields, "MD": md})
    assert answer.status_code == 401
    assert "Ссылка не действует" in answer.text
    assert "token=" not in answer.text
    assert (await pay.show(view["id"]))["status"] == "action_required"
    assert "Оплата прошла" in (await pay.http.post(local(pay, term_url), data=fields)).text


@pytest.mark.parametrize("path", ["events", "3ds"])
async def test_links_open_only_their_own_page(pay: Pay, path: str) -> None:
    mine, other = await pay.pay(OK_3DS, "action_required"), await pay.pay(OK_3DS, "action_required")
    token = mine["events_url"].partition("token=")[2]
    base = f"{pay.house.pay_url}/v1/payments"
    stolen = await pay.http.get(f"{base}/{other['id']}/{path}", params={"token": token})
    assert stolen.status_code == 401
    assert (await pay.http.get(f"{base}/{mine['id']}/{path}")).status_code == 401
    assert (await pay.http.get(f"{base}/{new_id()}/{path}", params={"token": token})).status_code == 401
    if path == "3ds":  # the link of the stream does not open the page
        assert (await pay.http.get(f"{base}/{mine['id']}/3ds", params={"token": token})).status_code == 401


async def test_link_expires(pay: Pay) -> None:
    links = Links("http://x", "key", pay.clock)
    payment_id = new_id()
    token = links.url(payment_id, Purpose.THREEDS).partition("token=")[2]
    assert links.allows(token, payment_id, Purpose.THREEDS)
    assert not links.allows(token[:-1] + "A", payment_id, Purpose.THREEDS) or token.endswith("A")
    assert not links.allows("99999999999" + token[10:], payment_id, Purpose.THREEDS)
    pay.clock.advance(timedelta(hours=2))
    assert not links.allows(token, payment_id, Purpose.THREEDS)
