"""A stand-in for BillingAPI: a real WSGI server that keeps what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest

from scheduler import billing_client
from scheduler.billing_client import BillingClient
from scheduler.settings import SchedulerSettings

RUN = "01936000-0000-7000-8000-000000000001"


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        return


@dataclass
class Billing:
    """Answers as BillingAPI does; ``answers`` may be changed by a test: (method, path) -> (status, body)."""

    url: str = ""
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    answers: dict[tuple[str, str], tuple[str, dict[str, Any]]] = field(default_factory=dict)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        key = (environ["REQUEST_METHOD"], environ["PATH_INFO"])
        headers = {name[5:]: value for name, value in environ.items() if name.startswith("HTTP_")}
        self.asked.append((*key, headers))
        status, body = self.answers.get(key, ("404 Not Found", {"type": "/problems/not-found"}))
        start_response(status, [("Content-Type", "application/json")])
        return [json.dumps(body).encode()]

    @property
    def paths(self) -> list[str]:
        return [path for _, path, _ in self.asked]


@pytest.fixture
def billing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Billing]:
    made = Billing()
    made.answers = {
        ("POST", "/internal/v1/billing-runs"): ("201 Created", {"id": RUN, "due": 3, "shards": 2}),
        ("POST", f"/internal/v1/billing-runs/{RUN}/shards/0"): ("200 OK", {"invoices": 2, "errors": 0}),
        ("POST", f"/internal/v1/billing-runs/{RUN}/shards/1"): ("200 OK", {"invoices": 1, "errors": 0}),
        ("POST", "/internal/v1/collection-runs"): ("200 OK", {"attempts": 4}),
        ("POST", "/internal/v1/maintenance-runs"): ("200 OK", {"expired": 1}),
        ("GET", "/internal/v1/invariants"): (
            "200 OK",
            {"holds": False, "items": [{"name": "a", "holds": True}, {"name": "b", "holds": False}]},
        ),
    }
    server = make_server("127.0.0.1", 0, made, WSGIServer, _Quiet)
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    own = SchedulerSettings(billing_api_url=made.url, billing_api_token="the-schedulers-token")
    monkeypatch.setattr(billing_client, "_client", BillingClient(own))
    yield made
    server.shutdown()
    server.server_close()
    thread.join()
