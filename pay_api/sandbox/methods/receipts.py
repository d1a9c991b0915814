"""Fiscal receipts (54-FZ): queue one, ask for its state, read it."""

from __future__ import annotations

from pay_api.sandbox import receipt as fiscal
from pay_api.sandbox.correction import CorrectionReceipt
from pay_api.sandbox.envelope import Answer, refused, succeeded
from pay_api.sandbox.parameters import Refused
from pay_api.sandbox.receipt import FiscalReceipt
from pay_api.sandbox.registry import answers
from pay_api.sandbox.terminal import Call
from shared.ids import new_id


@answers("kkt/receipt")
async def make_receipt(call: Call) -> Answer:
    """Queues a receipt; it is printed a second later."""
    read, terminal = call.parameters, call.terminal
    inn, type_ = read.required_text("Inn"), read.required_text("Type")
    if not fiscal.is_inn(inn):
        return unknown_inn()
    if type_ not in fiscal.TYPES:
        raise Refused("Invalid Type value")
    content = fiscal.lower_names(read.value("CustomerReceipt"))
    total = fiscal.check(content)
    made = FiscalReceipt(
        id=str(new_id()),
        number=len(terminal.receipts.all()) + 1,
        inn=inn,
        type=type_,
        content=content,
        total=str(total),
        invoice_id=read.text("InvoiceId"),
        account_id=read.text("AccountId"),
        created_at=terminal.clock.now(),
    )
    terminal.receipts.save(made)
    call.tell_receipt(made)
    return queued(made.id)


def queued(receipt_id: str) -> Answer:
    """The answer to every document that is put into the device's queue."""
    return {
        "Model": {"Id": receipt_id, "ErrorCode": 0},
        "InnerResult": None,
        "Success": True,
        "Message": "Queued",
    }


def unknown_inn() -> Answer:
    return {
        "Model": {"Id": None, "ErrorCode": -1},
        "InnerResult": None,
        "Success": False,
        "Message": "Организация с указанным ИНН не найдена",
    }


@answers("kkt/receipt/status/get")
async def status(call: Call) -> Answer:
    """Queued, Processed, Error or NotFound, as a bare text."""
    found = call.terminal.receipts.get(call.parameters.required_text("Id"))
    if found is None:
        return succeeded("NotFound")
    if not is_printed(call, found):
        return succeeded("Queued")
    return succeeded("Error" if found.error else "Processed")


@answers("kkt/receipt/get")
async def get(call: Call) -> Answer:
    """A printed receipt with its fiscal data."""
    found = call.terminal.receipts.get(call.parameters.required_text("Id"))
    if found is None:
        return refused("Receipt not found")
    if not is_printed(call, found):
        return refused("Receipt is not ready")
    if found.error is not None:
        return refused(found.error)
    return succeeded(found.as_model())


def is_printed(call: Call, document: FiscalReceipt | CorrectionReceipt) -> bool:
    """Whether its time at the device has come."""
    return call.terminal.clock.now() >= document.printed_at
