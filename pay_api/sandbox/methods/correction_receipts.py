"""Correction receipts (54-FZ): queue one, ask for its state, read it."""

from __future__ import annotations

from pay_api.sandbox import correction
from pay_api.sandbox import receipt as fiscal
from pay_api.sandbox.correction import CorrectionReceipt
from pay_api.sandbox.envelope import Answer, refused, succeeded
from pay_api.sandbox.methods.receipts import is_printed, queued, unknown_inn
from pay_api.sandbox.registry import answers
from pay_api.sandbox.terminal import Call
from shared.ids import new_id


@answers("kkt/correction-receipt")
async def make_correction(call: Call) -> Answer:
    """Queues a correction; it is printed a second later."""
    terminal = call.terminal
    content = fiscal.lower_names(call.parameters.value("CorrectionReceiptData"))
    if isinstance(content, dict) and not fiscal.is_inn(content.get("organizationinn")):
        return unknown_inn()
    total = correction.check(content)
    made = CorrectionReceipt(
        id=str(new_id()),
        number=len(terminal.receipts.all()) + len(terminal.corrections.all()) + 1,
        content=content,
        total=str(total),
        created_at=terminal.clock.now(),
    )
    terminal.corrections.save(made)
    call.tell_receipt(made)
    return queued(made.id)


@answers("kkt/correction-receipt/status/get")
async def status(call: Call) -> Answer:
    """Queued, Processed or NotFound, as a bare text."""
    found = call.terminal.corrections.get(call.parameters.required_text("Id"))
    if found is None:
        return succeeded("NotFound")
    return succeeded("Processed" if is_printed(call, found) else "Queued")


@answers("kkt/correction-receipt/get")
async def get(call: Call) -> Answer:
    """A printed correction with its fiscal data."""
    found = call.terminal.corrections.get(call.parameters.required_text("Id"))
    if found is None:
        return refused("Receipt not found")
    if not is_printed(call, found):
        return refused("Receipt is not ready")
    return succeeded(found.as_model())
