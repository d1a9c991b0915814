"""What docker-compose.yml promises: hardening, networks, ports, order, the settings of the local stack."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from deploy.compose import DEVELOPMENT_PORTS, port_variable
from deploy.local.databases import DATABASES, urls
from deploy.local.environment import ACCOUNTS, OPTIONAL, Addresses, environment, owners
from deploy.local.servers import PostgresServer
from deploy.local.state import EDGES, ROOT
from deploy.processes import CATALOGUE, LOCAL_PORTS, MIGRATIONS, PROCESSES, PUBLISHED_PORTS
from deploy.rabbitmq.users import PERMISSIONS
from deploy.redis.users import USERS as REDIS_USERS
from pay_api import timeouts
from shared.settings import SuiteSettings

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DEVELOPMENT: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.dev.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
ONE_SHOTS = [*(job.name for job in MIGRATIONS), "broker-migrate", CATALOGUE.name]
BEHIND_GATEWAY = ("user-api", "pay-api")
SERVERS = [f"{name}-db" for name in DATABASES] + ["redis", "rabbitmq"]


def addresses() -> Addresses:
    secrets = {"postgres": "p", "redis": "p", "link-signing": "p", "token-encryption": "p"}
    secrets |= {"django:billing": "p", "django:admin": "p", "rabbitmq:owner": "p"}
    secrets |= {f"rabbitmq:{user}": "p" for user in PERMISSIONS}
    secrets |= {f"redis:{user}": "p" for user in REDIS_USERS}
    secrets |= {
        f"token:{caller}>{callee}": f"{caller}>{callee}" for caller in EDGES for callee in EDGES[caller]
    }
    server = PostgresServer(Path("/nowhere"), 5432, "p")
    passwords = {role: "p" for roles in DATABASES.values() for role in roles}
    made = {name: urls(server, name, name, passwords) for name in DATABASES}
    return Addresses(LOCAL_PORTS, secrets, made, Path("/keys"), Path("/logins"))


def default(value: str) -> str:
    """What compose makes of ``${NAME:-default}`` with an empty environment."""
    pattern = re.compile(r"\$\{[A-Z0-9_]+:?-([^${}]*)\}")
    while pattern.search(value):
        value = pattern.sub(r"\1", value)
    return value


def test_every_process_and_one_shot_is_a_service_and_nothing_else_is() -> None:
    known = {process.name for process in PROCESSES} | set(ONE_SHOTS) | set(SERVERS) | {"gateway"}
    assert set(SERVICES) == known


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_contained(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    assert service["restart"]
    assert not service.get("privileged")
    assert service["user"] not in {"", "root", "0"}
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert service["stop_grace_period"]
    assert service.get("read_only", False) is (name != "rabbitmq")
    if name not in ONE_SHOTS:
        assert service["healthcheck"]["test"]


@pytest.mark.parametrize("name", OURS)
def test_our_containers_run_as_a_number_without_a_name_of_root(name: str) -> None:
    assert SERVICES[name]["user"] == "10001:10001"


def test_published_ports_are_on_loopback_and_exactly_the_documented_ones() -> None:
    published: dict[str, list[str]] = {n: s["ports"] for n, s in SERVICES.items() if s.get("ports")}
    everything = [port for ports in published.values() for port in ports]
    assert all(port.startswith("127.0.0.1:") for port in everything)
    assert sorted(int(default(port).split(":")[1]) for port in everything) == sorted(PUBLISHED_PORTS.values())
    variables = {match for port in everything for match in re.findall(r"\$\{([A-Z_]+)", port)}
    assert variables == {port_variable(name) for name in PUBLISHED_PORTS}
    assert not any(name in published for name in SERVERS if name != "rabbitmq")
    extra = {n: default(s["ports"][0]) for n, s in DEVELOPMENT["services"].items()}
    assert {name: int(port.split(":")[1]) for name, port in extra.items()} == DEVELOPMENT_PORTS
    assert all(port.startswith("127.0.0.1:") for port in extra.values())


def test_three_networks_part_the_gateway_from_the_servers() -> None:
    assert set(COMPOSE["networks"]) == {"edge", "app", "data"}
    assert COMPOSE["networks"]["data"]["internal"] is True
    assert SERVICES["gateway"]["networks"] == ["edge"]
    for name in SERVERS:
        assert "edge" not in SERVICES[name]["networks"]
    for name in (*(f"{database}-db" for database in DATABASES), "redis"):
        assert SERVICES[name]["networks"] == ["data"]


def test_every_one_shot_has_a_dependant_that_waits_for_its_end() -> None:
    waited = {
        job
        for service in SERVICES.values()
        for job, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_completed_successfully"
    }
    assert waited == set(ONE_SHOTS)


def test_user_api_and_billing_api_never_wait_for_each_other() -> None:
    def reached(name: str, seen: frozenset[str] = frozenset()) -> set[str]:
        direct = set(SERVICES[name].get("depends_on", {})) - seen
        return direct | {far for near in direct for far in reached(near, seen | direct)}

    assert not reached("user-api") & {"billing-api", "billing-worker"}
    assert not reached("billing-api") & {"user-api", "user-worker"}


@pytest.mark.parametrize(("name", "longest_seconds"), [("user-api", 28), ("pay-api", timeouts.REQUEST)])
def test_a_stop_leaves_time_for_the_longest_answer(name: str, longest_seconds: float) -> None:
    argv = SERVICES[name]["command"].split()
    waits = int(argv[argv.index("--timeout-graceful-shutdown") + 1])
    assert longest_seconds < waits < int(SERVICES[name]["stop_grace_period"].removesuffix("s"))


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.name)
def test_processes_run_the_same_command_and_settings_in_both_stacks(process: Any) -> None:
    service = SERVICES[process.name]
    command = " ".join(process.command(PUBLISHED_PORTS.get(process.name, 0), "0.0.0.0"))
    assert service["command"].strip() == command
    local = set(environment(addresses(), process.group)) - {"DEMO_LOGINS_FILE"}
    extra = {"SERVICE_NAME", "OTEL_EXPORTER_OTLP_ENDPOINT"} | (set() if process.serves else {"HEALTH_PORT"})
    if process.shares_metrics:
        extra.add("PROMETHEUS_MULTIPROC_DIR")
    if process.name in BEHIND_GATEWAY:  # loopback, where the local gateway is, needs no saying
        extra.add("FORWARDED_ALLOW_IPS")
    assert set(service["environment"]) - set(OPTIONAL) == local | extra


def test_figures_of_several_workers_lie_in_a_folder_emptied_at_each_start() -> None:
    for process in PROCESSES:
        folder = SERVICES[process.name]["environment"].get("PROMETHEUS_MULTIPROC_DIR")
        assert bool(folder) is process.shares_metrics
        assert folder is None or any(m.startswith(f"{folder}:") for m in SERVICES[process.name]["tmpfs"])


def test_credentials_of_every_edge_are_accepted_by_the_callee() -> None:
    for callee in ("user-api", "pay-api", "billing-api"):
        accepted = json.loads(default(SERVICES[callee]["environment"]["ACCEPTED_CREDENTIALS"]))
        assert set(accepted) == {caller for caller in EDGES if callee in EDGES[caller]}
        setting = f"{callee.upper().replace('-', '_')}_TOKEN"
        for caller, tokens in accepted.items():
            for name in (caller, f"{caller}-worker"):
                if name in SERVICES:
                    assert default(SERVICES[name]["environment"][setting]) == tokens[0]
    names = json.loads(default(SERVICES["broker-migrate"]["environment"]["RABBITMQ_PASSWORDS"]))
    assert set(names) == set(PERMISSIONS)


def test_every_service_has_a_redis_user_of_its_own_in_both_stacks() -> None:
    given = set(SERVICES["redis"]["environment"]) - {"APP_ENV", "REDIS_PASSWORD"}
    assert given == {f"REDIS_{user.upper().replace('-', '_')}_PASSWORD" for user in REDIS_USERS}
    for process in PROCESSES:
        for settings in (SERVICES[process.name]["environment"], environment(addresses(), process.group)):
            found = [default(value) for name, value in settings.items() if name.endswith("REDIS_URL")]
            assert {urlsplit(value).username for value in found} == {ACCOUNTS[process.group]}


def test_the_owners_of_the_databases_are_known_to_what_migrates_alone() -> None:
    """A service that is broken into cannot lift the guards of its tables: it holds no owner's password."""
    migrating = {job.name: owners(addresses(), job.group) for job in MIGRATIONS if job.migrates}
    assert len(migrating) == 4
    for name, service in SERVICES.items():
        given = service.get("environment", {})
        known = {setting: value for setting, value in given.items() if "_owner:" in default(str(value))}
        assert set(known) == set(migrating.get(name, {})), name
        if name in OURS:
            assert not [value for value in given.values() if "//postgres:" in str(value)], name
    for process in PROCESSES:
        assert not [v for v in environment(addresses(), process.group).values() if "_owner:" in v]
    owned = {urlsplit(url).username for found in migrating.values() for url in found.values()}
    assert owned == {roles[0] for roles in DATABASES.values()}


def test_every_secret_default_is_one_production_refuses() -> None:
    from shared.settings import DEFAULT_MARKS

    text = (ROOT / "docker-compose.yml").read_text()
    secrets = re.findall(r"\$\{([A-Z_]*(?:PASSWORD|TOKEN|SECRET|SECRET_KEY|_KEY)):-([^}]*)\}", text)
    assert len(secrets) > 40
    assert [name for name, value in secrets if not any(mark in value for mark in DEFAULT_MARKS)] == []


def test_no_image_is_latest_and_the_dockerfile_is_one() -> None:
    foreign = {service["image"] for name, service in SERVICES.items() if name not in OURS}
    assert foreign == {"nginx:1.28", "postgres:17", "redis:8", "rabbitmq:4-management"}
    assert {SERVICES[name]["build"]["dockerfile"] for name in OURS} == {"deploy/docker/Dockerfile"}
    assert not (ROOT / "deploy/docker/Dockerfile").read_text().startswith("# syntax")


def test_env_example_names_every_variable_with_its_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text() + (ROOT / "deploy/compose.dev.yml").read_text()
    used = set(re.findall(r"\$\{([A-Z0-9_]+)", text)) - {"NAME"}
    lines = (ROOT / ".env.example").read_text().splitlines()
    shown = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    by_service = {"CLOCK_REDIS_URL"}  # another default for each service
    assert set(shown) == used - by_service
    commented = dict(line[1:].split("=", 1) for line in lines if re.match(r"#[A-Z0-9_]+=", line))
    assert set(commented) == set(OPTIONAL) | by_service
    for name, value in re.findall(r"\$\{([A-Z0-9_]+):?-([^${}]*)\}", text):
        if name != "NAME":
            assert shown[name] == value, name


def settings_classes() -> list[tuple[str, type[SuiteSettings]]]:
    from admin_panel.settings import AdminSettings
    from billing_api.settings import BillingSettings
    from pay_api.sandbox.settings import SandboxSettings
    from pay_api.settings import Settings as PaySettings
    from scheduler.settings import SchedulerSettings
    from user_api.settings import Settings as UserSettings

    return [
        ("user-worker", UserSettings),
        ("pay-worker", PaySettings),
        ("cloudpayments-sandbox", SandboxSettings),
        ("billing-worker", BillingSettings),
        ("admin-worker", AdminSettings),
        ("scheduler-beat", SchedulerSettings),
    ]


@pytest.mark.parametrize(("service", "settings"), settings_classes(), ids=lambda value: str(value))
def test_compose_hands_on_every_setting_a_service_reads(service: str, settings: type[SuiteSettings]) -> None:
    read = {name.upper() for name in settings.model_fields}
    handed = set(SERVICES[service]["environment"])
    # the sandbox talks to no broker and has no second port; it, the panel and the scheduler are not called
    unused = {"AMQP_URL", "HEALTH_PORT"} if service == "cloudpayments-sandbox" else set()
    unused |= (
        set() if service in {"user-worker", "pay-worker", "billing-worker"} else {"ACCEPTED_CREDENTIALS"}
    )
    assert read - handed == unused
