"""Tells in Russian and English how an amount came about: one sentence per stored step, for API and admin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

from billing_api.billing_service.wording import LANGUAGES, Language, money_text, number_text, rate_text
from shared.money import EXPONENTS

Step = Mapping[str, Any]
_SOURCES: Final = {
    "promotion": ("акция", "promotion"),
    "personal": ("персональная скидка", "personal discount"),
    "promo_code": ("промокод", "promo code"),
}


def explanation(steps: Sequence[Step], currency: str) -> dict[str, list[str]]:
    """``{"ru": [...], "en": [...]}``; steps of a kind without words are left out of both."""
    return {
        language: [text for step in steps if (text := sentence(step, currency, language))]
        for language in LANGUAGES
    }


def verdict(agrees: bool, stored_minor: int, currency: str, language: Language) -> str:
    """What the verifier says of a stored figure (minor units)."""
    stored = money_text(stored_minor, currency, language)
    if agrees:
        return _pick(
            language,
            f"Сходится: {stored} получается заново из сохранённых данных.",
            f"Agrees: {stored} is worked out again from the stored inputs.",
        )
    return _pick(
        language,
        f"Не сходится: {stored} из сохранённых данных не получается.",
        f"Does not agree: {stored} does not follow from the stored inputs.",
    )


def sentence(step: Step, currency: str, language: Language) -> str | None:
    """One step in words, amounts in the currency; None for a kind that has no words."""
    told = _SENTENCES.get(str(step.get("kind")))
    return told(step, currency, language) if told else None


def _pick(language: Language, russian: str, english: str) -> str:
    return russian if language == "ru" else english


def _money(step: Step, name: str, currency: str, language: Language) -> str:
    return money_text(int(step[name]), currency, language)


def _list_price(step: Step, currency: str, language: Language) -> str:
    price, quantity = _money(step, "unit_minor", currency, language), int(step["quantity"])
    times = f" × {quantity}" if quantity != 1 else ""
    return _pick(language, f"Цена по прайсу: {price}{times}", f"List price: {price}{times}")


def _unused_days(step: Step, currency: str, language: Language) -> str:
    paid = _money(step, "unit_minor", currency, language)
    return _pick(
        language,
        f"Возврат за неиспользованные дни из оплаченных {paid}",
        f"Credit for unused days out of {paid} paid",
    )


def _proration(step: Step, currency: str, language: Language) -> str:
    days, whole = step["days"], step["period_days"]
    after = _money(step, "after_minor", currency, language)
    return _pick(language, f"За {days} из {whole} дн.: {after}", f"For {days} of {whole} days: {after}")


def _discount(step: Step, currency: str, language: Language) -> str:
    ru, en = _SOURCES.get(str(step.get("source")), ("скидка", "discount"))
    label = f" {step['label']}" if step.get("label") else ""
    taken = money_text(int(step["before_minor"]) - int(step["after_minor"]), currency, language)
    terms = _terms(step, currency, language)
    return _pick(
        language, f"Скидка ({ru}{label}), {terms}: −{taken}", f"Discount ({en}{label}), {terms}: −{taken}"
    )


def _terms(step: Step, currency: str, language: Language) -> str:
    match step.get("discount_kind"):
        case "percentage":
            return rate_text(int(step["rate_bp"]), language)
        case "fixed_amount":
            return money_text(int(step["amount_minor"]), currency, language)
        case "fixed_price":
            price = money_text(int(step["price_minor"]), currency, language)
            return _pick(language, f"цена {price}", f"price {price}")
        case "free_days":
            days = int(step.get("days_taken", step["days"]))
            return _pick(language, f"бесплатных дней: {days}", f"free days: {days}")
        case "free_periods":
            return _pick(language, "бесплатный период", "free period")
        case kind:
            return str(kind)


def _rounding(step: Step, currency: str, language: Language) -> str:
    """It is the discount that is rounded half up: of half a kopeck the customer has the better."""
    exact = _exact_money(Fraction(str(step["exact_minor"])), currency, language)
    after = _money(step, "after_minor", currency, language)
    return _pick(
        language,
        f"Скидка округлена (половина вверх): без округления {exact}, с округлением {after}",
        f"The discount is rounded half up: {exact} unrounded, {after} rounded",
    )


def _exact_money(exact_minor: Fraction, currency: str, language: Language) -> str:
    """The amount with up to four further digits, ``≈`` before it where they are not enough."""
    shown = round(exact_minor * 10**4)
    minor, part = divmod(shown, 10**4)
    number = number_text(minor, currency, language)
    point = _pick(language, ",", ".") if part and not EXPONENTS.get(currency, 2) else ""
    longer = number + point + f"{part:04d}".rstrip("0")
    about = "" if shown == exact_minor * 10**4 else "≈ "
    return about + money_text(minor, currency, language).replace(number, longer)


def _minimum(step: Step, currency: str, language: Language) -> str:
    floor = _money(step, "floor_minor", currency, language)
    return _pick(language, f"Скидки не снижают цену ниже {floor}", f"Discounts do not go below {floor}")


def _vat(step: Step, currency: str, language: Language) -> str:
    rate = rate_text(int(step["rate_bp"]), language)
    vat, after = (
        _money(step, "vat_minor", currency, language),
        _money(step, "after_minor", currency, language),
    )
    return _pick(
        language,
        f"Итого {after}, в том числе НДС {rate}: {vat}",
        f"Total {after}, including VAT {rate}: {vat}",
    )


def _total(step: Step, currency: str, language: Language) -> str:
    after = _money(step, "after_minor", currency, language)
    return _pick(language, f"Сумма строк: {after}", f"Sum of the lines: {after}")


def _account_balance(step: Step, currency: str, language: Language) -> str:
    taken = money_text(int(step["before_minor"]) - int(step["after_minor"]), currency, language)
    available = _money(step, "available_minor", currency, language)
    return _pick(
        language,
        f"Зачтено с лицевого счёта: {taken} (доступно {available})",
        f"Taken from the account balance: {taken} (available {available})",
    )


def _debt(step: Step, currency: str, language: Language) -> str:
    debt = _money(step, "debt_minor", currency, language)
    return _pick(language, f"Долг лицевого счёта: {debt}", f"Debt of the personal account: {debt}")


def _amount_due(step: Step, currency: str, language: Language) -> str:
    due = _money(step, "after_minor", currency, language)
    return _pick(language, f"К оплате: {due}", f"Amount due: {due}")


_SENTENCES: Final[dict[str, Callable[[Step, str, Language], str]]] = {
    "list_price": _list_price,
    "unused_days": _unused_days,
    "proration": _proration,
    "discount": _discount,
    "rounding": _rounding,
    "minimum": _minimum,
    "vat": _vat,
    "total": _total,
    "account_balance": _account_balance,
    "debt": _debt,
    "amount_due": _amount_due,
}
