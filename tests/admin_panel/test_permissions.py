"""Who may what: every page for every group, every action, and nothing without a login."""

from __future__ import annotations

import base64
import hmac
import re
import struct
import time
from collections.abc import Callable, Iterator

import psycopg2
import pytest

from tests.admin_panel.conftest import BILLING, Panel, StaffClient

READ_ONLY = {
    "billing_service.account",
    "billing_service.invoiceline",
    "billing_service.invoice",
    "billing_service.payment",
    "billing_service.subscription",
    "billing_service.personaldiscount",
    "billing_service.promotion",
    "billing_service.promocode",
    "billing_service.ledgertransaction",
    "billing_service.creditnote",
    "billing_service.billingrun",
    "billing_service.reviewitem",
    "billing_service.auditrecord",
    "users.user",
}
CATALOGUE = {"catalog.movie", "catalog.collection", "catalog.product"}
ACTIONS = {
    "account/{account_id}/adjust-charge/": {"finance", "admin"},
    "account/{account_id}/grant-goodwill/": {"support", "finance", "admin"},
    "account/{account_id}/assign-discount/": {"marketing", "admin"},
    "invoice/{open_invoice_id}/void/": {"finance", "admin"},
    "invoice/{open_invoice_id}/write-off/": {"finance", "admin"},
    "payment/{payment_id}/refund/": {"finance", "admin"},
    "payment/{transfer_id}/confirm-transfer/": {"finance", "admin"},
    "payment/{transfer_id}/confirm-refund/": {"finance", "admin"},
    "payment/{doubted_payment_id}/settle-review/": {"finance", "admin"},
    "payment/{doubted_payment_id}/confirm-refund/": {"finance", "admin"},
    "payment/{payment_id}/settle-review/": set(),  # nothing of it is in doubt
    "payment/{payment_id}/confirm-transfer/": set(),  # a card's money is confirmed by its provider
    "subscription/{subscription_id}/extend/": {"support", "finance", "admin"},
    "promocode/create/": {"marketing", "admin"},
    "promotion/create/": {"marketing", "admin"},
    "promotion/{promotion_id}/end/": {"marketing", "admin"},
    "reviewitem/{review_item_id}/resolve/": {"finance", "admin"},
    "../users/user/{user_id}/block/": {"support", "admin"},
    "../users/user/{user_id}/unblock/": {"support", "admin"},
    "../users/user/{user_id}/end-sessions/": {"support", "admin"},
}
GROUPS = ("viewer", "support", "finance", "marketing", "admin")


def test_the_matrix_of_pages(panel: Panel) -> None:
    for group, pages in panel.inside("matrix").items():
        assert set(pages) == READ_ONLY | CATALOGUE | {"auth.user", "auth.group"}
        assert {pages[page] for page in READ_ONLY} == {"v"}, group
        edits = "vac" if group in ("marketing", "admin") else "v"
        assert {pages[page] for page in CATALOGUE} == {edits}, group
        assert pages["auth.user"] == ("vac" if group == "admin" else ""), group
        assert pages["auth.group"] == ("v" if group == "admin" else ""), group


@pytest.mark.parametrize("group", GROUPS)
def test_the_matrix_of_actions(panel: Panel, clients: Callable[..., StaffClient], group: str) -> None:
    client = clients(group)
    for path, groups in ACTIONS.items():
        answer = client.get(f"{BILLING}/{path.format(**panel.world)}")
        assert answer.status_code == (200 if group in groups else 403), (group, path)


def test_nothing_is_seen_without_a_login(panel: Panel) -> None:
    stranger = StaffClient(panel.url)
    for path in (
        "/admin/",
        f"{BILLING}/account/",
        f"{BILLING}/account/{panel.world['account_id']}/adjust-charge/",
    ):
        answer = stranger.get(path)
        assert answer.url.path == "/admin/account/login/", path
    assert stranger.get("/admin/account/signup/").status_code in (200, 404)
    assert "password1" not in stranger.get("/admin/account/signup/").text


def test_a_wrong_password_is_refused_and_slowed_down(panel: Panel) -> None:
    stranger = StaffClient(panel.url)
    answers = [stranger.log_in("nobody", "wrong password") for _ in range(7)]
    assert all(answer.url.path == "/admin/account/login/" for answer in answers)
    assert "Too many failed login attempts" in answers[-1].text


@pytest.fixture
def without_factor(panel: Panel) -> Iterator[None]:
    """Whoever enrolled in the test is without a second factor for the others after it."""
    yield
    connection = psycopg2.connect(panel.databases["admin"].superuser)
    with connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM mfa_authenticator")
    connection.close()


@pytest.mark.usefixtures("without_factor")
def test_the_second_factor_is_enforced_when_required(panel: Panel) -> None:
    client = StaffClient(panel.start(ADMIN_REQUIRE_MFA="true"))
    inside = ("/admin/", f"{BILLING}/account/", f"{BILLING}/account/{panel.world['account_id']}/change/")
    page = client.log_in("viewer")
    for path in inside:  # not enrolled yet: enrolling is all there is, after the password once more
        assert client.get(path).url.path == "/admin/account/reauthenticate/", path
    page = client.post(page, {"password": "dev-viewer-password", "next": "/admin/account/2fa/totp/activate/"})
    assert "Incorrect code" in client.post(page, {"code": "000000"}).text
    page = client.get("/admin/account/2fa/totp/activate/")
    secret = re.search(r"value=.([A-Z2-7]{32}).", page.text)
    assert secret, page.text[-1500:]
    done = client.post(page, {"code": totp(secret[1])})
    assert done.url.path != page.url.path, done.text[-3000:]
    for path in inside:  # enrolled, but this session has not shown the factor
        page = client.get(path)
        assert page.url.path == "/admin/account/2fa/reauthenticate/", path
    codes = client.get("/admin/account/2fa/recovery-codes/")
    found = re.findall(r"\b([0-9a-f]{8})\b", codes.text)
    assert client.post(page, {"code": found[0]}).status_code == 200
    for path in inside:
        assert client.get(path).url.path == path
    again = StaffClient(client.url)
    assert again.log_in("viewer").url.path == "/admin/account/2fa/authenticate/"
    for path in inside:  # the password alone opens nothing
        assert again.get(path).url.path == "/admin/account/2fa/authenticate/"


def totp(secret: str) -> str:
    """The code of this half minute (RFC 6238)."""
    counter = struct.pack(">Q", int(time.time()) // 30)
    digest = hmac.new(base64.b32decode(secret), counter, "sha1").digest()
    start = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[start : start + 4])[0] & 0x7FFFFFFF) % 1_000_000:06d}"


def test_forms_need_their_csrf_token(panel: Panel, clients: Callable[..., StaffClient]) -> None:
    path = f"{BILLING}/account/{panel.world['account_id']}/grant-goodwill/"
    answer = clients("finance").http.post(path, data={"amount": "10", "reason": "no token", "confirm": "1"})
    assert answer.status_code == 403


def test_safe_headers(clients: Callable[..., StaffClient]) -> None:
    headers = clients("viewer").get("/admin/").headers
    policy = headers["content-security-policy"]
    assert "script-src 'self' 'unsafe-eval'" in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-correlation-id"]
    assert headers["cache-control"] == "no-store" or "no-store" in headers["cache-control"]
