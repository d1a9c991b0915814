"""The local stack on placeholders: real servers and gateway, tiny processes in the services' places."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.programs import start_time
from deploy.local.stack import LocalStack
from deploy.processes import BROKER_USERS, PROCESSES, Process
from deploy.progress import Progress, ServiceFailed
from deploy.readiness import get
from tests import servers

FAKES = tuple(
    Process(
        p.name,
        p.group,
        ("python", "-m", "tests.deploy.fake_service", "{port}" if p.serves else "health"),
        p.serves,
    )
    for p in PROCESSES
)


# what the gateway lets through, and how the service behind it is asked
LET_THROUGH = {
    "/": "/",
    "/v1/products": "/v1/products",
    "/user-api/v1/products": "/v1/products",
    "/billing-api/v1/me/account": "/v1/me/account",
    "/pay-api/v1/payments/018f/3ds": "/v1/payments/018f/3ds",
    "/pay-api/v1/payments/018f/events?token=x": "/v1/payments/018f/events?token=x",
    "/pay-api/checkout/018f": "/checkout/018f",
    "/pay-api/docs": "/docs",
    "/admin/login/": "/admin/login/",
    "/admin/static/admin.css": "/admin/static/admin.css",
}
KEPT_BACK = (
    "/internal/v1/time-travel",
    "/metrics",
    "/user-api/metrics",
    "/user-api/internal/v1/time-travel",
    "/user-api//internal/v1/time-travel",
    "/user-api/%69nternal/v1/time-travel",
    "/user-api/x/../internal/v1/time-travel",
    "/billing-api/internal/v1/billing-runs",
    "/admin/metrics",
    "/pay-api/v1/payments",
    "/pay-api/v1/payments/018f",
    "/pay-api/v1/payments/018f/refunds",
    "/pay-api/v1/customers/018f/payment-methods",
    "/pay-api/metrics",
)


def stack_at(root: Path, processes: tuple[Process, ...] = FAKES) -> LocalStack:
    servers.give_ports(root)
    return LocalStack(root, processes, migrations=(), catalogue=None, broker=(BROKER_USERS,))


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """A folder for a stack's state; the stack is dropped at the end."""
    yield tmp_path
    stack_at(tmp_path).reset()


@pytest.mark.timeout(180)
def test_comes_up_survives_interruptions_keeps_data_and_goes_away(checkout: Path) -> None:
    stack = stack_at(checkout)
    stack.up(Progress())
    ports = stack.state.ports()
    urls = stack.urls()
    for path, asked in LET_THROUGH.items():
        status, body = get(f"{urls['gateway']}{path}")
        assert (status, body.split(" ")[0]) == (200, asked)
    assert get(f"{urls['gateway']}/user-api/v1/products")[1].endswith("prefix=/user-api")
    for path in KEPT_BACK:
        status, body = get(f"{urls['gateway']}{path}")
        assert (status, json.loads(body)["type"]) == (404, "/problems/not-found"), path
    access_log = (stack.state.data_path / "gateway" / "access.log").read_text()
    assert "/v1/payments/018f/events" in access_log
    assert "token=x" not in access_log
    assert {state for _, state, _ in stack.ps()} <= {"RUNNING", "STARTING"}
    assert (checkout / ".stack").stat().st_mode & 0o777 == 0o700

    postgres, _, _ = stack._servers()
    postgres.sql("CREATE TABLE kept AS SELECT 42 AS answer", "billing")

    # a supervisord that was killed leaves its children behind; the next start ends them and goes on
    supervisord = int((checkout / ".stack" / "supervisord.pid").read_text())
    os.kill(supervisord, signal.SIGKILL)
    while start_time(supervisord) is not None:
        time.sleep(0.05)
    assert stack.supervisor.orphans()
    again = stack_at(checkout)
    again.up(Progress())
    assert again.state.ports() == ports
    postgres, _, _ = again._servers()
    assert postgres.sql("SELECT answer FROM kept", "billing") == "42"

    again.down()
    assert again.ps() == []
    assert again.supervisor.orphans() == []
    data = again.state.data_path
    assert data.exists()
    again.reset()
    assert not data.exists()


@pytest.mark.timeout(180)
def test_failed_service_is_named_with_the_end_of_its_log(checkout: Path) -> None:
    broken = Process("pay-worker", "pay", ("python", "-m", "tests.deploy.fake_service", "fail"), False)
    stack = stack_at(checkout, (*(fake for fake in FAKES if fake.name != "pay-worker"), broken))
    with pytest.raises(ServiceFailed) as failure:
        stack.up(Progress())
    assert failure.value.name == "pay-worker"
    assert "cannot find the treasure map" in failure.value.log


def test_deep_checkout_gets_a_short_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 90)
    assert len(str(LocalStack(deep).state.supervisor_socket)) < 100
    shutil.rmtree(deep)
