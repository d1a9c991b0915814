"""Sessions: rotation, reuse, ending them, and what no state of Redis may bring back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI

from shared.clock import ManualClock
from tests.user_api.accounts.conftest import Person, Register, problem_code
from tests.user_api.conftest import client_of
from user_api import cache
from user_api.user_service import refresh_session

HOUR = timedelta(hours=1)


async def rotate(person: Person) -> None:
    answer = await person.refresh()
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"access_token", "refresh_token", "token_type", "expires_in"}
    person.take(answer.json())


async def test_each_refresh_gives_new_tokens_of_the_same_session(register: Register) -> None:
    anna = await register()
    seen = {anna.refresh_token}
    for _ in range(3):
        await rotate(anna)
        seen.add(anna.refresh_token)
    assert len(seen) == 4
    assert (await anna.get("/v1/me")).status_code == 200
    assert len((await anna.get("/v1/auth/sessions")).json()["items"]) == 1


async def test_redis_holds_no_token(app: FastAPI, register: Register) -> None:
    anna = await register()
    await rotate(anna)
    client = app.state.resources.session_redis
    held = ""
    async for key in client.scan_iter():
        held += f"{key} {await client.hgetall(key) if await client.type(key) == 'hash' else ''}"
    assert "users:session:" in held
    assert anna.refresh_token not in held
    assert anna.refresh_token[:20] not in held  # nor its handle
    assert anna.email not in held


async def test_fifty_at_once_one_gets_the_successor(register: Register) -> None:
    anna = await register()
    answers = await asyncio.gather(*(anna.refresh() for _ in range(50)))
    won = [answer for answer in answers if answer.status_code == 200]
    lost = [answer for answer in answers if answer.status_code != 200]
    assert len(won) == 1
    assert {(answer.status_code, problem_code(answer)) for answer in lost} == {(409, "refresh-retry")}
    anna.take(won[0].json())
    assert (await anna.refresh()).status_code == 200


async def test_just_rotated_token_is_asked_to_retry_and_ends_nothing(
    register: Register, clock: ManualClock
) -> None:
    anna = await register()
    first = anna.refresh_token
    await rotate(anna)
    await rotate(anna)
    clock.advance(timedelta(seconds=4.9))
    answer = await anna.refresh(first)  # two rotations old, but younger than five seconds
    assert (answer.status_code, problem_code(answer)) == (409, "refresh-retry")
    assert answer.headers["retry-after"] == "1"
    assert (await anna.refresh()).status_code == 200


async def test_old_token_ends_the_family_everywhere(
    register: Register, clock: ManualClock, rows: Callable[..., Any], events: Any
) -> None:
    anna = await register()
    other = (await anna.log_in()).json()
    stolen = anna.refresh_token
    await rotate(anna)
    clock.advance(timedelta(seconds=5))
    answer = await anna.refresh(stolen)
    assert (answer.status_code, problem_code(answer)) == (401, "refresh-token-invalid")
    assert (await anna.refresh()).status_code == 401  # the rightful holder too
    assert problem_code(await anna.get("/v1/me")) == "session-ended"  # and its access token
    assert (await anna.refresh(other["refresh_token"])).status_code == 200  # other sessions live
    (row,) = await rows("SELECT family_id, reason FROM revoked_sessions")
    assert row["reason"] == "refresh-reuse"
    last = (await events(anna.id))[-1]
    assert last["type"] == "user.sessions_revoked"
    assert last["data"]["revoked_families"] == [str(row["family_id"])]


async def test_family_stays_ended_when_the_database_fails_just_then(
    register: Register, clock: ManualClock, rows: Callable[..., Any]
) -> None:
    anna = await register()
    stolen = anna.refresh_token
    await rotate(anna)
    clock.advance(timedelta(seconds=6))
    await rows("ALTER TABLE revoked_sessions ADD CONSTRAINT broken CHECK (false) NOT VALID")
    try:
        assert (await anna.refresh(stolen)).status_code == 500
    finally:
        await rows("ALTER TABLE revoked_sessions DROP CONSTRAINT broken")
    # Redis has marked the family in the step that saw the reuse; the next request brings the database along.
    assert (await anna.refresh()).status_code == 401
    assert len(await rows("SELECT 1 FROM revoked_sessions")) == 1
    assert (await anna.get("/v1/me")).status_code == 401


async def test_reuse_is_noticed_in_any_order(register: Register, clock: ManualClock) -> None:
    order = random.Random(20261123)
    for number in range(12):
        person = await register(f"person{number}@example.com")
        tokens = [person.refresh_token]
        for _ in range(order.randint(1, 4)):
            clock.advance(timedelta(seconds=order.randint(1, 900)))
            await rotate(person)
            tokens.append(person.refresh_token)
        clock.advance(timedelta(seconds=6))
        assert (await person.refresh(order.choice(tokens[:-1]))).status_code == 401
        assert (await person.refresh()).status_code == 401


async def test_made_up_tokens_end_nothing(register: Register) -> None:
    anna = await register()
    for forged in (
        "x",
        "A" * 64,
        "A" * 65,
        anna.access,
        anna.refresh_token[:-4],
        f"{anna.refresh_token}AAAA",
        "é" * 64,
    ):
        answer = await anna.refresh(forged)
        assert answer.status_code in (401, 422), forged
    assert (await anna.refresh()).status_code == 200


async def test_idle_and_absolute_life(register: Register, clock: ManualClock) -> None:
    anna = await register()
    idle = (await anna.log_in()).json()["refresh_token"]
    for _ in range(2):
        clock.advance(timedelta(days=13))
        await rotate(anna)
    assert (await anna.refresh(idle)).status_code == 401
    clock.advance(timedelta(days=4))  # 30 days after it was opened, whatever its use
    assert (await anna.refresh()).status_code == 401


async def test_access_token_lives_ten_minutes(register: Register, clock: ManualClock) -> None:
    anna = await register()
    clock.advance(timedelta(seconds=599))
    assert (await anna.get("/v1/me")).status_code == 200
    clock.advance(timedelta(seconds=1))
    assert problem_code(await anna.get("/v1/me")) == "token-expired"


async def test_log_out_ends_the_session_and_may_be_repeated(register: Register, events: Any) -> None:
    anna = await register()
    body = {"refresh_token": anna.refresh_token}
    for _ in range(2):
        assert (await anna.client.post("/v1/auth/logout", json=body)).status_code == 204
    assert (await anna.refresh()).status_code == 401
    assert (await anna.get("/v1/me")).status_code == 401
    assert [event["type"] for event in await events(anna.id)] == ["user.registered", "user.sessions_revoked"]


async def test_list_and_end_one_session(register: Register) -> None:
    anna, boris = await register(), await register("boris@example.com")
    phone = (await anna.log_in()).json()
    listed = (await anna.get("/v1/auth/sessions")).json()["items"]
    assert [item["current"] for item in listed].count(True) == 1
    (other,) = [item["id"] for item in listed if not item["current"]]
    foreign = await boris.client.delete(f"/v1/auth/sessions/{other}", headers=boris.headers)
    assert (foreign.status_code, problem_code(foreign)) == (404, "session-not-found")
    gone = await anna.client.delete(f"/v1/auth/sessions/{other}", headers=anna.headers)
    assert gone.status_code == 204
    assert (await anna.refresh(phone["refresh_token"])).status_code == 401
    assert (await anna.refresh()).status_code == 200
    assert len((await anna.get("/v1/auth/sessions")).json()["items"]) == 1


async def test_end_all_sessions(register: Register, events: Any) -> None:
    anna = await register()
    phone = (await anna.log_in()).json()
    assert (await anna.client.delete("/v1/auth/sessions", headers=anna.headers)).status_code == 204
    assert (
        (await anna.refresh()).status_code == (await anna.refresh(phone["refresh_token"])).status_code == 401
    )
    assert (await anna.get("/v1/me")).status_code == 401
    assert (await events(anna.id))[-1]["data"]["token_epoch"] == 2
    assert (await anna.log_in()).status_code == 200


async def test_flushed_redis_means_log_in_again_and_revives_nothing(app: FastAPI, register: Register) -> None:
    anna = await register()
    await anna.client.post("/v1/auth/logout", json={"refresh_token": anna.refresh_token})
    await app.state.resources.session_redis.flushdb()
    assert (await anna.refresh()).status_code == 401
    assert (await anna.get("/v1/me")).status_code == 401
    assert (await anna.log_in()).status_code == 200


async def snapshot(redis: Any) -> dict[str, dict[str, str]]:
    return {
        key: await redis.hgetall(key) async for key in redis.scan_iter() if await redis.type(key) == "hash"
    }


@pytest.mark.parametrize("how", ["log-out", "end-all", "reuse", "block"])
async def test_redis_coming_back_older_revives_nothing(
    app: FastAPI, register: Register, clock: ManualClock, as_service: Any, how: str
) -> None:
    redis = app.state.resources.session_redis
    anna = await register()
    old = anna.refresh_token
    if how == "reuse":
        await rotate(anna)
    kept = await snapshot(redis)
    match how:
        case "log-out":
            await anna.client.post("/v1/auth/logout", json={"refresh_token": anna.refresh_token})
        case "end-all":
            await anna.client.delete("/v1/auth/sessions", headers=anna.headers)
        case "reuse":
            clock.advance(timedelta(seconds=6))
            await anna.refresh(old)
        case "block":
            headers = as_service("admin-panel") | {"Idempotency-Key": "block-1"}
            path = f"/internal/v1/users/{anna.id}/block"
            answer = await anna.client.post(path, headers=headers, json={"reason": "fraud"})
            assert answer.status_code == 200, answer.text
    await redis.flushdb()
    for key, fields in kept.items():
        await redis.hset(key, mapping=fields)
    assert (await anna.refresh()).status_code == 401
    assert (await anna.get("/v1/me")).status_code == 401


async def test_redis_away_is_503_and_sessions_survive(
    make_app: Callable[..., FastAPI], register: Register
) -> None:
    anna = await register()
    away = make_app(session_redis_url="redis://127.0.0.1:1/0", cache_redis_url="redis://127.0.0.1:1/0")
    async with client_of(away) as client:
        answer = await client.post("/v1/auth/refresh", json={"refresh_token": anna.refresh_token})
        assert (answer.status_code, problem_code(answer)) == (503, "sessions-unavailable")
        assert int(answer.headers["retry-after"]) > 0
        assert (await client.get("/v1/me", headers=anna.headers)).status_code == 200
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["checks"]["sessions"]) == (200, "degraded")
        # A revocation does not wait for Redis.
        assert (await client.delete("/v1/auth/sessions", headers=anna.headers)).status_code == 204
    assert (await anna.refresh()).status_code == 401


async def test_too_many_sessions_sign_out_the_oldest(
    app: FastAPI, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "MAX_SESSIONS", 3)
    anna = await register()
    later = [(await anna.log_in()).json()["refresh_token"] for _ in range(3)]
    assert (await anna.refresh()).status_code == 401
    assert [(await anna.refresh(token)).status_code for token in later] == [200] * 3


async def test_concurrent_ends_are_told_once_and_without_gaps(register: Register, events: Any) -> None:
    anna = await register()
    families = [(await anna.log_in()).json() for _ in range(4)]
    bodies = [{"refresh_token": tokens["refresh_token"]} for tokens in families for _ in range(3)]
    await asyncio.gather(*(anna.client.post("/v1/auth/logout", json=body) for body in bodies))
    told = await events(anna.id)
    assert [event["aggregatesequence"] for event in told] == [1, 2, 3, 4, 5]
    assert [len(event["data"]["revoked_families"]) for event in told] == [0, 1, 2, 3, 4]


async def test_k23_an_answer_lost_after_a_rotation(
    register: Register, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rotated, and the process dies before it can answer: the holder signs in again, nobody else gets in."""
    anna = await register()

    def die(_: str) -> None:
        raise ConnectionResetError

    monkeypatch.setattr(refresh_session, "failpoint", die)
    assert (await anna.refresh()).status_code >= 500
    monkeypatch.undo()
    assert (await anna.refresh()).status_code == 409  # a moment ago: try again
    clock.advance(timedelta(seconds=6))
    assert (await anna.refresh()).status_code == 401
    assert (await anna.log_in()).status_code == 200
