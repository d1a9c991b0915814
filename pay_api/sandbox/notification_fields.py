"""What each type of notification says about a transaction, in the provider's order (protocol 2.3)."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from pay_api.sandbox.reasons import reason_name
from pay_api.sandbox.transaction import Status, Transaction, TransactionType
from shared.money import minor_to_decimal_text


class NotificationType(StrEnum):
    """The value is the last part of the address."""

    CHECK = "check"
    PAY = "pay"
    FAIL = "fail"
    CONFIRM = "confirm"
    REFUND = "refund"
    CANCEL = "cancel"
    RECURRENT = "recurrent"
    RECEIPT = "receipt"


_DATE: Final = "%Y-%m-%d %H:%M:%S"


def notification_fields(kind: NotificationType, transaction: Transaction) -> dict[str, str]:
    """Fields by name; a refund is told about by its own transaction, all others by the payment's."""
    if kind in (NotificationType.REFUND, NotificationType.CANCEL):
        return _money_back_fields(kind, transaction)
    return {
        **_head(transaction),
        **_card(transaction),
        **_outcome(kind, transaction),
        **_tail(transaction),
    }


def _head(transaction: Transaction) -> dict[str, str]:
    amount = minor_to_decimal_text(transaction.amount_minor, transaction.currency)
    moment = transaction.auth_at or transaction.created_at
    return {
        "TransactionId": str(transaction.id),
        "Amount": amount,
        "Currency": transaction.currency,
        "PaymentAmount": amount,
        "PaymentCurrency": transaction.currency,
        "OperationType": "CardPayout" if transaction.type == TransactionType.PAYOUT else "Payment",
        "InvoiceId": transaction.invoice_id or "",
        "AccountId": transaction.account_id or "",
        "SubscriptionId": transaction.subscription_id or "",
        "Name": transaction.name or "",
        "Email": transaction.email or "",
        "DateTime": moment.strftime(_DATE),
        "IpAddress": transaction.ip_address or "",
        "IpCountry": "",
        "IpCity": "",
        "IpRegion": "",
        "IpDistrict": "",
        "IpLatitude": "",
        "IpLongitude": "",
    }


def _card(transaction: Transaction) -> dict[str, str]:
    return {
        "CardId": "",
        "CardFirstSix": transaction.card_first_six or "",
        "CardLastFour": transaction.card_last_four or "",
        "CardType": transaction.card_type or "",
        "CardExpDate": transaction.card_exp_date or "",
        "Issuer": "Sandbox Bank",
        "IssuerBankCountry": "RU",
        "Description": transaction.description or "",
    }


def _outcome(kind: NotificationType, transaction: Transaction) -> dict[str, str]:
    token = transaction.token or ""
    if kind is NotificationType.FAIL:
        code = transaction.reason_code or 0
        return {
            "TestMode": "1",
            "Reason": reason_name(code),
            "ReasonCode": str(code),
            "Token": token,
            "RetryAfter": "",
            "ProviderMessage": "",
        }
    status = transaction.status
    if kind is NotificationType.CHECK:  # what it will become
        status = Status.COMPLETED if transaction.one_stage else Status.AUTHORIZED
        return {"TestMode": "1", "Status": status.wire_name}
    return {
        "AuthCode": "A1B2C3",
        "Token": token,
        "TestMode": "1",
        "Status": status.wire_name,
        "GatewayName": "Test",
    }


def _tail(transaction: Transaction) -> dict[str, str]:
    data = {"Data": transaction.json_data} if transaction.json_data else {}
    return {
        **data,
        "TotalFee": "0.00",
        "CardProduct": "",
        "PaymentMethod": transaction.payment_method or "",
        "Rrn": transaction.rrn or "",
        "InstallmentTerm": "",
        "InstallmentMonthlyPayment": "",
        "CustomFields": "",
    }


def _money_back_fields(kind: NotificationType, transaction: Transaction) -> dict[str, str]:
    fields = {"TransactionId": str(transaction.id)}
    if kind is NotificationType.REFUND:
        fields["PaymentTransactionId"] = str(transaction.original_id)
    fields["Amount"] = minor_to_decimal_text(transaction.amount_minor, transaction.currency)
    # The transaction keeps no moment of its voiding: the sender fills it in.
    fields["DateTime"] = transaction.created_at.strftime(_DATE)
    if kind is NotificationType.REFUND:
        fields["OperationType"] = "Refund"
    fields |= {
        "InvoiceId": transaction.invoice_id or "",
        "AccountId": transaction.account_id or "",
        "Email": transaction.email or "",
        "Rrn": transaction.rrn or "",
    }
    if transaction.json_data:
        fields["Data"] = transaction.json_data
    return fields


def with_moment(fields: dict[str, str], moment_text: str) -> dict[str, str]:
    """The same fields with another DateTime."""
    return {**fields, "DateTime": moment_text}
