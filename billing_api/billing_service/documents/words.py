"""Every word that stands in a document, in Russian and in English."""

from __future__ import annotations

from typing import Final

from billing_api.billing_service.wording import Language

ERASED: Final = "удалено / erased"

_WORDS: Final[dict[str, tuple[str, str]]] = {
    "page": ("Страница", "Page"),
    "of": ("из", "of"),
    "seller": ("Продавец", "Seller"),
    "customer": ("Покупатель", "Customer"),
    "account": ("Лицевой счёт", "Personal account"),
    "made": ("Сформировано", "Made on"),
    "invoice": ("Счёт № {}", "Invoice {}"),
    "invoice_of": ("от {}", "of {}"),
    "correction": ("Корректировка к счёту № {}", "Correction to invoice {}"),
    "due": ("оплатить до {}", "payable by {}"),
    "open": ("К ОПЛАТЕ", "PAYABLE"),
    "paid": ("ОПЛАЧЕН", "PAID"),
    "void": ("АННУЛИРОВАН", "VOID"),
    "uncollectible": ("СПИСАН", "WRITTEN OFF"),
    "number": ("№", "No."),
    "item": ("Наименование", "Description"),
    "quantity": ("Кол-во", "Qty"),
    "price": ("Стоимость по прайсу", "List amount"),
    "discount": ("Скидка", "Discount"),
    "rate": ("Ставка НДС", "VAT rate"),
    "vat": ("Сумма НДС", "VAT"),
    "net": ("Всего с НДС", "Total incl. VAT"),
    "period": ("Период: {} – {}", "Period: {} – {}"),
    "part_of_days": ("за {} из {} дн.", "{} of {} days"),
    "list_total": ("Стоимость по прайсу", "List amount"),
    "discount_total": ("Скидка", "Discount"),
    "total": ("Итого с НДС", "Total including VAT"),
    "vat_of": ("в том числе НДС {}", "including VAT {}"),
    "balance_applied": ("Зачтено из остатка на лицевом счёте", "Taken from the account balance"),
    "debt_carried": ("Долг лицевого счёта", "Debt of the personal account"),
    "paid_total": ("Оплачено", "Paid"),
    "credited_total": ("Кредитовано до оплаты", "Credited before payment"),
    "written_off": ("Списано", "Written off"),
    "amount_due": ("К оплате", "Amount due"),
    "to_balance": ("Зачислено на лицевой счёт", "Added to the account balance"),
    "items_counted": ("Всего наименований {}, на сумму {}.", ""),
    "in_words": ("Итого по счёту: {}.", ""),
    "payments": ("Оплаты", "Payments"),
    "date": ("Дата", "Date"),
    "how": ("Способ", "Method"),
    "card": ("Банковская карта {}", "Bank card {}"),
    "bank_transfer": ("Банковский перевод", "Bank transfer"),
    "amount": ("Сумма", "Amount"),
    "credit_notes": ("Кредит-ноты", "Credit notes"),
    "reason": ("Основание", "Reason"),
    "credit_note": ("Кредит-нота № {}", "Credit note {}"),
    "to_invoice": ("к счёту № {} от {}", "to invoice {} of {}"),
    "credited_net": ("Уменьшение с НДС", "Credited incl. VAT"),
    "credited_sum": ("Сумма счёта уменьшена на", "The invoice is lowered by"),
    "credited_in_words": ("Уменьшение: {}.", ""),
    "reason_is": ("Основание: {}", "Reason: {}"),
    "credit_note_note": (
        "Документ сформирован электронно. НДС выделен по ставке счёта, который он изменяет. "
        "Сумма уменьшает долг по счёту; уже оплаченное зачислено на лицевой счёт либо возвращено.",
        "Issued electronically. VAT is stated at the rate of the invoice it corrects. The amount lowers what "
        "the invoice asks for; what had been paid is on the account balance or has been refunded.",
    ),
    "after_credits": ("Итого с учётом кредит-нот", "Total after credit notes"),
    "vat_after_credits": ("в том числе НДС", "including VAT"),
    "director": ("Руководитель", "Director"),
    "accountant": ("Главный бухгалтер", "Chief accountant"),
    "invoice_note": (
        "Счёт сформирован электронно. Цены включают НДС; налог выделен в каждой строке по ставке, "
        "действовавшей в день выставления. Сумма НДС в итоге равна сумме НДС строк.",
        "Issued electronically. Prices include VAT; the tax is stated per line at the rate in force "
        "on the day of issue. The total of VAT is the sum of the lines.",
    ),
    "debt_note": (
        "Счёт сформирован электронно. Он просит вернуть долг и ничего не продаёт: продажа и НДС указаны в "
        "счетах, в оплату которых были зачтены возвращённые деньги.",
        "Issued electronically. It asks for a debt and sells nothing: the sale and its VAT stand on the "
        "invoices that the refunded money had paid.",
    ),
    "statement": ("Выписка по лицевому счёту", "Account statement"),
    "range": ("за период с {} по {}", "from {} to {}"),
    "one_day": ("за {}", "for {}"),
    "document": ("Документ", "Document"),
    "charged": ("Начислено", "Charged"),
    "credited": ("Зачислено", "Credited"),
    "balance": ("Остаток", "Balance"),
    "opening": ("Входящий остаток", "Opening balance"),
    "turnovers": ("Обороты за период", "Turnover of the period"),
    "closing": ("Исходящий остаток", "Closing balance"),
    "carried_forward": ("Переносится на следующую страницу", "Carried forward"),
    "brought_forward": ("Перенос с предыдущей страницы", "Brought forward"),
    "kind": ("Вид документа", "Document kind"),
    "document_number": ("Номер документа", "Document number"),
    "description": ("Описание", "Description"),
    "currency": ("Валюта", "Currency"),
    "opening_row": ("Входящий остаток", "Opening balance"),
    "closing_row": ("Исходящий остаток", "Closing balance"),
    "statement_note": (
        "Остаток больше нуля — деньги покупателя на счёте, меньше нуля — задолженность. "
        "Даты указаны по времени {}. Исходящий остаток равен входящему за вычетом начисленного "
        "и с добавлением зачисленного.",
        "A balance above zero is the customer's money, below zero a debt. Days are those of {}. "
        "The closing balance is the opening one less what was charged plus what was credited.",
    ),
    "kind_invoice": ("Счёт", "Invoice"),
    "kind_payment": ("Оплата", "Payment"),
    "kind_refund": ("Возврат", "Refund"),
    "kind_credit_note": ("Кредит-нота", "Credit note"),
    "kind_adjustment": ("Корректировка", "Adjustment"),
    "kind_reversal": ("Аннулирование", "Voiding"),
    "kind_recognition": ("Признание выручки", "Revenue recognition"),
}

# What services themselves give as the reason of a credit note; anything else was typed by staff.
_REASONS: Final[dict[str, tuple[str, str]]] = {
    "requested-by-customer": ("возврат по обращению покупателя", "refund asked for by the customer"),
    "asked by the user": ("отказ покупателя от неиспользованных дней", "the customer gave up unused days"),
    "change of product given up": (
        "смена продукта не состоялась",
        "the change of product did not take place",
    ),
    "subscription ended": ("подписка завершилась до оплаты", "the subscription had ended before"),
    "made at the provider": ("возврат через платёжную систему", "refund made at the payment provider"),
    "ordered-by-billing": ("возврат оплаты", "refund of the payment"),
    "refund": ("возврат оплаты", "refund of the payment"),
}


def word(name: str, language: Language, *values: str) -> str:
    """The text of a name with its values in place. KeyError for a name that is not here."""
    ru, en = _WORDS[name]
    return (ru if language == "ru" else en).format(*values)


def reason_text(reason: str, language: Language) -> str:
    """The reason of a credit note or refund as people read it."""
    known = _REASONS.get(reason)
    return reason if known is None else known[0 if language == "ru" else 1]
