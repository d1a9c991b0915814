"""Makefile, packages, waiting and time travel, each by what a person sees."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deploy.compose import DEMO_LOGINS, ComposeStack
from deploy.local import gateway, packages
from deploy.local.stack import LocalStack
from deploy.local.state import ROOT, StackState
from deploy.processes import LOCAL_PORTS
from deploy.progress import Progress
from deploy.stack import describe_logins
from deploy.time_travel import StillBusy, travel

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_make_help_lists_every_target_with_one_line() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    listed = re.findall(r"^  make ([a-z-]+) +\S", shown, re.MULTILINE)
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(targets)
    assert {
        "up",
        "down",
        "reset",
        "urls",
        "ps",
        "logs",
        "demo",
        "time-travel",
        "test",
        "check",
        "lock",
    } <= set(listed)


def test_missing_packages_are_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_APT", "1")
    with pytest.raises(SystemExit) as refusal:
        packages.ensure({"no-such-server": ("/no/such/file",), "shell": ("/bin/sh",)})
    assert "no-such-server" in str(refusal.value)
    assert "apt-get install --no-install-recommends no-such-server" in str(refusal.value)
    assert "shell" not in str(refusal.value).split("\n")[0]


def test_gateway_configuration_is_accepted_by_nginx(tmp_path: Path) -> None:
    packages.ensure(packages.GATEWAY_PACKAGES)
    directory = tmp_path / "gateway"
    gateway.prepare(directory, LOCAL_PORTS)
    program = gateway.program(directory)
    done = subprocess.run([*program.argv, "-t"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_template_value_left_out_is_an_error() -> None:
    with pytest.raises(KeyError):
        gateway.render("listen ${GATEWAY_LISTEN}; proxy_set_header Host $http_host;", {})


def test_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    state = StackState.open(tmp_path)
    made = state.secrets()
    assert StackState.open(tmp_path).secrets() == made
    assert len(set(made.values())) == len(made)
    assert (state.directory / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert state.directory.stat().st_mode & 0o777 == 0o700


def test_demo_logins_are_one_line_each() -> None:
    logins = {"finance": {"username": "finance", "password": "secret"}}
    assert describe_logins(logins) == ["finance    finance / secret"]


def test_demo_logins_under_compose_are_the_panel_s_own() -> None:
    roles = (ROOT / "admin_panel/staff/roles.py").read_text()
    assert list(DEMO_LOGINS) == re.findall(r'^    "([a-z]+)": (?:_|set)', roles, re.MULTILINE)
    assert 'f"dev-{name}-password"' in (ROOT / "admin_panel/staff/demo.py").read_text()


@pytest.mark.parametrize("stack", [LocalStack, ComposeStack])
def test_make_up_refuses_production(
    stack: type[LocalStack] | type[ComposeStack], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_ENV", "production")
    with pytest.raises(SystemExit, match="make up is for development"):
        stack(tmp_path).up(Progress())


class Suite(BaseHTTPRequestHandler):
    """The three services in one: quiet after some questions, runs late when told so."""

    questions = 0
    quiet_after = 0
    billing_at = NOW + timedelta(days=31)

    def answer(self, body: dict[str, object]) -> None:
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        assert self.path == "/internal/v1/time-travel"
        assert self.headers["Authorization"] == "Bearer t"
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer({"offset_seconds": 0, "now": (NOW + timedelta(**body)).isoformat()})

    def do_GET(self) -> None:
        Suite.questions += 1
        quiet = Suite.questions > Suite.quiet_after
        ticks = {"billing": Suite.billing_at.isoformat(), "collection": Suite.billing_at.isoformat()}
        self.answer({"quiet": quiet, "pending": {"outbox": 0 if quiet else 3}, "ticks": ticks})

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def suite() -> Iterator[dict[str, object]]:
    Suite.questions = Suite.quiet_after = 0
    Suite.billing_at = NOW + timedelta(days=31)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Suite)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    yield dict.fromkeys(("user_api", "pay_api", "billing_api"), url)
    server.shutdown()
    server.server_close()


TOKENS = dict.fromkeys(("user-api", "pay-api", "billing-api"), "t")


def test_time_travel_returns_once_quiet_twice_in_a_row(suite: dict[str, object]) -> None:
    Suite.quiet_after = 2
    assert travel(suite, TOKENS, 30, Progress()) == NOW + timedelta(days=30)
    assert Suite.questions == 9


def test_time_travel_says_what_it_waits_for(suite: dict[str, object]) -> None:
    Suite.quiet_after = 10**6
    with pytest.raises(StillBusy, match=r"outbox.*3"):
        travel(suite, TOKENS, 30, Progress(), patience_seconds=0.5)


def test_time_travel_waits_for_runs_up_to_the_new_time(suite: dict[str, object]) -> None:
    Suite.billing_at = NOW
    with pytest.raises(StillBusy, match="runs not yet at the new time: billing, collection"):
        travel(suite, TOKENS, 30, Progress(), patience_seconds=0.5)
