"""The API reference: our own assets under a strict policy, directly and behind the gateway's prefix."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import sync_playwright

from shared import asgi, docs_pages, tracing
from shared.health import Health
from tests import servers
from tests.shared.operators.running import answers, until


def _service() -> FastAPI:
    app = FastAPI(
        title="UserAPI <1>",
        docs_url=None,
        redoc_url=None,
        servers=asgi.SERVERS,
        telemetry=tracing.fastapi_telemetry(),
    )

    @app.get("/v1/products", tags=["products"])
    async def products() -> dict[str, list[str]]:
        return {"items": ["kept"]}

    asgi.add_docs(app)
    asgi.install(app, Health())
    return app


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """The service at ``/`` and, as behind the gateway, under ``/user-api``."""
    outer = _service()
    outer.mount("/user-api", _service())
    port = servers.free_port()
    server = uvicorn.Server(uvicorn.Config(outer, port=port, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    until(answers(f"http://127.0.0.1:{port}/healthz"), "the service answers")
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(timeout=10)


def test_page_and_assets_are_ours_and_strict(origin: str) -> None:
    with httpx.Client(base_url=origin, trust_env=False) as http:
        page = http.get("/docs")
        policy = page.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "<title>UserAPI &lt;1&gt;</title>" in page.text
        assert not re.search(r"<script(?![^>]*src)|style=|<style|//", page.text)
        assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert {asset.removeprefix("docs/assets/") for asset in assets} == docs_pages.ASSETS
        for asset in assets:
            plain = http.get(f"/{asset}", headers={"Accept-Encoding": "identity"})
            packed = http.get(f"/{asset}", headers={"Accept-Encoding": "gzip"})
            assert (plain.status_code, packed.headers["content-encoding"]) == (200, "gzip")
            assert plain.content == packed.content
        for name in ("README.md", "..%2Fasgi.py", "nothing.js"):
            assert http.get(f"/docs/assets/{name}").status_code == 404


def test_answers_carry_safe_headers(origin: str) -> None:
    headers = httpx.get(f"{origin}/v1/products", trust_env=False).headers
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert "max-age=31536000" in headers["strict-transport-security"]
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.long
@pytest.mark.parametrize("prefix", ["", "/user-api"])
def test_a_browser_without_the_internet_shows_it_and_tries_a_call(origin: str, prefix: str) -> None:
    complaints: list[str] = []
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"),
            args=["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
        )
        page = browser.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{origin}{prefix}/docs")
        page.click(".opblock-tag-section .opblock-summary")
        page.click("text=Try it out")
        page.click("text=Execute")
        page.wait_for_selector(".live-responses-table", timeout=10_000)
        assert "kept" in page.inner_text(".live-responses-table")
        browser.close()
    assert complaints == []
    assert f"{origin}{prefix}/v1/products" in asked
    assert all(url.startswith((origin, "data:")) for url in asked)
