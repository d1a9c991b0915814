"""A stranger's machine: clone, up, demo, interruptions, servers that run already, a user without root."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable, Iterator

import pytest

from deploy.local.packages import GATEWAY_PACKAGES, SERVER_PACKAGES
from tests.deploy.bare.machine import Machine, Result

pytestmark = [pytest.mark.bare, pytest.mark.timeout(3600)]
PACKAGES = [*SERVER_PACKAGES, *GATEWAY_PACKAGES]
LOG = "/tmp/interrupted.log"


@pytest.fixture
def bare() -> Iterator[Callable[[str], Machine]]:
    """Gives machines; they are gone at the end."""
    made: list[Machine] = []

    def make(name: str) -> Machine:
        made.append(Machine(name))
        return made[-1]

    yield make
    for machine in made:
        machine.remove()


def answers(machine: Machine, printed: Result, user: str = "root") -> str:
    """Every address that `make up` printed and `make urls` prints answers as what it is said to be."""
    command = (
        f"cd cinema && printf %s {shlex.quote(printed.output)} | .venv/bin/python -m tests.deploy.bare.inside"
    )
    asked = machine.run(f"{command} addresses", user=user).output
    machine.say(f"{len(asked.splitlines())} addresses answer")
    return asked


def stored(machine: Machine, user: str = "root") -> dict[str, dict[str, list[str]]]:
    """What the databases keep."""
    command = "cd cinema && .venv/bin/python -m tests.deploy.bare.inside stored"
    found: dict[str, dict[str, list[str]]] = json.loads(
        machine.run(command, user=user).output.splitlines()[-1]
    )
    return found


def listening(machine: Machine) -> set[int]:
    """Every TCP port something listens on; no tool but Python is there to ask with."""
    script = (
        "print(*{int(l.split()[1].rsplit(':', 1)[1], 16) for f in ('/proc/net/tcp', '/proc/net/tcp6') "
        "for l in open(f).readlines()[1:] if l.split()[3] == '0A'})"
    )
    return {int(port) for port in machine.run(f"python3 -c {shlex.quote(script)}").output.split()}


def told_the_story(machine: Machine, user: str = "root") -> None:
    """`make demo`: the story with all its checks."""
    told = re.search(r"The story is told: (\d+) checks hold", machine.make("demo", user=user).output)
    assert told
    assert int(told[1]) >= 50


def nothing_is_left(machine: Machine, before: set[int]) -> None:
    """After `make reset`: no process, no port, no data."""
    assert listening(machine) == before
    assert machine.run("ls -A /var/lib/cinema-billing 2>/dev/null || true").output == ""


def test_clone_up_demo_down_up_whatever_is_interrupted(bare: Callable[[str], Machine]) -> None:
    machine = bare("interrupted")
    machine.clone()
    for when, signal in (
        ("[ -x cinema/.venv/bin/python ]", "KILL"),  # before pip is in it
        ("[ $(ls -d cinema/.venv/lib/python3*/site-packages/* 2>/dev/null | wc -l) -gt 60 ]", "KILL"),
        ("grep -sqE '^Status: .* (unpacked|half-configured)' /var/lib/dpkg/status", "KILL"),
        (f"grep -q 'postgres is ready' {LOG}", "INT"),
        (f"grep -q 'rabbitmq is ready' {LOG}", "KILL"),
        (f"grep -q 'databases migrated' {LOG}", "KILL"),
        (f"grep -q 'user-api is ready' {LOG}", "INT"),
    ):
        machine.interrupt("up MODE=local", when, signal)
    up = machine.make("up MODE=local")
    answers(machine, up)
    # what the packages start by themselves does not run, and the machine's policy is as it was: none
    assert not listening(machine) & {80, 4369, 5432, 6379, 25672}
    machine.run("test ! -e /usr/sbin/policy-rc.d && test ! -e /usr/sbin/policy-rc.d.before-cinema")
    assert machine.run("dpkg --audit").output == ""
    told_the_story(machine)

    kept = stored(machine)
    assert all(kept["rows"].values())
    machine.make("down")
    assert listening(machine) == set()
    again = machine.make("up MODE=local")
    assert re.findall(r"http://\S+", again.output) == re.findall(r"http://\S+", up.output)
    after = stored(machine)
    for database, rows in kept["rows"].items():
        assert set(rows) <= set(after["rows"][database]), database
    machine.say(f"down and up kept {sum(len(rows) for rows in kept['rows'].values())} rows")
    told_the_story(machine)

    if os.environ.get("BARE_TESTS"):  # `make test` as well, which .ci/run has run already: twenty minutes
        # what goes to the other stream may be long, and is not what says which test failed
        result = machine.make("test 2>/tmp/errors", seconds=3000)
        machine.say(result.output[-300:])
    machine.make("reset")
    nothing_is_left(machine, set())


START = """
export DEBIAN_FRONTEND=noninteractive
apt-get -q update && apt-get -q -y install --no-install-recommends {packages}
printf '#!/bin/sh\\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d  # the machine's own: kept
pg_lsclusters -h | grep -q online || pg_ctlcluster 15 main start
redis-cli ping >/dev/null 2>&1 || service redis-server start
rabbitmqctl -q status >/dev/null 2>&1 || service rabbitmq-server start
service nginx start || true
su postgres -c "psql -qc 'CREATE TABLE theirs AS SELECT generate_series(1, 1000) AS n'"
redis-cli set theirs kept >/dev/null
rabbitmqctl -q add_user theirs kept-password && rabbitmqctl -q add_vhost theirs
for port in 8080 8001 8004 9101 15432 16379; do
  (cd /var/empty 2>/dev/null || cd /opt; setsid python3 -m http.server $port >/dev/null 2>&1 &)
done
"""
# what each server says of itself and keeps, and its configuration
STATE = """
su postgres -c "psql -qAt -c 'SELECT pg_postmaster_start_time()' \\
  -c 'SELECT datname FROM pg_database ORDER BY 1' \\
  -c 'SELECT rolname FROM pg_roles ORDER BY 1' -c 'SELECT count(*), sum(n) FROM theirs'"
pg_lsclusters
redis-cli info server | grep run_id
for ask in dbsize 'get theirs' 'config get dir' 'config get port' 'acl list'; do redis-cli $ask; done
for list in users vhosts queues connections exchanges; do rabbitmqctl -q list_$list | sort; done
cat /usr/sbin/policy-rc.d
find /etc/postgresql* /etc/redis /etc/rabbitmq /etc/nginx -type f -exec md5sum {} + | sort
ls -ln /var/lib/postgresql /var/lib/redis /var/lib/rabbitmq | grep -v total | awk '{print $1, $3, $4, $9}'
"""
# process ids with their start times: a server that was restarted has others
PROCESSES = """
import pathlib
for entry in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        words = (entry / "cmdline").read_bytes().replace(bytes(1), b" ").decode().strip()
        born = (entry / "stat").read_text().rsplit(")", 1)[1].split()[19]
    except OSError:
        continue
    servers = ("postgres", "redis-server", "beam.smp", "epmd", "nginx", "http.server")
    passing = ("autovacuum worker", "[local]", "pathlib")  # sessions, and this very question
    if any(name in words for name in servers) and not any(name in words for name in passing):
        print(entry.name, born, words)
"""


def processes(machine: Machine) -> set[str]:
    """Every server process: id, start time, command line."""
    return set(machine.run(f"python3 -c {shlex.quote(PROCESSES)}").output.splitlines())


def test_servers_that_run_already_are_not_touched(bare: Callable[[str], Machine]) -> None:
    machine = bare("beside")
    machine.run(START.format(packages=" ".join(PACKAGES)))
    machine.run("until rabbitmqctl -q await_startup && redis-cli ping; do sleep 1; done", seconds=120)
    before, ports, theirs = machine.run(STATE).output, listening(machine), processes(machine)
    assert len(theirs) > 12
    assert {80, 4369, 5432, 6379, 5672, 25672, 8080, 8001, 8004, 15432, 16379} <= ports
    assert "theirs" in before
    assert before.count("\n") > 50
    machine.say(f"theirs run on {sorted(ports)}")
    machine.clone()
    up = machine.make("up MODE=local")
    chosen = {int(port) for port in re.findall(r"http://127\.0\.0\.1:(\d+)", up.output)}
    assert not chosen & ports
    assert 8002 in chosen  # one that was free
    machine.say(f"ours are printed with {sorted(chosen)}")
    answers(machine, up)
    told_the_story(machine)
    assert machine.run(STATE).output == before
    assert theirs < processes(machine)
    machine.make("down")
    assert (machine.run(STATE).output, processes(machine)) == (before, theirs)
    machine.make("up MODE=local")
    machine.make("reset")
    assert (machine.run(STATE).output, processes(machine)) == (before, theirs)
    nothing_is_left(machine, ports)
    machine.say("theirs are as they were: processes, data, users, configuration")


def test_a_user_without_root_gets_the_exact_list(bare: Callable[[str], Machine]) -> None:
    machine = bare("user")
    machine.run("useradd --create-home --shell /bin/bash stranger")
    machine.clone("/home/stranger", "stranger")
    # a Debian without the package of venv: everything is named at once
    machine.run("mv /usr/lib/python3.11/ensurepip /usr/lib/python3.11/ensurepip.away")
    refused = machine.run("cd cinema && make up MODE=local", user="stranger", succeeds=False)
    everything = ["python3-venv", *PACKAGES]
    assert f"missing on this machine: {', '.join(everything)}\n" in refused.output
    machine.run("mv /usr/lib/python3.11/ensurepip.away /usr/lib/python3.11/ensurepip")

    refused = machine.run("cd cinema && make up MODE=local", user="stranger", succeeds=False)
    assert f"missing on this machine: {', '.join(PACKAGES)}\n" in refused.output
    machine.say(refused.output.strip())
    command = re.search(r"install with: (.+)", refused.output)
    assert command
    assert command[1].count("sudo ") == 2
    files = (
        "find / -xdev -newer /tmp/before -user stranger -not -path '/home/stranger/*' -not -path '/proc/*'"
    )
    machine.run("touch /tmp/before")
    # what the administrator types; packages that start servers do so, which are then the machine's own
    machine.run("echo 'APT::Get::Assume-Yes \"true\";' >/etc/apt/apt.conf.d/90yes")
    machine.run(f"export DEBIAN_FRONTEND=noninteractive; {command[1].replace('sudo ', '')}")
    ports = listening(machine)
    up = machine.make("up MODE=local", user="stranger")
    answers(machine, up, "stranger")
    told_the_story(machine, "stranger")
    kept = stored(machine, "stranger")
    machine.make("down", user="stranger")
    machine.make("up MODE=local", user="stranger")
    assert set(kept["rows"]["pay"]) <= set(stored(machine, "stranger")["rows"]["pay"])
    machine.make("reset", user="stranger")
    nothing_is_left(machine, ports)
    assert machine.run(files).output == ""
    assert machine.processes_of("stranger") == []
