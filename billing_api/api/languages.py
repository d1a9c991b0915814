"""In which language a document is asked for."""

from __future__ import annotations

from django.utils.translation.trans_real import parse_accept_lang_header
from rest_framework.request import Request

from billing_api.billing_service.models import Account
from billing_api.billing_service.wording import LANGUAGES, Language, language_of


def language(request: Request, asked: Language | None, account: Account | None) -> Language:
    """``locale`` of the query, else the best of Accept-Language, else the account's, else Russian."""
    if asked is not None:
        return asked
    for tag, quality in parse_accept_lang_header(request.headers.get("Accept-Language", "")):
        for known in LANGUAGES:
            if quality > 0 and (tag == known or tag.startswith(f"{known}-")):
                return known
    return language_of(account.locale) if account else "ru"
