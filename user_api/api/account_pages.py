"""The pages the links of messages lead to, in Russian and English; they work without scripts."""

from __future__ import annotations

from html import escape
from typing import Annotated, Final
from urllib.parse import parse_qs

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from shared.errors import AppError
from user_api.api.deps import AppResources
from user_api.api.landing import STYLE
from user_api.api.language import Language, RequestLanguage
from user_api.user_service.confirm_email import confirm_email
from user_api.user_service.passwords import MAX_LENGTH, MIN_LENGTH
from user_api.user_service.reset_password import reset_password

router = APIRouter(prefix="/account", include_in_schema=False)
Key = Annotated[str, Query(max_length=128)]

_TEXTS: Final[dict[Language, dict[str, str]]] = {
    "ru": {
        "reset": "Новый пароль",
        "reset_lead": f"Придумайте пароль: {MIN_LENGTH}–{MAX_LENGTH} символов. Открытые сеансы закончатся.",
        "password": "Пароль",
        "reset_do": "Сменить пароль",
        "reset_done": "Пароль изменён. Войдите с новым паролем.",
        "confirm": "Подтверждение почты",
        "confirm_lead": "Нажмите, чтобы подтвердить, что это ваш адрес.",
        "confirm_do": "Подтвердить",
        "confirm_done": "Адрес подтверждён.",
        "link-invalid": "Эта ссылка больше не действует. Запросите новую.",
        "password-too-weak": f"Этот пароль слишком простой: нужно от {MIN_LENGTH} до {MAX_LENGTH} символов,"
        " и не из тех, что угадывают первыми.",
        "busy": "Не получилось. Попробуйте через минуту.",
    },
    "en": {
        "reset": "A new password",
        "reset_lead": f"Choose a password: {MIN_LENGTH} to {MAX_LENGTH} characters. Open sessions will end.",
        "password": "Password",
        "reset_do": "Change the password",
        "reset_done": "The password is changed. Sign in with the new one.",
        "confirm": "Confirm your e-mail",
        "confirm_lead": "Press to confirm that this address is yours.",
        "confirm_do": "Confirm",
        "confirm_done": "The address is confirmed.",
        "link-invalid": "This link does not work any more. Ask for a new one.",
        "password-too-weak": f"This password is too easy to guess: {MIN_LENGTH} to {MAX_LENGTH} characters,"
        " and none of those tried first.",
        "busy": "That did not work. Try again in a minute.",
    },
}
_FORM_STYLE: Final = """
form{margin-top:2rem;display:grid;gap:1rem;max-width:24rem}
label{display:grid;gap:.35rem;color:var(--soft)}
input{font:inherit;padding:.7rem .9rem;border:1px solid var(--line);border-radius:10px;background:var(--card);
color:var(--ink)}
button{font:inherit;padding:.8rem 1rem;border:0;border-radius:10px;background:var(--mark);color:#fff;
cursor:pointer}
"""


def _page(language: Language, heading: str, lead: str, form: str = "", status: int = 200) -> HTMLResponse:
    policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none';"
    body = (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="robots" content="noindex">'
        f"<title>{escape(heading)}</title><style>{STYLE}{_FORM_STYLE}</style></head><body><main>"
        f'<h1>{escape(heading)}</h1><p role="status">{escape(lead)}</p>{form}</main></body></html>'
    )
    headers = {
        "Content-Security-Policy": f"{policy} frame-ancestors 'none'",
        "Vary": "Accept-Language",
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
    }
    return HTMLResponse(body, status, headers=headers)


def _hidden(key: str) -> str:
    return f'<input type="hidden" name="key" value="{escape(key, quote=True)}">'


def _reset_form(language: Language, key: str) -> str:
    words = _TEXTS[language]
    return (
        f'<form method="post">{_hidden(key)}<label>{words["password"]}'
        f'<input type="password" name="new_password" minlength="{MIN_LENGTH}" maxlength="{MAX_LENGTH}"'
        f' autocomplete="new-password" required></label><button>{words["reset_do"]}</button></form>'
    )


async def _fields(request: Request) -> dict[str, str]:
    """The urlencoded form; what is no text becomes nothing, and then no key."""
    try:
        parsed = parse_qs((await request.body()).decode(), keep_blank_values=True, max_num_fields=8)
    except ValueError:
        return {}
    return {name: values[0] for name, values in parsed.items()}


def _refusal(language: Language, error: AppError) -> tuple[str, int]:
    words = _TEXTS[language]
    known = error.code in words
    return words[error.code if known else "busy"], 422 if known and error.code != "busy" else 503


@router.get("/reset-password", response_class=HTMLResponse)
async def get_reset_page(language: RequestLanguage, key: Key = "") -> HTMLResponse:
    """The form; looking at it uses nothing up (mail programs open links by themselves)."""
    words = _TEXTS[language]
    return _page(language, words["reset"], words["reset_lead"], _reset_form(language, key))


@router.post("/reset-password", response_class=HTMLResponse)
async def post_reset_page(
    request: Request, resources: AppResources, language: RequestLanguage
) -> HTMLResponse:
    words, fields = _TEXTS[language], await _fields(request)
    key = fields.get("key", "")
    try:
        await reset_password(
            resources.sessions,
            resources.session_store,
            resources.passwords,
            key,
            fields.get("new_password", ""),
            resources.clock.now(),
        )
    except AppError as error:
        text, status = _refusal(language, error)
        form = _reset_form(language, key) if error.code == "password-too-weak" else ""
        return _page(language, words["reset"], text, form, status)
    return _page(language, words["reset"], words["reset_done"])


@router.get("/confirm-email", response_class=HTMLResponse)
async def get_confirmation_page(language: RequestLanguage, key: Key = "") -> HTMLResponse:
    """A button: opening the link alone confirms nothing."""
    words = _TEXTS[language]
    form = f'<form method="post">{_hidden(key)}<button>{words["confirm_do"]}</button></form>'
    return _page(language, words["confirm"], words["confirm_lead"], form)


@router.post("/confirm-email", response_class=HTMLResponse)
async def post_confirmation_page(
    request: Request, resources: AppResources, language: RequestLanguage
) -> HTMLResponse:
    words, fields = _TEXTS[language], await _fields(request)
    try:
        await confirm_email(resources.sessions, fields.get("key", ""), resources.clock.now())
    except AppError as error:
        text, status = _refusal(language, error)
        return _page(language, words["confirm"], text, status=status)
    return _page(language, words["confirm"], words["confirm_done"])
