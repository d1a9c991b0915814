"""Which container reaches which port, what the host publishes, and what the gateway lets through."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from deploy.compose import DEVELOPMENT_PORTS, ComposeStack
from deploy.local.databases import DATABASES
from deploy.processes import PUBLISHED_PORTS
from tests.deploy.containers.engine import PROJECT, Container, docker
from tests.deploy.test_compose import ONE_SHOTS, SERVICES

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]
LISTENS: dict[str, list[int]] = {
    "gateway": [8080],
    "user-api": [8001],
    "pay-api": [8002],
    "billing-api": [8003],
    "admin-panel": [8004],
    "cloudpayments-sandbox": [8005],
    "rabbitmq": [5672, 15672],
    "redis": [6379],
    **{f"{database}-db": [5432] for database in DATABASES},
    **{f"{service}-worker": [9000] for service in ("user", "pay", "billing", "admin", "scheduler")},
    "scheduler-beat": [9000],
}
APIS = {"user-api", "pay-api", "billing-api", "admin-panel"}
DATA = {"redis", *(f"{database}-db" for database in DATABASES)}
OTHERS = set(LISTENS) - APIS - DATA - {"gateway", "rabbitmq"}  # workers, scheduler, sandbox
REACHES: dict[str, set[str]] = {
    "gateway": APIS,
    "rabbitmq": APIS | OTHERS,
    **{name: APIS | DATA | OTHERS | {"gateway", "rabbitmq"} for name in APIS},
    **{name: APIS | DATA | OTHERS | {"rabbitmq"} for name in OTHERS},
    **dict.fromkeys(DATA, APIS | DATA | OTHERS),
}


def test_the_matrix_names_every_running_service() -> None:
    assert set(LISTENS) == set(REACHES) == set(SERVICES) - set(ONE_SHOTS)


@pytest.mark.parametrize("source", REACHES)
def test_container_reaches_exactly_these_ports(running: dict[str, Container], source: str) -> None:
    """By address, so that a name which does not resolve proves nothing; on every network of the target.

    The network of deploy/compose.dev.yml only leads to the host: it is not asked about here.
    """
    targets = [
        (name, address, port)
        for name, ports in LISTENS.items()
        for network, address in running[name].addresses.items()
        for port in ports
        if name != source and network != "development"
    ]
    expected = {f"{name}:{port}" for name in REACHES[source] - {source} for port in LISTENS[name]}
    reached = ask(running[source], targets, 2)
    slow = [target for target in targets if f"{target[0]}:{target[2]}" in expected - reached]
    assert reached | ask(running[source], slow, 15) == expected  # a busy machine is no closed door


def ask(source: Container, targets: list[tuple[str, str, int]], seconds: int) -> set[str]:
    """Which of these (service, address, port) a container reaches in this time, as ``service:port``."""
    lines = [
        f"(timeout {seconds} bash -c 'exec 3<>/dev/tcp/{address}/{port}' 2>/dev/null && echo {name}:{port}) &"
        for name, address, port in targets
    ]
    # a few at a time: limits on processes are part of the hardening
    batches = ["\n".join(lines[start : start + 14]) + "\nwait" for start in range(0, len(lines), 14)]
    answer = source.execute("bash", "-c", "\n".join(batches))
    assert answer.returncode == 0, answer.stderr
    return set(answer.stdout.split())


def test_only_documented_ports_are_published_and_only_on_loopback(running: dict[str, Container]) -> None:
    bindings = [
        (service, inside, outside)
        for service, container in running.items()
        for inside, outsides in (container.facts["NetworkSettings"]["Ports"] or {}).items()
        for outside in outsides or []
    ]
    assert {outside["HostIp"] for _, _, outside in bindings} == {"127.0.0.1"}
    published = sorted(f"{service}:{inside}" for service, inside, _ in bindings)
    documented = {name: name for name in PUBLISHED_PORTS} | {"rabbitmq-management": "rabbitmq"}
    inside = {**PUBLISHED_PORTS, **{name: LISTENS[name][0] for name in DEVELOPMENT_PORTS}}
    expected = [f"{documented.get(name, name)}:{port}/tcp" for name, port in inside.items()]
    assert published == sorted(expected)


def test_published_ports_do_not_answer_on_other_addresses(running: dict[str, Container]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing; tells which address of this machine leads outside
        own = probe.getsockname()[0]
    assert own != "127.0.0.1"
    ports = [
        int(outside["HostPort"])
        for container in running.values()
        for outsides in (container.facts["NetworkSettings"]["Ports"] or {}).values()
        for outside in outsides or []
    ]
    assert len(ports) == len(PUBLISHED_PORTS) + len(DEVELOPMENT_PORTS)
    for port in ports:
        with socket.socket() as caller:
            caller.settimeout(2)
            assert caller.connect_ex((own, port)) != 0, port


@pytest.fixture(scope="module")
def gateway() -> Iterator[httpx.Client]:
    """The one origin, redirects not followed."""
    with httpx.Client(base_url=str(ComposeStack().urls()["gateway"]), trust_env=False, timeout=10) as client:
        yield client


CLOSED = [
    *(
        f"{prefix}/{closed}{rest}"
        for prefix in ("", "/user-api", "/pay-api", "/billing-api", "/admin")
        for closed in ("internal", "metrics")
        for rest in ("", "/", "/v1/payments")
    ),
    "/user-api//internal/v1/access-checks",
    "/user-api/%69nternal/v1/access-checks",
    "/user-api/v1/%2e%2e/internal/v1/access-checks",
    "/billing-api/./metrics",
    "/pay-api/v1/payments",
    "/pay-api/v1/payments/0198c5f0-0000-7000-8000-000000000000",
    "/pay-api/v1/payments/0198c5f0-0000-7000-8000-000000000000/refunds",
    "/pay-api/v1/payments/../../internal/v1/payments",
    "/pay-api/v1/payments/x/events/more",
    "/pay-api/readyz",
    "/pay-api/",
]


@pytest.mark.parametrize("path", CLOSED)
def test_gateway_does_not_know_closed_routes(gateway: httpx.Client, path: str) -> None:
    for method in ("GET", "POST"):
        answer = gateway.send(
            httpx.Request(method, httpx.URL(str(gateway.base_url)).copy_with(raw_path=path.encode()))
        )
        assert answer.status_code == 404, (method, path)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == "/problems/not-found"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/healthz", 200),
        ("/user-api/v1/products", 200),
        ("/user-api/docs", 200),
        ("/billing-api/docs", 200),
        ("/billing-api/v1/me/statement", 401),
        ("/pay-api/docs", 200),
        ("/pay-api/openapi.json", 200),
        ("/pay-api/v1/payments/0198c5f0-0000-7000-8000-000000000000/events", 401),
        ("/admin", 308),
        ("/admin/account/login/", 200),
    ],
)
def test_gateway_leads_to_open_routes(gateway: httpx.Client, path: str, status: int) -> None:
    answer = gateway.get(path, follow_redirects=status == 200)
    assert answer.status_code == status
    assert answer.headers["x-correlation-id"]


@pytest.mark.parametrize("service", ["user-api", "pay-api", "billing-api"])
def test_reference_pages_load_nothing_from_elsewhere(gateway: httpx.Client, service: str) -> None:
    page = gateway.get(f"/{service}/docs")
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(loaded) >= 3
    assert not [address for address in loaded if "//" in address]
    assert "unsafe" not in page.headers["content-security-policy"]
    for address in loaded:
        assert gateway.get(page.url.join(address)).status_code == 200, address


def test_gateway_refuses_large_bodies_and_passes_the_correlation_id_on(gateway: httpx.Client) -> None:
    answer = gateway.post("/user-api/v1/auth/login", content=b"x" * 70_000)
    assert answer.status_code == 413
    assert answer.json()["type"] == "/problems/body-too-large"
    answer = gateway.get("/user-api/v1/products", headers={"X-Correlation-ID": "proof-1"})
    assert answer.headers.get_list("x-correlation-id") == ["proof-1"]


def test_user_api_counts_the_client_not_the_gateway(
    running: dict[str, Container], gateway: httpx.Client
) -> None:
    """Failed log-ins are counted per address in Redis; a header the client writes itself changes nothing."""
    body = {"email": f"nobody-{time.time_ns()}@example.org", "password": "wrong-password-1"}
    forged = {"X-Forwarded-For": "203.0.113.7"}
    assert gateway.post("/user-api/v1/auth/login", json=body, headers=forged).status_code == 401
    ask = 'for n in 0 1 2 3; do REDISCLI_AUTH="$REDIS_PASSWORD" redis-cli -n $n --scan; done'
    keys = running["redis"].execute("sh", "-c", ask)
    counted = [key for key in keys.stdout.split() if "login" in key]
    own = set(running["gateway"].addresses.values())
    bridge = running["gateway"].facts["NetworkSettings"]["Networks"]["cinema-billing_edge"]["Gateway"]
    assert [key for key in counted if bridge in key], keys.stdout
    assert not [
        key for key in counted if any(f"/{address}" in key or f":{address}" in key for address in own)
    ]
    assert not [key for key in counted if "203.0.113.7" in key]


def test_the_network_of_the_databases_has_no_way_out(running: dict[str, Container]) -> None:
    """The one that deploy/compose.dev.yml adds publishes them on loopback; production has it not."""
    network = json.loads(docker("network", "inspect", f"{PROJECT}_data", check=True).stdout)[0]
    assert network["Internal"] is True
    for name in DATA:
        assert set(running[name].addresses) <= {"data", "development"}
