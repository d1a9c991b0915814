"""Along every chain of calls the caller waits longer than the callee may take (docs/decisions/0013)."""

from __future__ import annotations

import re
from pathlib import Path

from admin_panel.settings import AdminSettings
from billing_api.settings import BillingSettings
from pay_api import timeouts
from shared import worker
from user_api.clients import billing_api as users_billing
from user_api.clients import pay_api as users_pay

ROOT = Path(__file__).resolve().parents[2]
DECISION = ROOT / "docs/decisions/0013-one-wait-budget-per-request.md"
OF_ITS_OWN = 1.0  # what UserAPI itself takes of a request
USER_API = users_billing.TIMEOUT_SECONDS + users_pay.TIMEOUT_SECONDS + OF_ITS_OWN


def gateway_seconds() -> float:
    """What every route of the gateway waits for, but the event stream."""
    text = (ROOT / "deploy/gateway/gateway.conf.template").read_text()
    found = re.findall(r"^    proxy_read_timeout (\d+)s;", text, re.MULTILINE)
    assert len(found) == 1
    return float(found[0])


def callers_of_user_api() -> dict[str, float]:
    return {
        "billing-worker": BillingSettings.model_fields["user_api_timeout_seconds"].default,
        "admin-panel": AdminSettings.model_fields["user_api_timeout_seconds"].default,
    }


def test_each_caller_waits_longer_than_the_called() -> None:
    assert timeouts.PROVIDER_CALL + timeouts.SETTLING <= timeouts.REQUEST < users_pay.TIMEOUT_SECONDS
    assert USER_API == 28.0
    for caller, seconds in callers_of_user_api().items():
        assert USER_API < seconds < gateway_seconds(), caller


def test_who_waits_in_a_worker_keeps_its_order_and_is_let_finish() -> None:
    seconds = callers_of_user_api()["billing-worker"]
    assert seconds < worker.STOP_SECONDS
    code = (ROOT / "billing_api/billing_service/orders.py").read_text()  # its module needs Django set up
    (lease,) = re.findall(r"^LEASE: Final = timedelta\(seconds=(\d+)\)$", code, re.MULTILINE)
    assert 2 * seconds <= float(lease)


def test_the_decision_shows_the_table() -> None:
    shown = {
        row[0]: float(row[1])
        for row in re.findall(r"^\| ([^|]+) \|[^|]+\| (\d+) \|$", DECISION.read_text(), re.MULTILINE)
    }
    (callers,) = set(callers_of_user_api().values())
    assert shown == {
        "browser's gateway": gateway_seconds(),
        "AdminPanel, billing-worker": callers,
        "UserAPI, all in all": USER_API,
        "UserAPI": users_pay.TIMEOUT_SECONDS,
        "PayAPI, one request": timeouts.REQUEST,
    }
