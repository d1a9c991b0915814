"""Who may what: every page for every group, every action, and nothing without a login."""

from __future__ import annotations

from collections.abc import Callable

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
    "subscription/{subscription_id}/extend/": {"support", "finance", "admin"},
    "promocode/create/": {"marketing", "admin"},
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


def test_the_second_factor_is_enforced_when_required(panel: Panel) -> None:
    url = panel.start(ADMIN_REQUIRE_MFA="true")
    client = StaffClient(url)
    assert client.log_in("viewer").url.path == "/admin/account/2fa/totp/activate/"
    for path in ("/admin/", f"{BILLING}/account/", f"{BILLING}/account/{panel.world['account_id']}/change/"):
        assert client.get(path).url.path == "/admin/account/2fa/totp/activate/", path


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
