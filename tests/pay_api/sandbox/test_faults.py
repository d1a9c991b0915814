"""Each scripted fault: what the caller sees, and whether the effect stands."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import pytest

from tests.pay_api.sandbox.conftest import VISA, Merchant, Sandbox

CHARGE = "payments/cards/charge"


async def script(sandbox: Sandbox, **fault: Any) -> None:
    answer = await sandbox.http.post("/faults", json=fault)
    assert answer.status_code == 201, answer.text


async def raw_charge(sandbox: Sandbox, fault: str | None = None, patience: float = 5) -> httpx.Response:
    body = {"Amount": 10, "IpAddress": "1.1.1.1", "CardCryptogramPacket": sandbox.packet(VISA)}
    headers = {"X-Sandbox-Fault": fault} if fault else None
    return await sandbox.http.post(f"/{CHARGE}", json=body, headers=headers, timeout=patience)


@pytest.mark.parametrize(("kind", "effects"), [("timeout_before", 0), ("timeout_after", 1)])
async def test_silence(sandbox: Sandbox, merchant: Merchant, kind: str, effects: int) -> None:
    with pytest.raises(httpx.ReadTimeout):
        await raw_charge(sandbox, kind, patience=0.3)
    with pytest.raises(httpx.RemoteProtocolError):  # not a byte of an answer
        await raw_charge(sandbox, f"{kind}; seconds=0.05")
    assert len(await sandbox.effects()) == 2 * effects
    if effects:
        await merchant.until(2, "pay")
    await asyncio.sleep(0.05)
    assert (await raw_charge(sandbox)).status_code == 200
    assert sandbox.terminal.faults.listing() == []


@pytest.mark.parametrize(("kind", "effects"), [("timeout_before", 0), ("timeout_after", 1)])
async def test_closed_connection(sandbox: Sandbox, kind: str, effects: int) -> None:
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await raw_charge(sandbox, f"{kind}; manner=close")
    assert len(await sandbox.effects()) == effects


@pytest.mark.parametrize(("kind", "effects"), [("http_500_before", 0), ("http_500_after", 1)])
async def test_server_error(sandbox: Sandbox, kind: str, effects: int) -> None:
    answer = await raw_charge(sandbox, kind)
    assert (answer.status_code, answer.headers["content-type"][:9]) == (500, "text/html")
    assert len(await sandbox.effects()) == effects


async def test_truncated_json_unknown_status_and_429(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match=r".+"):
        (await raw_charge(sandbox, "truncated_json")).json()
    strange = (await raw_charge(sandbox, "unknown_status")).json()
    assert strange["Model"]["Status"] == "PendingReview"
    assert (await raw_charge(sandbox, "429")).status_code == 429
    assert len(await sandbox.effects()) == 2


async def test_delay(sandbox: Sandbox) -> None:
    started = time.monotonic()
    assert (await raw_charge(sandbox, "delay; seconds=0.3")).json()["Success"] is True
    assert time.monotonic() - started >= 0.3


async def test_scripted_for_the_next_calls_of_one_method(sandbox: Sandbox) -> None:
    await script(sandbox, method="/payments/cards/charge", kind="http_500_before", count=2)
    assert (await sandbox.http.post("/test")).status_code == 200
    codes = [(await raw_charge(sandbox)).status_code for _ in range(3)]
    assert codes == [500, 500, 200]


async def test_scripted_decline_by_any_reason(sandbox: Sandbox) -> None:
    await script(sandbox, kind="decline", reason_code=5041)
    answer = await sandbox.charge()
    assert (answer["Success"], answer["Model"]["Reason"]) == (False, "LostCard")
    assert await sandbox.effects() == []


async def test_listing_and_clearing(sandbox: Sandbox) -> None:
    await script(sandbox, kind="429", count=3)
    assert [item["left"] for item in (await sandbox.http.get("/faults")).json()["items"]] == [3]
    assert (await sandbox.http.delete("/faults")).status_code == 204
    assert (await raw_charge(sandbox)).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [(b'{"kind": "nothing"}', 422), (b'{"kind":"late","webhook":"x"}', 422), (b"{", 400),
     (b'{"kind":"delay","typo":1}', 422), (b'{"kind":"decline","reason_code":1}', 422)],
)  # fmt: skip
async def test_bad_script_is_a_problem(sandbox: Sandbox, body: bytes, status: int) -> None:
    answer = await sandbox.http.post("/faults", content=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert (await sandbox.http.get("/faults")).json() == {"items": []}


async def test_notification_early_comes_before_the_answer(sandbox: Sandbox, merchant: Merchant) -> None:
    merchant.delay_seconds = 0.2
    await raw_charge(sandbox, "early; webhook=pay")
    assert merchant.types() == ["pay"]
    await raw_charge(sandbox)
    assert merchant.types() == ["pay"]  # without the fault the answer does not wait
    await merchant.until(2)


async def test_notification_duplicate_late_suppressed(sandbox: Sandbox, merchant: Merchant) -> None:
    await raw_charge(sandbox, "duplicate")
    first, second = await merchant.until(2)
    assert first.body == second.body
    await raw_charge(sandbox, "suppressed; webhook=pay")
    await script(sandbox, kind="late", webhook="pay", seconds=0.3)
    started = time.monotonic()
    await raw_charge(sandbox)
    await merchant.until(3)
    assert time.monotonic() - started >= 0.3
    assert len(merchant.heard) == 3
