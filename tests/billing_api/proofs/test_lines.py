"""Every line says how it came about, in both languages, and is worked out again from what it says."""

from __future__ import annotations

import io

import pytest

from billing_api.billing_service.explanation_texts import explanation
from tests.billing_api.commands.test_proof import a_life

STEP = {"before_minor": 49900, "after_minor": 44910}
SENTENCES = [
    (
        {"kind": "list_price", "unit_minor": 49900, "quantity": 2},
        "Цена по прайсу: 499,00 ₽ × 2",
        "List price: RUB 499.00 × 2",
    ),
    (
        {"kind": "unused_days", "unit_minor": 49900, "quantity": 1},
        "Возврат за неиспользованные дни из оплаченных 499,00 ₽",
        "Credit for unused days out of RUB 499.00 paid",
    ),
    (
        {"kind": "proration", "days": 10, "period_days": 31, "after_minor": 16097},
        "За 10 из 31 дн.: 160,97 ₽",
        "For 10 of 31 days: RUB 160.97",
    ),
    (
        {"kind": "discount", "source": "promo_code", "label": "SPRING", "discount_kind": "percentage"}
        | {"rate_bp": 1000, **STEP},
        "Скидка (промокод SPRING), 10 %: −49,90 ₽",
        "Discount (promo code SPRING), 10%: −RUB 49.90",
    ),
    (
        {
            "kind": "discount",
            "source": "promotion",
            "discount_kind": "fixed_amount",
            "amount_minor": 5000,
            **STEP,
        },
        "Скидка (акция), 50,00 ₽: −49,90 ₽",
        "Discount (promotion), RUB 50.00: −RUB 49.90",
    ),
    (
        {
            "kind": "discount",
            "source": "personal",
            "discount_kind": "fixed_price",
            "price_minor": 44910,
            **STEP,
        },
        "Скидка (персональная скидка), цена 449,10 ₽: −49,90 ₽",
        "Discount (personal discount), price RUB 449.10: −RUB 49.90",
    ),
    (
        {
            "kind": "discount",
            "source": "personal",
            "discount_kind": "free_days",
            "days": 7,
            "days_taken": 3,
            **STEP,
        },
        "Скидка (персональная скидка), бесплатных дней: 3: −49,90 ₽",
        "Discount (personal discount), free days: 3: −RUB 49.90",
    ),
    (
        {"kind": "discount", "source": "personal", "discount_kind": "free_periods", "periods": 1, **STEP},
        "Скидка (персональная скидка), бесплатный период: −49,90 ₽",
        "Discount (personal discount), free period: −RUB 49.90",
    ),
    (
        {"kind": "rounding", "exact_minor": "71/2", "after_minor": 35},  # 29 % of 0.50 are 0.15
        "Скидка округлена (половина вверх): без округления 0,355 ₽, с округлением 0,35 ₽",
        "The discount is rounded half up: RUB 0.355 unrounded, RUB 0.35 rounded",
    ),
    (
        {"kind": "rounding", "exact_minor": "500000/31", "after_minor": 16129},
        "Скидка округлена (половина вверх): без округления ≈ 161,290323 ₽, с округлением 161,29 ₽",
        "The discount is rounded half up: ≈ RUB 161.290323 unrounded, RUB 161.29 rounded",
    ),
    (
        {"kind": "vat", "rate_bp": 2200, "vat_minor": 8099, "after_minor": 44910},
        "Итого 449,10 ₽, в том числе НДС 22 %: 80,99 ₽",
        "Total RUB 449.10, including VAT 22%: RUB 80.99",
    ),
    ({"kind": "total", "after_minor": 1}, "Сумма строк: 0,01 ₽", "Sum of the lines: RUB 0.01"),
    (
        {"kind": "account_balance", "available_minor": 100000, **STEP},
        "Зачтено с лицевого счёта: 49,90 ₽ (доступно 1 000,00 ₽)",
        "Taken from the account balance: RUB 49.90 (available RUB 1,000.00)",
    ),
    (
        {"kind": "debt", "debt_minor": 49900},
        "Долг лицевого счёта: 499,00 ₽",
        "Debt of the personal account: RUB 499.00",
    ),
    ({"kind": "amount_due", "after_minor": 44910}, "К оплате: 449,10 ₽", "Amount due: RUB 449.10"),
]


@pytest.mark.parametrize(("step", "russian", "english"), SENTENCES)
def test_each_kind_of_step_in_words(step: dict, russian: str, english: str) -> None:
    told = explanation([step], "RUB")
    assert {key: [text.replace("\u00a0", " ") for text in texts] for key, texts in told.items()} == {
        "ru": [russian],
        "en": [english],
    }


def test_every_step_of_a_life_has_words(world) -> None:
    from billing_api.billing_service.models import Invoice

    a_life(world)
    for invoice in Invoice.objects.all():
        for steps in (invoice.steps, *(line.steps for line in invoice.lines.all())):
            told = explanation(steps, invoice.currency)
            assert len(told["ru"]) == len(told["en"]) == len(steps) > 0


def verify(command: str) -> tuple[str, str]:
    from django.core.management import CommandError, call_command

    said, complained = io.StringIO(), io.StringIO()
    try:
        call_command(command, stdout=said, stderr=complained)
    except CommandError as error:
        return said.getvalue(), complained.getvalue() + str(error)
    return said.getvalue(), complained.getvalue()


TAMPERED = {
    "price": ("line", "UPDATE invoice_line SET steps = jsonb_set(steps, '{0,unit_minor}', '49901')"),
    "quantity": ("line", "UPDATE invoice_line SET steps = jsonb_set(steps, '{0,quantity}', '2')"),
    "net": ("line", "UPDATE invoice_line SET net_minor = net_minor - 1, discount_minor = discount_minor + 1"),
    "vat": ("line", "UPDATE invoice_line SET vat_minor = vat_minor + 1"),
    "rate": ("line", "UPDATE invoice_line SET vat_rate_bp = 2000"),
    "no steps": ("line", "UPDATE invoice_line SET steps = '[]'"),
    "balance": ("amount due", "UPDATE invoice SET balance_applied_minor = balance_applied_minor + 1"),
    "due": ("amount due", "UPDATE invoice SET steps = jsonb_set(steps, '{2,after_minor}', '1')"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_tampered_line_is_named(world, superuser, name: str) -> None:
    a_life(world)
    assert verify("verify_lines") == ("2 lines of 2 invoices: every figure follows.\n", "")
    place, sql = TAMPERED[name]
    superuser.execute(sql)
    said, complained = verify("verify_lines")
    assert said == ""
    assert f"2026-000001 {place}" in complained


def test_the_invariants_as_a_command_and_as_metrics(world, superuser) -> None:
    from shared.metrics import exposition

    a_life(world)
    said, complained = verify("verify_invariants")
    assert "ok     ledger_balanced" in said
    assert complained == ""
    assert b'billing_invariant_offending_rows{name="amount_due_adds_up"} 0.0' in exposition()[0]
    superuser.execute("UPDATE invoice SET amount_due_minor = 1")
    said, complained = verify("verify_invariants")
    assert "BROKEN amount_due_adds_up" in said
    assert "         2026-000001" in said
    assert "are broken" in complained
    assert b'billing_invariant_offending_rows{name="amount_due_adds_up"} 2.0' in exposition()[0]
