"""The heads of documents: who sells, who buys; a customer's name only while it has not been erased."""

from __future__ import annotations

from typing import Any

from billing_api.billing_service.documents.seller import Seller
from billing_api.billing_service.documents.words import ERASED, word
from billing_api.billing_service.models import Account, Customer
from billing_api.billing_service.wording import Language


def seller_block(seller: Seller, language: Language) -> dict[str, Any]:
    return {
        "label": word("seller", language),
        "name": seller.name(language),
        "lines": seller.lines(language),
    }


def customer_block(account: Account, language: Language) -> dict[str, Any]:
    """From the erasable row; documents themselves keep no name and no e-mail."""
    known = Customer.objects.filter(account=account).first()
    lines = [f"{word('account', language)} {account.user_id}"]
    if known is None:
        return {"label": word("customer", language), "name": ERASED, "lines": lines}
    name = known.document_name or known.email
    return {
        "label": word("customer", language),
        "name": name,
        "lines": [known.email, *lines] if known.email != name else lines,
    }


def signatures(seller: Seller, language: Language) -> list[dict[str, str]]:
    """Where the seller's people sign; nobody who is not named in the settings."""
    return [{"role": word(role, language), "name": name} for role, name in seller.people(language)]
