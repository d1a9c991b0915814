"""Bank transfers in the panel: found by their code, confirmed whole or in part, refunds sent by hand."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from shared.ids import new_id
from tests.admin_panel.conftest import BILLING, Panel, StaffClient

TRANSFER_CONFIRMED, REFUND_CONFIRMED = "transfer-confirmations", "refund-confirmations"


class FakeUserApi:
    """UserAPI's routes of docs/contracts.md, 4, over one payment; a key counts once."""

    def __init__(self) -> None:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(200, fake.payment)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, answer = fake.take(self.path, self.headers["Idempotency-Key"], body)
                if fake.is_deaf:  # it was done; the connection breaks before the answer
                    self.close_connection = True
                    return
                self.answer(status, answer)

            def answer(self, status: int, body: dict[str, Any]) -> None:
                raw = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: object) -> None:
                """Silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def begin(self, payment_id: str) -> None:
        """Forgets what was, for the next test."""
        rub = {"currency": "RUB"}
        self.payment: dict[str, Any] = {
            "id": payment_id,
            "status": "action_required",
            "amount": {"amount": 49_900} | rub,
            "captured": {"amount": 0} | rub,
            "refunded": {"amount": 0} | rub,
            "refunds": [],
        }
        self.taken: dict[str, tuple[str, dict[str, Any]]] = {}
        self.is_deaf = False
        self.refuses_with: str | None = None

    def take(self, path: str, key: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        order = path.rpartition("/")[2]
        if self.refuses_with is not None:
            return 422, {"type": f"/problems/{self.refuses_with}", "title": "refused", "status": 422}
        if key not in self.taken:
            self.taken[key] = (order, body)
            if order == TRANSFER_CONFIRMED:
                self.payment |= {"status": "succeeded", "captured": body["amount"]}
            elif order == REFUND_CONFIRMED:
                (refund,) = [each for each in self.payment["refunds"] if each["id"] == body["refund_id"]]
                refund["status"] = "succeeded" if body["finding"] == "sent" else "failed"
                refund["waits_for_person"] = False
            else:
                self.payment["status"] = "succeeded"
        return 201, {"payment": self.payment}

    def orders(self) -> list[tuple[str, dict[str, Any]]]:
        return list(self.taken.values())


@pytest.fixture(scope="module")
def fake_user_api() -> Iterator[FakeUserApi]:
    """One address for all tests: the panel that knows it need be started once."""
    fake = FakeUserApi()
    yield fake
    fake.server.shutdown()


@pytest.fixture
def user_api(panel: Panel, fake_user_api: FakeUserApi) -> FakeUserApi:
    fake_user_api.begin(panel.world["transfer_id"])
    return fake_user_api


@pytest.fixture
def finance(panel: Panel, user_api: FakeUserApi) -> StaffClient:
    client = StaffClient(panel.start(USER_API_URL=user_api.url))
    assert client.log_in("finance").status_code == 200
    return client


def audit(panel: Panel, command: str) -> list[tuple[Any, ...]]:
    return panel.rows(
        "billing",
        "SELECT actor_id, reason, after FROM audit_record WHERE command = %s ORDER BY done_at, id",
        command,
    )


def test_a_transfer_is_found_by_its_code_and_confirmed_in_part(
    panel: Panel, user_api: FakeUserApi, finance: StaffClient
) -> None:
    transfer_id = panel.world["transfer_id"]
    code = transfer_id[-8:].upper()
    found = finance.get(f"{BILLING}/payment/?q={code}")
    assert transfer_id in found.text
    assert panel.world["payment_id"] not in found.text
    page = finance.get(f"{BILLING}/payment/{transfer_id}/change/")
    assert code in page.text
    assert "confirm-transfer" in page.text
    path = f"{BILLING}/payment/{transfer_id}/confirm-transfer/"
    preview, sent = finance.act(path, {"amount": "200.00", "reason": "statement, line 4"})
    assert preview.status_code == 200, preview.text[-2000:]
    assert "299.00" in preview.text
    assert "the invoice stays open for the rest" in preview.text
    assert user_api.orders() == []
    before = len(audit(panel, "confirm_transfer"))
    # UserAPI does it, its answer is lost: confirmed once more, it counts once and is noted once.
    user_api.is_deaf = True
    cut = finance.post(preview, sent | {"confirm": "1"})
    assert "nothing happens twice" in cut.text
    assert len(audit(panel, "confirm_transfer")) == before
    user_api.is_deaf = False
    for _ in range(2):
        finance.post(preview, sent | {"confirm": "1"})
    ((order, body),) = user_api.orders()
    assert (order, body["actor"]) == (TRANSFER_CONFIRMED, "finance")
    assert body["amount"] == {"amount": 20_000, "currency": "RUB"}
    (row,) = audit(panel, "confirm_transfer")[before:]
    assert row == ("finance", "statement, line 4", {"confirmed": {"amount": 20_000, "currency": "RUB"}})


def test_what_is_refused(panel: Panel, user_api: FakeUserApi, finance: StaffClient) -> None:
    path = f"{BILLING}/payment/{panel.world['transfer_id']}/confirm-transfer/"
    too_much, _ = finance.act(path, {"amount": "499.01", "reason": "more than asked"})
    assert (too_much.status_code, "more than the payment asks for" in too_much.text) == (422, True)
    user_api.payment["status"] = "succeeded"
    known, _ = finance.act(path, {"amount": "", "reason": "a second time"})
    assert (known.status_code, "not awaited any more" in known.text) == (422, True)
    assert user_api.orders() == []


def test_a_refund_sent_by_hand_is_confirmed_once(
    panel: Panel, user_api: FakeUserApi, finance: StaffClient
) -> None:
    path = f"{BILLING}/payment/{panel.world['transfer_id']}/confirm-refund/"
    assert "No refund of this payment waits for a person" in finance.get(path).text
    refund_id, amount = str(new_id()), {"amount": 10_000, "currency": "RUB"}
    user_api.payment |= {"status": "succeeded", "captured": {"amount": 49_900, "currency": "RUB"}}
    user_api.payment["refunds"] = [
        {
            "id": refund_id,
            "amount": amount,
            "status": "processing",
            "waits_for_person": True,
            "reason": "asked",
        }
    ]
    values = {"refund": refund_id, "finding": "sent", "reason": "payment order 118"}
    preview, sent = finance.act(path, values)
    assert preview.status_code == 200, preview.text[-2000:]
    assert "100.00" in preview.text
    before = len(audit(panel, "confirm_refund"))
    finance.post(preview, sent | {"confirm": "1"})
    again = finance.post(preview, sent | {"confirm": "1"})
    assert "already confirmed" in again.text
    ((order, body),) = user_api.orders()
    assert (order, body["refund_id"], body["reason"]) == (REFUND_CONFIRMED, refund_id, "payment order 118")
    (row,) = audit(panel, "confirm_refund")[before:]
    assert row == ("finance", "payment order 118", {"confirmed": amount, "finding": "sent"})


def test_a_card_payment_offers_no_confirmation(panel: Panel, finance: StaffClient) -> None:
    page = finance.get(f"{BILLING}/payment/{panel.world['payment_id']}/change/")
    assert "confirm-transfer" not in page.text
    for action in ("confirm-transfer", "confirm-refund"):
        refused = finance.get(f"{BILLING}/payment/{panel.world['payment_id']}/{action}/")
        assert refused.status_code == 403
