"""Every container of the running stack: how it was made, and what its processes cannot do."""

from __future__ import annotations

import pytest

from tests.deploy.containers.engine import Container, compose
from tests.deploy.test_compose import ONE_SHOTS, OURS, SERVERS, SERVICES

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]
WRITABLE_ROOT = "rabbitmq"  # its entry point writes its configuration; it is no root either
# each process's effective, permitted, inheritable, bounding and ambient capabilities, user ids and privileges
STATUS = (
    "for p in /proc/[0-9]*; do grep -HE '^(Uid|Cap[A-Za-z]+|NoNewPrivs):' $p/status 2>/dev/null; done; true"
)


def test_every_service_has_its_container_and_nothing_else_runs(running: dict[str, Container]) -> None:
    assert set(running) == set(SERVICES)
    for service, container in running.items():
        state = container.facts["State"]
        if service in ONE_SHOTS:
            assert (state["Status"], state["ExitCode"]) == ("exited", 0), service
        else:
            assert (state["Status"], state["Health"]["Status"]) == ("running", "healthy"), service


@pytest.mark.parametrize("service", SERVICES)
def test_container_was_made_as_promised(running: dict[str, Container], service: str) -> None:
    host, config = running[service].host, running[service].facts["Config"]
    assert host["ReadonlyRootfs"] is (service != WRITABLE_ROOT)
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert not [option for option in host["SecurityOpt"] if "unconfined" in option]
    assert host["Privileged"] is False
    assert host["Init"] is True
    assert host["RestartPolicy"]["Name"] == ("on-failure" if service in ONE_SHOTS else "unless-stopped")
    assert host["Memory"] > 0
    assert host["NanoCpus"] > 0
    assert host["PidsLimit"] > 0
    assert config["User"] not in {"", "root", "0", "0:0"}
    assert not host["PidMode"]
    assert host["IpcMode"] == "private"
    assert not host["Devices"]
    if service not in ONE_SHOTS:
        assert config["Healthcheck"]["Test"]


@pytest.mark.parametrize("service", SERVICES)
def test_nothing_of_the_host_can_be_written_and_no_secret_is_on_a_command_line(
    running: dict[str, Container], service: str
) -> None:
    for mount in running[service].facts["Mounts"]:
        assert mount["Type"] == "volume" or (mount["Type"], mount["RW"]) == ("bind", False)
        assert "docker.sock" not in mount["Source"]
    config = running[service].facts["Config"]
    words = " ".join([*(config["Entrypoint"] or []), *(config["Cmd"] or [])])
    secrets = {
        value
        for name, _, value in (setting.partition("=") for setting in config["Env"])
        if name.endswith(("PASSWORD", "PASS", "TOKEN", "SECRET", "_KEY")) and value
    }
    assert not [secret for secret in secrets if secret in words]


@pytest.mark.parametrize("service", [name for name in SERVICES if name not in ONE_SHOTS])
def test_running_processes_have_no_rights(running: dict[str, Container], service: str) -> None:
    refused_everything(running[service].execute("sh", "-c", STATUS).stdout)
    for place in ("/proof", "/usr/proof", "/etc/proof", "/app/proof"):
        done = running[service].execute("sh", "-c", f"echo proof > {place}")
        assert done.returncode != 0, place
        assert (
            "Read-only file system" in done.stderr or service == WRITABLE_ROOT or "nonexistent" in done.stderr
        )


@pytest.mark.parametrize("service", ONE_SHOTS)
def test_one_shots_have_no_rights_while_they_run(service: str) -> None:
    script = f"{STATUS}; echo proof > /proof && echo WRITTEN; echo proof > /app/proof && echo WRITTEN; true"
    output = compose("run", "--rm", "--no-deps", "-T", "--entrypoint", "sh", service, "-c", script)
    assert "WRITTEN" not in output
    refused_everything(output)


def refused_everything(status: str) -> None:
    lines = [line.rsplit("status:", 1)[1].split() for line in status.splitlines() if "status:" in line]
    fields = {name for name, *_ in lines}
    assert fields == {"Uid:", "NoNewPrivs:", "CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"}
    for name, *values in lines:
        if name == "Uid:":
            assert "0" not in values
        elif name == "NoNewPrivs:":
            assert values == ["1"]
        else:
            assert int(values[0], 16) == 0, name


def test_the_lists_cover_every_service() -> None:
    assert set(OURS) | set(SERVERS) | {"gateway"} == set(SERVICES)
