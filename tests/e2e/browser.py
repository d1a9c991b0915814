"""A person's browser without scripts: follows a page's form to where it leads."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx

from tests.e2e.transcript import StoryBroken, Transcript


@dataclass
class _Form:
    """A form of a page: where it goes, its fields, and its buttons by id."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: dict[str, tuple[str, str]] = field(default_factory=dict)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[_Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(_Form(given.get("action", "")))
        elif tag in ("input", "button") and self.forms and given.get("name"):
            form = self.forms[-1]
            if tag == "button" or given.get("type") == "submit":
                form.buttons[given.get("id", "")] = (given["name"], given.get("value", ""))
            else:
                form.fields[given["name"]] = given.get("value", "")


class Browser:
    """One person's browser; redirects are followed and shown."""

    def __init__(self, who: str, transcript: Transcript) -> None:
        self._who = who
        self._transcript = transcript
        self._http = httpx.AsyncClient(timeout=20, follow_redirects=True, trust_env=False)

    async def open(self, url: str) -> httpx.Response:
        return self._shown("GET", await self._http.get(url))

    async def submit(self, page: httpx.Response, button_id: str | None = None) -> httpx.Response:
        """Sends the page's form: the first, or the one with the button of this id, pressed."""
        parser = _Forms()
        parser.feed(page.text)
        forms = [form for form in parser.forms if button_id is None or button_id in form.buttons]
        if not forms:
            raise StoryBroken(f"no such form on {page.url.path}: {page.text[:200]}")
        form = forms[0]
        data = dict(form.fields)
        if button_id is not None:
            name, value = form.buttons[button_id]
            data[name] = value
        return self._shown("POST", await self._http.post(urljoin(str(page.url), form.action), data=data))

    def _shown(self, method: str, response: httpx.Response) -> httpx.Response:
        first = response.history[0] if response.history else response
        host = f"{first.url.host}:{first.url.port}" if first.url.port else first.url.host
        self._transcript.call(self._who, method, f"{host}{first.url.path}", response.status_code, "(browser)")
        if response.status_code >= 400:
            raise StoryBroken(f"{response.url} answered {response.status_code}: {response.text[:300]}")
        return response

    async def aclose(self) -> None:
        await self._http.aclose()
