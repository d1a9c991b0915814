"""A member of staff in the Django admin: looks at a customer, adjusts a charge, assigns a discount."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

import httpx

from tests.e2e.chapters import Story
from tests.e2e.customer import Customer
from tests.e2e.transcript import StoryBroken, Transcript

BILLING = "/admin/billing_service"
ADJUSTED = "50.00"
PERCENT = "10"
NBSP = "\u00a0"


class _Form(HTMLParser):
    """The fields of the page's main form as a browser would send them."""

    def __init__(self, marker: str) -> None:
        super().__init__()
        self._marker = marker
        self._forms: list[dict[str, str]] = []
        self._select: str | None = None
        self._textarea: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._forms.append({})
            return
        if not self._forms:
            return
        name = given.get("name", "")
        if tag == "input" and name and given.get("type") != "submit":
            if given.get("type") not in ("checkbox", "radio") or "checked" in given:
                self._forms[-1][name] = given.get("value", "")
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select is not None:
            if "selected" in given or self._select not in self._forms[-1]:
                self._forms[-1][self._select] = given.get("value", "")
        elif tag == "textarea":
            self._textarea = name
            self._forms[-1][name] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = None
        elif tag == "textarea":
            self._textarea = None

    def handle_data(self, data: str) -> None:
        if self._textarea is not None and self._forms:
            self._forms[-1][self._textarea] += data.removeprefix("\n")

    @property
    def fields(self) -> dict[str, str]:
        return next((form for form in self._forms if self._marker in form), {})


class Staff:
    """One login; pages are shown in the transcript and must answer what is expected."""

    def __init__(self, gateway: str, transcript: Transcript) -> None:
        self._transcript = transcript
        self._gateway = gateway
        headers = {"Accept-Language": "en"}
        self._http = httpx.AsyncClient(
            base_url=gateway, timeout=20, follow_redirects=True, trust_env=False, headers=headers
        )

    async def aclose(self) -> None:
        await self._http.aclose()

    async def open(self, path: str, note: str = "", expect: int = 200) -> httpx.Response:
        return self._shown("GET", path, await self._http.get(path), note, expect)

    async def submit(
        self, page: httpx.Response, marker: str, values: dict[str, str], note: str = "", expect: int = 200
    ) -> httpx.Response:
        """Sends the form that has a field ``marker``, with these values over what the page holds."""
        parser = _Form(marker)
        parser.feed(page.text)
        if not parser.fields:
            raise StoryBroken(f"no form with {marker} on {page.url.path}")
        action = re.search(r'<form[^>]*action="([^"]+)"[^>]*id="login-form"', page.text)
        path = urljoin(str(page.url), unescape(action[1])) if action else str(page.url)
        headers = {"Referer": str(page.url), "Origin": self._gateway.rstrip("/")}
        answer = await self._http.post(path, data=parser.fields | values, headers=headers)
        return self._shown("POST", httpx.URL(path).path, answer, note, expect)

    async def log_in(self, username: str, password: str) -> None:
        page = await self.open("/admin/", note="the login page")
        inside = await self.submit(page, "login", {"login": username, "password": password}, note="log in")
        if inside.url.path != "/admin/":
            raise StoryBroken(f"the login led to {inside.url.path}")

    async def act(self, path: str, values: dict[str, str]) -> tuple[str, httpx.Response]:
        """Form, preview, confirmation; gives the preview's text and the page after it."""
        form = await self.open(path, note="the form")
        preview = await self.submit(form, "token", values, note="the effect, nothing done yet")
        if 'id="effect"' not in preview.text:
            raise StoryBroken(f"no preview: {_words(preview.text)[-600:]}")
        done = await self.submit(preview, "token", {"confirm": "1"}, note="confirmed")
        effect = preview.text.split('id="effect"', 1)[1].split("</section>", 1)[0]
        return _words(effect.split(">", 1)[1]), done

    def _shown(
        self, method: str, path: str, answer: httpx.Response, note: str, expect: int
    ) -> httpx.Response:
        self._transcript.call("Staff", method, path, answer.status_code, note)
        if answer.status_code != expect:
            raise StoryBroken(f"{path} answered {answer.status_code}: {_words(answer.text)[:300]}")
        return answer


def _words(html: str) -> str:
    """A page's text."""
    text = re.sub(r"<(script|style)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())


def _ids(page: httpx.Response, model: str) -> list[str]:
    """The ids of the rows a list links to, in its order."""
    found = re.findall(rf"{BILLING}/{model}/([0-9a-f-]{{36}})/change/", page.text)
    return list(dict.fromkeys(found))


async def adjust_and_discount(story: Story, customer: Customer) -> None:
    """The admin sees the customer's documents, takes 50.00 RUB off a charge, gives a 10 % discount."""
    transcript = story.transcript
    transcript.step(f"Staff look at {customer.name}, adjust a charge and assign a discount")
    login = story.stack.logins["admin"]
    staff = Staff(story.stack.urls["gateway"], transcript)
    try:
        await staff.log_in(login["username"], login["password"])
        account = await _look(story, customer, staff)
        await _adjust(story, customer, staff, account)
        await _discount(story, customer, staff, account)
    finally:
        await staff.aclose()


async def _look(story: Story, customer: Customer, staff: Staff) -> str:
    """Opens the customer's pages and finds their documents on them; gives the account's id."""
    transcript = story.transcript
    found = await staff.open(f"{BILLING}/account/?q={customer.user_id}", note="find the personal account")
    accounts = _ids(found, "account")
    transcript.check("one personal account is found", len(accounts) == 1, accounts)
    invoices = await customer.call("GET", "/billing-api/v1/me/invoices")
    payments = await customer.call("GET", "/billing-api/v1/me/payments")
    numbers = [invoice["number"] for invoice in invoices["items"]]
    page = await staff.open(f"{BILLING}/account/{accounts[0]}/change/", note="the personal account")
    transcript.check("the account shows its holder", customer.email in page.text)
    transcript.check("and every invoice", all(number in page.text for number in numbers[:10]), numbers)
    listed = await staff.open(f"{BILLING}/invoiceline/?q={customer.user_id}", note="charges")
    transcript.check("charges are listed", all(number in listed.text for number in numbers), numbers)
    charge = _ids(listed, "invoiceline")[0]
    why = await staff.open(f"{BILLING}/invoiceline/{charge}/change/", note="one charge")
    transcript.check("a charge says why this amount", "VAT" in why.text)
    listed = await staff.open(f"{BILLING}/invoice/?q={customer.user_id}", note="invoices")
    transcript.check("invoices are listed", all(number in listed.text for number in numbers), numbers)
    listed = await staff.open(f"{BILLING}/payment/?q={customer.user_id}", note="payments")
    ids = [payment["id"] for payment in payments["items"]]
    transcript.check("payments are listed", all(each in listed.text for each in ids), ids)
    return accounts[0]


async def _balance(customer: Customer) -> int:
    account = await customer.call("GET", "/billing-api/v1/me/account")
    return int(account["balance"]["amount"])


async def _adjust(story: Story, customer: Customer, staff: Staff, account: str) -> None:
    before = await _balance(customer)
    effect, after = await staff.act(
        f"{BILLING}/account/{account}/adjust-charge/",
        {"direction": "down", "amount": ADJUSTED, "reason": "An outage on Sunday evening"},
    )
    story.transcript.say(f"the effect: {effect.replace(NBSP, ' ')}")
    story.transcript.check("back on the account's page", f"/account/{account}/change/" in str(after.url))
    now = await _balance(customer)
    story.transcript.check("the customer has 50.00 RUB more", now - before == 5000, (before, now))
    await story.bus.expect("credit_note.issued", lambda d: d["user_id"] == customer.user_id)


async def _discount(story: Story, customer: Customer, staff: Staff, account: str) -> None:
    values = {
        "kind": "percentage",
        "value": PERCENT,
        "duration_kind": "forever",
        "reason": "A loyal customer, after the outage",
    }
    effect, after = await staff.act(f"{BILLING}/account/{account}/assign-discount/", values)
    story.transcript.say(f"the effect: {effect.replace(NBSP, ' ')}")
    story.transcript.check("the account lists the discount", values["reason"] in unescape(after.text))
    quote = await _quote(story, customer)
    list_price = quote["subtotal"]["amount"]
    story.transcript.check(
        "a new quote carries the 10 %", quote["discount"]["amount"] == list_price // 10, quote["discount"]
    )


async def _quote(story: Story, customer: Customer) -> dict[str, Any]:
    """Of a film the customer does not have."""
    body = {"product_id": story.film["id"]}
    return await customer.call("POST", "/user-api/v1/quotes", body, note="a quote after the discount")
