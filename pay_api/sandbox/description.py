"""Describes the stand-in to people and tools: OpenAPI built from the registered methods, and a page of it."""

from __future__ import annotations

import inspect
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pay_api.sandbox.pages import render
from pay_api.sandbox.registry import registered

_OPERATOR: Final = {
    ("get", "/payments/publickey"): "The key a browser encrypts cards with; open to all.",
    ("post", "/acs"): "The issuer's page: PaReq, MD, TermUrl.",
    ("get", "/bins/info/{bin}"): "The bank of a card by its first six digits; open to all.",
    ("get", "/merchant/configuration"): "What a payment form needs to know of the terminal; open to all.",
    ("get", "/d/{order_id}"): "The page of an order, where a payer gives a card.",
    ("get", "/qr/{link_id}"): "The page of a link or QR code, where a payer confirms or declines.",
    ("post", "/payments/ThreeDSCallback"): "The end of 3-D Secure for apps: MD as JSON, PaRes; open to all.",
    ("post", "/WebFormPost/GetWebViewData"): "Gives an app what the issuer's page posted; open to all.",
    ("post", "/chargebacks"): "Takes money of a payment back from the merchant: transaction_id, amount.",
    ("get", "/oracle"): "The ledger of effects, by invoice_id and account_id.",
    ("get", "/faults"): "Scripted faults that still strike.",
    ("post", "/faults"): "Scripts a fault: kind, method, webhook, count, seconds, manner, reason_code.",
    ("delete", "/faults"): "Clears the script.",
}


def describe() -> dict[str, Any]:
    """An OpenAPI 3.1 document; bodies are described by the provider, not repeated here."""
    answer = {"200": {"description": "Success, Message and, for most methods, Model"}}
    paths: dict[str, dict[str, Any]] = {}
    for name, method in sorted(registered().items()):
        words = inspect.getdoc(method) or f"{inspect.getdoc(inspect.getmodule(method))}"
        body = {"content": {"application/json": {"schema": {"type": "object"}}}}
        paths[f"/{name}"] = {
            "post": {
                "summary": words.splitlines()[0],
                "requestBody": body,
                "responses": answer,
                "security": [{"basic": []}],
            }
        }
    for (verb, path), summary in _OPERATOR.items():
        paths.setdefault(path, {})[verb] = {"summary": summary, "responses": answer}
    return {
        "openapi": "3.1.0",
        "info": {"title": "cloudpayments-sandbox", "version": "1"},
        "components": {"securitySchemes": {"basic": {"type": "http", "scheme": "basic"}}},
        "paths": paths,
    }


async def openapi(_: Request) -> Response:
    return JSONResponse(describe())


async def docs(_: Request) -> Response:
    rows = [
        (verb.upper(), path, operation["summary"])
        for path, operations in describe()["paths"].items()
        for verb, operation in operations.items()
    ]
    return render("docs.html", rows=rows)
