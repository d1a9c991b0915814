"""Correction receipts: queued once, printed, read; what the device would not print is refused."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.pay_api.sandbox.conftest import OpenSandbox, Sandbox

PATH = "kkt/correction-receipt"
ITEM = {"Label": "Подписка", "Price": 499, "Quantity": 1, "Amount": 499, "Vat": 22}


def correction(**changes: Any) -> dict[str, Any]:
    data = {
        "OrganizationInn": "7700000000",
        "VatRate": 1,
        "TaxationSystem": 0,
        "DeviceNumber": "00000000000000000001",
        "CorrectionReceiptType": 1,
        "CauseCorrection": {"CorrectionDate": "2027-03-01", "CorrectionNumber": "17-B"},
        "Amounts": {"Electronic": 499.00},
        "PaymentPlace": "cinema.example",
    }
    return {name: value for name, value in (data | changes).items() if value is not None}


async def test_it_is_printed_and_counts_once(sandbox: Sandbox) -> None:
    header = {"X-Request-ID": "correction-1"}
    made = await sandbox.call(PATH, header, CorrectionReceiptData=correction())
    assert (made["Success"], made["Message"], made["Model"]["ErrorCode"]) == (True, "Queued", 0)
    assert await sandbox.call(PATH, header, CorrectionReceiptData=correction()) == made
    receipt_id = made["Model"]["Id"]
    assert (await sandbox.call(f"{PATH}/status/get", Id=receipt_id))["Model"] == "Queued"
    assert (await sandbox.call(f"{PATH}/get", Id=receipt_id))["Success"] is False
    sandbox.clock.advance(timedelta(seconds=1))
    assert (await sandbox.call(f"{PATH}/status/get", Id=receipt_id))["Model"] == "Processed"
    assert (await sandbox.call(f"{PATH}/status/get", Id="x"))["Model"] == "NotFound"
    assert (await sandbox.call("kkt/receipt/status/get", Id=receipt_id))["Model"] == "NotFound"
    model = (await sandbox.call(f"{PATH}/get", Id=receipt_id))["Model"]
    assert (model["VatRate"], model["CorrectionReceiptType"], model["CorrectionType"]) == (1, 1, 0)
    assert (model["CorrectionDate"], model["CorrectionNumber"]) == ("2027-03-01", "17-B")
    assert model["Amounts"] == {"Electronic": 499.0}
    fiscal = model["AdditionalData"]
    assert (fiscal["Amount"], fiscal["OrganizationInn"]) == (499.0, "7700000000")
    assert fiscal["FiscalSign"].isdigit()


async def test_lines_take_the_place_of_the_rate(sandbox: Sandbox) -> None:
    data = correction(VatRate=None, Items=[ITEM], CorrectionType=1)
    made = await sandbox.call(PATH, CorrectionReceiptData=data)
    sandbox.clock.advance(timedelta(seconds=1))
    model = (await sandbox.call(f"{PATH}/get", Id=made["Model"]["Id"]))["Model"]
    assert [(item["Label"], item["Vat"]) for item in model["Items"]] == [("Подписка", 22)]
    assert (model["VatRate"], model["CorrectionType"]) == (None, 1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "CorrectionReceiptData is required"),
        (correction(DeviceNumber=""), "DeviceNumber is required"),
        (correction(TaxationSystem=None), "TaxationSystem is required"),
        (correction(TaxationSystem=6), "Invalid TaxationSystem value"),
        (correction(CorrectionReceiptType=5), "Invalid CorrectionReceiptType value"),
        (correction(CorrectionReceiptType=True), "Invalid CorrectionReceiptType value"),
        (correction(CorrectionType=2), "Invalid CorrectionType value"),
        (correction(VatRate=None), "VatRate is required"),
        (correction(VatRate=7), "Invalid VatRate value"),
        (correction(CauseCorrection=None), "CauseCorrection is required"),
        (correction(CauseCorrection={"CorrectionDate": "2027-03-01"}), "CorrectionNumber is required"),
        (
            correction(CauseCorrection={"CorrectionDate": "1 March", "CorrectionNumber": "1"}),
            "Invalid CorrectionDate value",
        ),
        (correction(Amounts=None), "Amounts is required"),
        (correction(Amounts={"Electronic": 0}), "Amounts is required"),
        (correction(Items=[ITEM], Amounts={"Electronic": 500}), "Invalid Amounts value"),
        (correction(Items=[ITEM | {"Vat": 21}]), "Invalid Vat value"),
    ],
)
async def test_what_the_device_refuses(sandbox: Sandbox, data: dict[str, Any] | None, message: str) -> None:
    values = {} if data is None else {"CorrectionReceiptData": data}
    answer = await sandbox.call(PATH, **values)
    assert (answer["Success"], answer["Message"]) == (False, message)


async def test_an_unknown_inn(sandbox: Sandbox) -> None:
    answer = await sandbox.call(PATH, CorrectionReceiptData=correction(OrganizationInn="1"))
    assert (answer["Success"], answer["Model"]["ErrorCode"]) == (False, -1)


async def test_corrections_survive_a_restart(open_sandbox: OpenSandbox, tmp_path: Path) -> None:
    state = tmp_path / "state.jsonl"
    async with open_sandbox(sandbox_state_file=state) as first:
        made = await first.call(PATH, CorrectionReceiptData=correction())
    async with open_sandbox(sandbox_state_file=state) as second:
        found = await second.call(f"{PATH}/status/get", Id=made["Model"]["Id"])
        assert found["Model"] in ("Queued", "Processed")
