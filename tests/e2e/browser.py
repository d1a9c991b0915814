"""A person's browser without scripts: follows a page's form to where it leads."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx

from tests.e2e.transcript import StoryBroken, Transcript


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[dict[str, object]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(
                {
                    "action": given.get("action", ""),
                    "method": given.get("method", "get"),
                    "fields": {},
                    "buttons": [],
                }
            )
        elif tag in ("input", "button") and self.forms and given.get("name"):
            form = self.forms[-1]
            if given.get("type") == "submit" or tag == "button":
                form["buttons"].append((given["name"], given.get("value", "")))  # type: ignore[attr-defined]
            else:
                form["fields"][given["name"]] = given.get("value", "")  # type: ignore[index]


class Browser:
    """One person's browser; redirects are followed and shown."""

    def __init__(self, who: str, transcript: Transcript) -> None:
        self._who = who
        self._transcript = transcript
        self._http = httpx.AsyncClient(timeout=20, follow_redirects=True, trust_env=False)

    async def open(self, url: str) -> httpx.Response:
        return self._shown("GET", await self._http.get(url))

    async def submit(self, page: httpx.Response, button: str | None = None) -> httpx.Response:
        """Sends the page's form; ``button`` is part of the value of the button to press."""
        parser = _Forms()
        parser.feed(page.text)
        if not parser.forms:
            raise StoryBroken(f"no form on {page.url.path}: {page.text[:200]}")
        form = parser.forms[0]
        for candidate in parser.forms:
            if button and any(button in value for _, value in candidate["buttons"]):  # type: ignore[attr-defined]
                form = candidate
        data: dict[str, str] = dict(form["fields"])  # type: ignore[call-overload]
        if button:
            data.update(dict(b for b in form["buttons"] if button in b[1]))  # type: ignore[attr-defined]
        action = urljoin(str(page.url), str(form["action"]))
        return self._shown("POST", await self._http.post(action, data=data))

    def _shown(self, method: str, response: httpx.Response) -> httpx.Response:
        first = response.history[0] if response.history else response
        host = f"{first.url.host}:{first.url.port}" if first.url.port else first.url.host
        self._transcript.call(self._who, method, f"{host}{first.url.path}", response.status_code, "(browser)")
        if response.status_code >= 400:
            raise StoryBroken(f"{response.url} answered {response.status_code}: {response.text[:300]}")
        return response

    async def aclose(self) -> None:
        await self._http.aclose()
