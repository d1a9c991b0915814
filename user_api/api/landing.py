"""The page at ``/`` of the suite: what runs here and where its doors are, in Russian and English."""

from __future__ import annotations

from html import escape
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Header
from fastapi.responses import HTMLResponse

from user_api.api.deps import AppSettings

router = APIRouter(include_in_schema=False)
Language = Literal["ru", "en"]

_TEXTS: Final[dict[Language, dict[str, str]]] = {
    "ru": {
        "title": "Онлайн-кинотеатр · биллинг",
        "heading": "Подписки, платежи и доступ к фильмам",
        "lead": "Здесь работает биллинг онлайн-кинотеатра. Выберите, куда войти.",
        "user": "Аккаунты, подписки, покупки, права доступа",
        "pay": "Платежи, возвраты, страница оплаты",
        "billing": "Лицевой счёт, счета на оплату, выписка",
        "admin_name": "Админ-панель",
        "admin": "Каталог, клиенты, начисления, скидки",
        "other": "English",
        "docs": "Описание API",
        "open": "Войти",
    },
    "en": {
        "title": "Online cinema · billing",
        "heading": "Subscriptions, payments and access to films",
        "lead": "The billing of an online cinema runs here. Choose a door.",
        "user": "Accounts, subscriptions, purchases, access rights",
        "pay": "Payments, refunds, checkout page",
        "billing": "Personal account, invoices, statement",
        "admin_name": "Admin panel",
        "admin": "Catalogue, customers, charges, discounts",
        "other": "Русский",
        "docs": "API reference",
        "open": "Open",
    },
}
STYLE: Final = """
:root{color-scheme:light dark;--ink:#17171c;--soft:#5c5c68;--paper:#f6f5f2;
--card:#fff;--line:#e4e2dc;--mark:#c2410c}
@media(prefers-color-scheme:dark){:root{--ink:#f1f0ec;--soft:#a7a6b0;--paper:#131318;--card:#1c1c23;--line:#2c2c36;
--mark:#fb923c}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:56rem;margin:0 auto;padding:clamp(2rem,8vw,6rem) 1.5rem}
nav{display:flex;justify-content:space-between;align-items:center;margin-bottom:3rem}
nav b{letter-spacing:.04em}nav b i{color:var(--mark);font-style:normal}
a{color:inherit}nav a{color:var(--soft)}
h1{font-size:clamp(1.8rem,5vw,3rem);line-height:1.12;margin:0 0 1rem;max-width:18ch;letter-spacing:-.02em;
text-wrap:balance}
p{color:var(--soft);margin:0}
ul{list-style:none;padding:0;margin:3rem 0 0;display:grid;gap:1rem;
grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr))}
li a{display:flex;flex-direction:column;gap:.35rem;height:100%;padding:1.4rem 1.5rem;background:var(--card);
border:1px solid var(--line);border-radius:14px;text-decoration:none;transition:border-color .15s}
li a:hover,li a:focus-visible{border-color:var(--mark);outline:none}
li b{font-size:1.1rem}li small{margin-top:auto;padding-top:.8rem;color:var(--mark);font-size:.9rem}
"""


def _door(url: str, name: str, words: str, action: str) -> str:
    return (
        f'<li><a href="{escape(url, quote=True)}"><b>{escape(name)}</b>'
        f"<p>{escape(words)}</p><small>{escape(action)} →</small></a></li>"
    )


def render_landing(language: Language, public_url: str) -> str:
    """The page in one language; ``public_url`` is the gateway's origin."""
    words = _TEXTS[language]
    other = "en" if language == "ru" else "ru"
    base = public_url.rstrip("/")
    doors = "".join(
        (
            _door(f"{base}/user-api/docs", "UserAPI", words["user"], words["docs"]),
            _door(f"{base}/pay-api/docs", "PayAPI", words["pay"], words["docs"]),
            _door(f"{base}/billing-api/docs", "BillingAPI", words["billing"], words["docs"]),
            _door(f"{base}/admin/", words["admin_name"], words["admin"], words["open"]),
        )
    )
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(words['title'])}</title><style>{STYLE}</style></head><body><main>"
        "<nav><b>cinema<i>.</i>billing</b>"
        f'<a href="?lang={other}" hreflang="{other}">{words["other"]}</a></nav>'
        f"<h1>{escape(words['heading'])}</h1><p>{escape(words['lead'])}</p><ul>{doors}</ul></main></body></html>"
    )


@router.get("/", response_class=HTMLResponse)
async def get_landing(
    settings: AppSettings,
    lang: str | None = None,
    accept_language: Annotated[str, Header()] = "",
) -> HTMLResponse:
    """Russian unless asked for otherwise by ``lang`` or by a browser that prefers another language."""
    asked = lang or ("ru" if not accept_language else accept_language[:2].lower())
    language: Language = "ru" if asked == "ru" else "en"
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
    return HTMLResponse(
        render_landing(language, settings.public_url),
        headers={"Content-Security-Policy": policy, "Vary": "Accept-Language"},
    )
