"""The commands behind the Makefile (up, down, urls, logs, demo, ...) for either kind of stack."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from deploy import compose, verify
from deploy.compose import ComposeStack
from deploy.local.programs import own_file
from deploy.local.stack import LocalStack
from deploy.local.state import ROOT, StackState
from deploy.progress import Progress, ServiceFailed
from deploy.readiness import get
from deploy.time_travel import StillBusy, travel

Stack = LocalStack | ComposeStack


def remembered_mode() -> str | None:
    """The kind of stack that was last started here."""
    path = StackState.open().directory / "mode"
    return path.read_text().strip() if path.exists() else None


def wanted_mode() -> str:
    """MODE when set, else Docker when an engine answers, else local. Raises SystemExit for a bad MODE."""
    mode = os.environ.get("MODE", "")
    if mode not in {"", "docker", "local"}:
        raise SystemExit("MODE is docker or local")
    if mode == "docker" and not compose.engine_answers():
        raise SystemExit("MODE=docker, but no Docker engine with Compose v2 answers here")
    return mode or ("docker" if compose.engine_answers() else "local")


def stack_of(mode: str | None) -> Stack:
    """The stack of this kind; raises SystemExit when nothing was ever started."""
    mode = os.environ.get("MODE") or mode
    if mode is None:
        raise SystemExit("nothing was started here yet; run: make up")
    return ComposeStack() if mode == "docker" else LocalStack()


def up() -> int:
    """Starts the stack, waits until it is whole, prints where everything is."""
    progress = Progress()
    mode, before = wanted_mode(), remembered_mode()
    if before and before != mode and (before == "local" or compose.engine_answers()):
        progress.step(f"stopping the {before} stack first")
        (LocalStack() if before == "local" else ComposeStack()).down()
    stack: Stack = ComposeStack() if mode == "docker" else LocalStack()
    own_file(stack.state.directory / "mode", mode + "\n", None)
    progress.step(f"starting with {'Docker' if mode == 'docker' else 'private servers of this machine'}")
    try:
        stack.up(progress)
        wait_for_catalogue(stack, progress)
    except ServiceFailed as failure:
        print(
            f"\n{failure.name} failed: {failure.what}\n--- end of its log ---\n{failure.log}", file=sys.stderr
        )
        return 1
    progress.step("the stack is ready")
    print_summary(stack)
    return 0


def wait_for_catalogue(stack: Stack, progress: Progress, patience_seconds: float = 60) -> None:
    """Returns once UserAPI shows products (BillingAPI's prices are waited for by the seed itself)."""
    deadline = time.monotonic() + patience_seconds
    address = f"{stack.urls()['user_api']}/v1/products"
    while True:
        status, body = get(address)
        if status == 200 and json.loads(body).get("items"):
            progress.step("UserAPI has the catalogue")
            return
        if time.monotonic() > deadline:
            raise ServiceFailed("user-api", "shows no products", f"GET {address} -> {status} {body[:500]}")
        time.sleep(0.5)


def print_summary(stack: Stack) -> None:
    """Addresses and demo logins, for people."""
    urls = stack.urls()
    rows = [
        ("gateway", f"{urls['gateway']}/"),
        ("admin panel", f"{urls['gateway']}/admin/"),
        ("UserAPI", f"{urls['user_api']}/docs"),
        ("PayAPI", f"{urls['pay_api']}/docs"),
        ("BillingAPI", f"{urls['billing_api']}/docs"),
        ("CloudPayments sandbox", str(urls["cloudpayments_sandbox"])),
        ("RabbitMQ management", str(urls["rabbitmq_management"])),
    ]
    print("\n" + "\n".join(f"  {name:<23}{address}" for name, address in rows))
    logins = stack.state.demo_logins
    if logins.exists():
        print("\n  demo logins")
        for line in describe_logins(json.loads(logins.read_text())):
            print(f"    {line}")
    print("\n  make demo   the whole story      make urls   all addresses as JSON      make down   stop\n")


def describe_logins(content: Mapping[str, Mapping[str, str]]) -> list[str]:
    """One line per login, ``admin`` first; ``content`` is group -> {username, password}."""
    groups = sorted(content, key=lambda group: group != "admin")
    return [f"{group:<10} {content[group]['username']} / {content[group]['password']}" for group in groups]


def show_logs(stack: Stack, service: str | None, lines: int) -> int:
    """The end of the logs of one service or of all."""
    if isinstance(stack, ComposeStack):
        stack.follow_logs(service)
    else:
        files = stack.log_files(service)
        if not files:
            raise SystemExit(f"no log of {service}; make ps lists the names")
        subprocess.run(["tail", "-n", str(lines if service else 20), *map(str, files)], check=False)
    return 0


def show_processes(stack: Stack) -> int:
    """One line per process; exit code 1 when nothing runs."""
    rows = stack.ps()
    for name, state, detail in rows:
        print(f"{name:<24}{state:<12}{detail}")
    if not rows:
        print("nothing runs")
    return 0 if rows else 1


def time_travel(stack: Stack, days: float) -> int:
    """Moves the clock; exit code 1 with a message when the stack does not become quiet."""
    try:
        now = travel(stack.urls(), stack.operator_tokens(), days, Progress())
    except StillBusy as busy:
        print(busy, file=sys.stderr)
        return 1
    print(now.isoformat())
    return 0


def demo(stack: Stack, module: str) -> int:
    """Runs the story against the running stack, addresses and operator tokens in its environment."""
    values = {
        "CINEMA_URLS": json.dumps(stack.urls()),
        "CINEMA_OPERATOR_TOKENS": json.dumps(stack.operator_tokens()),
    }
    if stack.state.demo_logins.exists():
        values["CINEMA_DEMO_LOGINS"] = stack.state.demo_logins.read_text()
    elif isinstance(stack, ComposeStack):  # started by `docker compose up` alone
        values["CINEMA_DEMO_LOGINS"] = json.dumps(compose.DEMO_LOGINS)
    environment = os.environ | values
    return subprocess.run([sys.executable, "-m", module], cwd=ROOT, env=environment, check=False).returncode


def main(arguments: Sequence[str] | None = None) -> int:
    """Parses the command line and runs one command at a time per checkout."""
    parser = argparse.ArgumentParser(prog="python -m deploy.stack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("up", "down", "reset", "urls", "tokens", "ps", "mode", "verify"):
        commands.add_parser(name)
    logs = commands.add_parser("logs")
    logs.add_argument("service", nargs="?")
    logs.add_argument("--lines", type=int, default=200)
    commands.add_parser("time-travel").add_argument("days", type=float)
    commands.add_parser("run").add_argument("module")
    inside = commands.add_parser("in", help="a command with the settings of a service")
    inside.add_argument("service")
    inside.add_argument("argv", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    state = StackState.open()
    if options.command not in {"up", "down", "reset"}:
        return _look(options)
    with (state.directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if options.command == "up":
            return up()
        stack = stack_of(remembered_mode() or "local")
        if options.command == "down":
            stack.down()
        else:
            stack.reset()
            LocalStack(state.directory.parent).reset()
        return 0


def _look(options: argparse.Namespace) -> int:
    if options.command == "mode":
        print(remembered_mode() or "none")
        return 0
    stack = stack_of(remembered_mode())
    if options.command == "in":
        if not options.argv:
            raise SystemExit(
                "which command? for example: make in S=pay-worker DO='python -m shared.queue -h'"
            )
        return stack.run_in(options.service, options.argv)
    if options.command == "urls":
        print(json.dumps(stack.urls(), indent=2))
        return 0
    if options.command == "tokens":
        print(json.dumps(stack.operator_tokens(), indent=2))
        return 0
    if options.command == "ps":
        return show_processes(stack)
    if options.command == "logs":
        return show_logs(stack, options.service, options.lines)
    if options.command == "time-travel":
        return time_travel(stack, options.days)
    if options.command == "verify":
        return verify.run(verify.Services(stack.urls(), stack.operator_tokens()))
    return demo(stack, options.module)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:  # `make ps | head`
        os._exit(1)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
