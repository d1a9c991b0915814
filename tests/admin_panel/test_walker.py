"""Every address of AdminPanel against every kind of caller, cell by cell as the committed table says.

``WRITE_SECURITY_TABLE=1`` writes what was seen into the table; its difference is then for a person to judge.
A new address without a row fails here.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from tests.admin_panel.conftest import Panel, StaffClient
from tests.admin_panel.test_permissions import GROUPS

TABLE = Path(__file__).with_name("expected_statuses.json")
LOGIN = "login"  # sent to the log-in page: nothing is shown
# All that a stranger is answered: the door itself, and health (which the gateway hides from outside).
PUBLIC = {
    "admin/account/inactive/",
    "admin/account/login/",
    "healthz",
    "metrics",
    "readyz",
}
# Asking for these would change what the next question meets.
LEFT_OUT = re.compile(r"logout|setlang")
NOBODY = str(UUID(int=7))
FILLED = {"app_label": "billing_service", "content_type_id": "1", "url": "nowhere"}
# Whose rows the addresses of a model are filled with; of the others there may be none: a staff member who may
# see them is sent on or told 404, whoever may not is told 403.
SUBJECTS = {
    "billing_service/account": "account_id",
    "billing_service/invoice": "paid_invoice_id",
    "billing_service/invoiceline": "paid_line_id",
    "billing_service/payment": "payment_id",
    "billing_service/promotion": "promotion_id",
    "billing_service/reviewitem": "review_item_id",
    "billing_service/subscription": "subscription_id",
    "users/user": "user_id",
}
ROWS = {
    "billing_service/ledgertransaction": ("billing", "SELECT min(id::text) FROM ledger_transaction"),
    "catalog/movie": ("movies", "SELECT min(id::text) FROM movie"),
    "catalog/collection": ("movies", "SELECT id FROM collection WHERE slug = 'all'"),
    "catalog/product": ("movies", "SELECT id FROM product WHERE slug = 'premium'"),
    "auth/user": ("admin", "SELECT id FROM auth_user WHERE username = 'viewer'"),
    "auth/group": ("admin", "SELECT min(id) FROM auth_group"),
}


def subjects(panel: Panel) -> dict[str, str]:
    """Model, as its address says it -> the id of a row that stays where it is, whatever other tests do."""
    found = {model: panel.world[name] for model, name in SUBJECTS.items()}
    return found | {model: str(panel.rows(*query)[0][0]) for model, query in ROWS.items()}


def filled(template: str, rows: dict[str, str]) -> str:
    """An address one can ask for."""
    model = "/".join(template.split("/")[1:3])
    row = rows.get(model, NOBODY)
    path = re.sub(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)", r"<\1>", template)
    path = path.replace("([^/]+)", row, 1).replace("([^/]+)", "1").replace("^", "").replace("$", "")
    path = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: FILLED.get(found[1], row), path)
    assert re.fullmatch(r"[\w/-]*", path), (template, path)
    return "/" + path


def status_of(client: StaffClient, method: str, path: str) -> int | str:
    answer = client.http.request(method, path, follow_redirects=False)
    target = urlsplit(answer.headers.get("location", "")).path
    if answer.status_code == 302 and target in ("/admin/login/", "/admin/account/login/"):
        return LOGIN
    return answer.status_code


@pytest.fixture(scope="module")
def seen(panel: Panel, clients: Callable[..., StaffClient]) -> dict[str, dict[str, Any]]:
    callers = {"stranger": StaffClient(panel.url)} | {group: clients(group) for group in GROUPS}
    rows = subjects(panel)
    templates = [one for one in panel.inside("addresses") if not LEFT_OUT.search(one)]

    def column(client: StaffClient, method: str) -> list[int | str]:
        return [status_of(client, method, filled(template, rows)) for template in templates]

    with ThreadPoolExecutor(len(callers) + 1) as pool:
        columns = {name: pool.submit(column, client, "GET") for name, client in callers.items()}
        # Without the form's own token nothing is done, whoever sends it.
        columns["post without token"] = pool.submit(column, clients("admin"), "POST")
    answers = {name: done.result() for name, done in columns.items()}
    return {
        template: {name: statuses[number] for name, statuses in answers.items()}
        for number, template in enumerate(templates)
    }


def test_a_stranger_sees_nothing_but_the_door(seen: dict[str, dict[str, Any]]) -> None:
    assert len(seen) > 100
    opened = {template for template, cells in seen.items() if cells["stranger"] != LOGIN}
    assert opened == PUBLIC


def test_no_address_breaks(seen: dict[str, dict[str, Any]]) -> None:
    broken = {
        template: cells
        for template, cells in seen.items()
        if any(isinstance(status, int) and status >= 500 for status in cells.values())
    }
    assert broken == {}


def test_no_form_is_taken_without_its_token(seen: dict[str, dict[str, Any]]) -> None:
    taken = {template: cells["post without token"] for template, cells in seen.items()}
    assert set(taken.values()) == {403}


def test_the_table_is_complete_and_right(seen: dict[str, dict[str, Any]]) -> None:
    if os.environ.get("WRITE_SECURITY_TABLE"):
        TABLE.write_text(json.dumps(seen, indent=1, sort_keys=True) + "\n")
    known = json.loads(TABLE.read_text())
    assert seen == known, "run this with WRITE_SECURITY_TABLE=1 and judge the difference"
