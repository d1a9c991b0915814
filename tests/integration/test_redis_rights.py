"""Each service's Redis user may do what the service does, and nothing besides."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError
from redis.retry import Retry

from deploy.local.ports import LOOPBACK, free_port
from deploy.local.servers import wait_until
from deploy.redis.users import USERS
from shared.clock import OFFSET_KEY
from tests import servers

ROOT = Path(__file__).resolve().parents[2]
Connect = Callable[[str], redis.Redis]


@pytest.fixture
def client() -> Iterator[Connect]:
    opened: list[redis.Redis] = []

    def connect(user: str) -> redis.Redis:
        opened.append(redis.Redis.from_url(servers.redis_server().url(0, user), decode_responses=True))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()


@pytest.mark.parametrize("user", USERS)
def test_nobody_looks_around_or_does_harm(client: Connect, user: str) -> None:
    own = client(user)
    own.ping()
    own.get(OFFSET_KEY)
    for command in (
        "FLUSHALL", "FLUSHDB", "CONFIG GET *", "KEYS *", "SCAN 0", "RANDOMKEY", "DBSIZE", "SHUTDOWN NOSAVE",
        "ACL LIST", "ACL WHOAMI", "CLIENT LIST", "CLIENT KILL 1.1.1.1:1", "MONITOR", "SAVE",
        "SCRIPT FLUSH", "FUNCTION FLUSH", "REPLICAOF NO ONE", "SWAPDB 0 1", "INFO", "PUBLISH x y",
        "GET another:key", "SET another:key 1", "DEL another:key",
    ):  # fmt: skip
        with pytest.raises(NoPermissionError):
            own.execute_command(*command.split())


@pytest.mark.parametrize("user", [user for user in USERS if user != "user-api"])
def test_the_clock_is_moved_by_user_api_alone(client: Connect, user: str) -> None:
    with pytest.raises(NoPermissionError):
        client(user).incrby(OFFSET_KEY, 1)
    with pytest.raises(NoPermissionError):
        client(user).get("users:rights:1")
    assert client("user-api").incrby(OFFSET_KEY, 0) is not None


def test_the_scheduler_reaches_its_own_keys_and_nobody_else_does(client: Connect) -> None:
    scheduler = client("scheduler")
    assert scheduler.set("redbeat:test", 1)
    for user in USERS:
        if user != "scheduler":
            with pytest.raises(NoPermissionError):
                client(user).get("redbeat:test")
    assert scheduler.delete("redbeat:test") == 1
    with pytest.raises(redis.ResponseError, match=r"(?i)permission|can't access"):
        scheduler.eval("return redis.call('GET', 'users:rights:1')", 0)


@pytest.fixture
def container(tmp_path: Path) -> Iterator[int]:
    """The port of a server begun by the container's own script, its paths moved to a folder."""
    port = free_port()
    text = (ROOT / "deploy/redis/start.sh").read_text()
    text = text.replace("/tmp/redis.conf", str(tmp_path / "redis.conf"))
    text = text.replace("--bind '* -::*' --dir /data", f"--bind {LOOPBACK} --port {port} --dir {tmp_path}")
    (tmp_path / "start.sh").write_text(text)
    (tmp_path / "users.acl").write_text((ROOT / "deploy/redis/users.acl").read_text())
    passwords = {f"REDIS_{user.upper().replace('-', '_')}_PASSWORD": f"{user}/&|'s own" for user in USERS}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            ["sh", str(tmp_path / "start.sh")],
            env={**os.environ, **passwords, "REDIS_PASSWORD": "operators"},
            stdout=log,
            stderr=log,
        )

    def answers() -> bool:
        with redis.Redis(LOOPBACK, port, password="operators") as asking:
            try:
                return bool(asking.ping())
            except redis.ConnectionError:
                return False

    try:
        wait_until(answers, "redis", tmp_path / "log", 20)
        assert "'s own" not in (tmp_path / "redis.conf").read_text()
        yield port
    finally:
        process.terminate()
        process.wait(20)


def test_the_container_makes_the_same_users(container: int, client: Connect) -> None:
    for user in USERS:
        with redis.Redis(LOOPBACK, container, username=user, password=f"{user}/&|'s own") as own:
            assert own.ping()
            with pytest.raises(NoPermissionError):
                own.keys("*")
        with (
            # a wrong password is not tried again with growing pauses
            redis.Redis(
                LOOPBACK, container, username=user, password="wrong", retry=Retry(NoBackoff(), 0)
            ) as stranger,
            pytest.raises(redis.AuthenticationError),
        ):
            stranger.ping()

    def rules(lines: list[str]) -> set[frozenset[str]]:
        return {frozenset(word for word in line.split() if word[0] != "#") for line in lines}

    with redis.Redis(LOOPBACK, container, password="operators", decode_responses=True) as operator:
        assert rules(operator.acl_list()) == rules(client("").acl_list())
