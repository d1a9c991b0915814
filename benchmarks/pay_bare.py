"""What payments are measured against: a bare route with the same commits, and a bare echo provider."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
from fastapi import FastAPI, Request

# What PayAPI commits for one payment: the key; the intent; the verdict with the stored answer.
ROWS_SQL = (
    "CREATE TABLE bare_row (id uuid PRIMARY KEY, step int NOT NULL, parent uuid, body jsonb NOT NULL);"
    "CREATE INDEX bare_row_parent ON bare_row (parent)"
)
INSERT_SQL = "INSERT INTO bare_row (id, step, parent, body) VALUES ($1, $2, $3, $4)"
UPDATE_SQL = "UPDATE bare_row SET step = $2, body = $3 WHERE id = $1"


def create_bare() -> FastAPI:
    """Three commits by asyncpg with rows like PayAPI's, and one call of the echo after the second."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=10, max_size=20) as pool,
            httpx.AsyncClient(base_url=os.environ["CLOUDPAYMENTS_API_URL"], trust_env=False) as http,
        ):
            app.state.pool, app.state.http = pool, http
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/v1/payments", status_code=201)
    async def pay(request: Request) -> dict[str, Any]:
        body = await request.json()
        pool, parent = app.state.pool, uuid.uuid4()
        text = json.dumps(body)
        key, payment, attempt = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
        await pool.execute(INSERT_SQL, key, 0, parent, text)
        async with pool.acquire() as connection, connection.transaction():
            # invoice, payment, attempt, two steps of history, event
            for row in (uuid.uuid4(), payment, attempt, uuid.uuid4(), uuid.uuid4(), uuid.uuid4()):
                await connection.execute(INSERT_SQL, row, 1, parent, text)
        answer = await app.state.http.post("/payments/cards/charge", json={"InvoiceId": str(attempt)})
        model = json.dumps(answer.json())
        async with pool.acquire() as connection, connection.transaction():
            # payment and attempt move, a step, an event, the awaited receipt, the answer beside the key
            await connection.execute(UPDATE_SQL, payment, 2, model)
            await connection.execute(UPDATE_SQL, attempt, 2, model)
            for row in (uuid.uuid4(), uuid.uuid4(), uuid.uuid4()):
                await connection.execute(INSERT_SQL, row, 2, parent, model)
            await connection.execute(UPDATE_SQL, key, 3, model)
        return {"id": str(payment), "status": "succeeded"}

    return app


_HEAD = [(b"content-type", b"application/json")]


def create_echo() -> Any:
    """Answers any charge at once as completed, under the invoice and sum it was asked for."""

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        raw, more = b"", True
        while more:
            message = await receive()
            raw, more = raw + message.get("body", b""), message.get("more_body", False)
        asked = json.loads(raw or b"{}")
        model = {
            "TransactionId": uuid.uuid4().int % 10**15 + 1,
            "Amount": asked.get("Amount"),
            "Currency": "RUB",
            "InvoiceId": asked.get("InvoiceId"),
            "AccountId": asked.get("AccountId"),
            "Status": "Completed",
            "ReasonCode": 0,
            "Type": 0,
            "TestMode": True,
        }
        body = json.dumps({"Model": model, "Success": True, "Message": None}).encode()
        head = [*_HEAD, (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})

    return app
