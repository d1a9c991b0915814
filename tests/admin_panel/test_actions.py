# ruff: noqa: E501 - rows of a table stay on one line
"""Every action: the preview writes nothing, the confirmation does it once, with an audit row."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.admin_panel.conftest import BILLING, Panel, StaffClient

DISCOUNT = {"kind": "percentage", "value": "10", "duration_kind": "forever"}
# path, values, words of the preview, command in the audit
CASES = [
    ("account/{account_id}/adjust-charge/", {"direction": "down", "amount": "50.00", "invoice_id": "{paid_invoice_id}"},
     "−50.00", "adjust_charge"),
    ("account/{account_id}/adjust-charge/", {"direction": "up", "amount": "7,50"}, "7.50", "adjust_charge"),
    ("invoice/{paid_invoice_id}/adjust-charge/", {"direction": "down", "amount": "5"}, "−5.00", "adjust_charge"),
    ("invoiceline/{paid_line_id}/adjust-charge/", {"direction": "up", "amount": "2"}, "2.00", "adjust_charge"),
    ("account/{account_id}/grant-goodwill/", {"amount": "100"}, "Balance of the account", "grant_goodwill"),
    ("account/{account_id}/assign-discount/", DISCOUNT, "10%", "assign_discount"),
    ("promocode/create/", DISCOUNT | {"code": "spring10", "limit_per_user": "1"}, "SPRING10", "create_promo_codes"),
    ("promocode/create/", DISCOUNT | {"count": "4", "limit_per_user": "1"}, "4 generated", "create_promo_codes"),
    ("promotion/create/", DISCOUNT | {"label": "Autumn", "segment": "new_customers", "product": "{product_id}", "budget": "1000",
     "starts_on": "2027-01-01", "ends_on": "2027-01-31", "priority": "0"}, "1 Jan 2027", "create_promotion"),
    ("subscription/{subscription_id}/extend/", {"days": "5"}, "moves by 5 days", "extend_subscription"),
    ("payment/{payment_id}/refund/", {"amount": "99.99"}, "99.99", "refund_payment"),
    ("payment/{spent_payment_id}/refund/", {}, "becomes a debt", "refund_payment"),
    ("payment/{changed_payment_id}/refund/", {}, "given twice", "refund_payment"),
    ("invoice/{open_invoice_id}/write-off/", {}, "uncollectible", "write_off"),
]  # fmt: skip


def _audit(panel: Panel) -> int:
    return int(panel.rows("billing", "SELECT count(*) FROM audit_record")[0][0])


def test_every_action_previews_then_acts_once(panel: Panel, clients: Callable[..., StaffClient]) -> None:
    client = clients("admin")
    for template, given, words, command in CASES:
        path = f"{BILLING}/{template.format(**panel.world)}"
        values = {name: value.format(**panel.world) for name, value in given.items()} | {
            "reason": f"why {command}"
        }
        before = panel.counts()
        preview, sent = client.act(path, values)
        assert preview.status_code == 200, preview.text[-2000:]
        assert words in preview.text, (template, words)
        assert panel.counts() == before, template
        done = client.post(preview, sent | {"confirm": "1"})
        assert done.status_code == 200, template
        after = panel.counts()
        assert after["audit_record"] == before["audit_record"] + 1, template
        again = client.post(preview, sent | {"confirm": "1"})
        assert "already confirmed" in again.text, template
        assert panel.counts() == after, template
        (row,) = panel.rows("billing", "SELECT command, actor_kind, actor_id, reason FROM audit_record"
                            " ORDER BY done_at DESC, id DESC LIMIT 1")  # fmt: skip
        assert row == (command, "staff", "admin", f"why {command}")


def test_a_discount_is_ended(panel: Panel, clients: Callable[..., StaffClient]) -> None:
    client = clients("marketing")
    path = f"{BILLING}/account/{panel.world['account_id']}/assign-discount/"
    preview, sent = client.act(path, DISCOUNT | {"reason": "to be ended"})
    client.post(preview, sent | {"confirm": "1"})
    sql = "SELECT id FROM personal_discount WHERE reason = 'to be ended'"
    ((discount_id,),) = panel.rows("billing", sql)
    preview, sent = client.act(f"{BILLING}/personaldiscount/{discount_id}/end/", {"reason": "by mistake"})
    client.post(preview, sent | {"confirm": "1"})
    ended = panel.rows("billing", "SELECT end_reason FROM personal_discount WHERE id = %s", discount_id)
    assert ended == [("by mistake",)]


@pytest.mark.parametrize(
    "values",
    [
        {"direction": "down", "amount": "0", "reason": "zero"},
        {"direction": "down", "amount": "1.234", "reason": "three decimals"},
        {"direction": "sideways", "amount": "10", "reason": "no such way"},
        {"direction": "down", "amount": "10", "reason": ""},
        {"direction": "down", "amount": "1000000", "reason": "more than the invoice"},
    ],
)
def test_bad_input_is_refused_with_words(
    panel: Panel, clients: Callable[..., StaffClient], values: dict[str, str]
) -> None:
    before = panel.counts()
    path = f"{BILLING}/account/{panel.world['account_id']}/adjust-charge/"
    page, sent = clients("finance").act(path, values | {"invoice_id": panel.world["paid_invoice_id"]})
    assert page.status_code == 422
    assert 'id="effect"' not in page.text
    assert clients("finance").post(page, sent | {"confirm": "1"}).status_code == 422
    assert panel.counts() == before


def test_a_refusal_is_told_in_the_language_of_the_page(
    panel: Panel, clients: Callable[..., StaffClient]
) -> None:
    path = f"{BILLING}/payment/{panel.world['payment_id']}/refund/"
    refused, _ = clients("finance", "ru").act(path, {"amount": "100000", "reason": "too much"})
    assert refused.status_code == 422
    assert "Возвраты вместе не могут превышать платёж." in refused.text
    page = f"{BILLING}/invoice/{panel.world['paid_invoice_id']}"
    refused, _ = clients("admin", "ru").act(f"{page}/void/", {"reason": "paid already"})
    assert "Счёт больше не открыт. Сейчас: оплачен." in refused.text


def test_a_token_is_not_used_for_another_amount(panel: Panel, clients: Callable[..., StaffClient]) -> None:
    client = clients("finance")
    path = f"{BILLING}/account/{panel.world['account_id']}/grant-goodwill/"
    preview, sent = client.act(path, {"amount": "1", "reason": "one rouble"})
    client.post(preview, sent | {"confirm": "1"})
    before = panel.counts()
    other = client.post(preview, sent | {"confirm": "1", "amount": "1000"})
    assert other.status_code == 422
    assert "other values" in other.text
    assert panel.counts() == before


def test_a_subscription_set_aside_is_billed_again(panel: Panel, clients: Callable[..., StaffClient]) -> None:
    """Refused while the run has not set it aside; then its failures are forgotten and the audit keeps why."""
    subscription_id = panel.world["subscription_id"]
    path = f"{BILLING}/subscription/{subscription_id}/bill-again/"
    client = clients("finance")
    refused, _ = client.act(path, {"reason": "price mended"})
    assert refused.status_code == 422
    assert "has not set it aside" in refused.text
    panel.rows(
        "billing", "UPDATE subscription SET billing_failures = 3 WHERE id = %s RETURNING id", subscription_id
    )
    assert "yes" in client.get(f"{BILLING}/subscription/{subscription_id}/change/").text
    preview, sent = client.act(path, {"reason": "price mended"})
    assert preview.status_code == 200
    assert "Failures in a row" in preview.text
    client.post(preview, sent | {"confirm": "1"})
    sql = "SELECT billing_failures FROM subscription WHERE id = %s"
    assert panel.rows("billing", sql, subscription_id) == [(0,)]
    (row,) = panel.rows(
        "billing", "SELECT command, reason FROM audit_record ORDER BY done_at DESC, id DESC LIMIT 1"
    )
    assert row == ("release_subscription", "price mended")
    denied = clients("support").get(path)
    assert denied.status_code == 403


def test_a_promotion_is_ended_once(panel: Panel, clients: Callable[..., StaffClient]) -> None:
    client = clients("marketing")
    values = DISCOUNT | {"label": "Short", "segment": "all", "priority": "3", "starts_on": "2030-01-01"}
    preview, sent = client.act(f"{BILLING}/promotion/create/", values | {"reason": "to be ended"})
    assert preview.status_code == 200, preview.text[-2000:]
    client.post(preview, sent | {"confirm": "1"})
    sql = "SELECT id, priority, is_active FROM promotion WHERE label = 'Short'"
    ((promotion_id, priority, is_active),) = panel.rows("billing", sql)
    assert (priority, is_active) == (3, True)
    page = client.get(f"{BILLING}/promotion/{promotion_id}/change/")
    assert "Every product" in page.text
    assert f"/promotion/{promotion_id}/end/" in page.text
    preview, sent = client.act(f"{BILLING}/promotion/{promotion_id}/end/", {"reason": "by mistake"})
    assert preview.status_code == 200
    client.post(preview, sent | {"confirm": "1"})
    assert panel.rows("billing", sql)[0][2] is False
    assert client.get(f"{BILLING}/promotion/{promotion_id}/end/").status_code == 403
    assert f"/promotion/{promotion_id}/end/" not in client.get(str(page.url)).text


@pytest.mark.parametrize(
    "wrong",
    [
        {"label": ""},
        {"segment": "nobody"},
        {"product": "11111111-1111-1111-1111-111111111111"},
        {"budget": "0"},
        {"value": "101"},
        {"starts_on": "2030-02-02", "ends_on": "2030-02-01"},
        {"ends_on": "2020-01-01"},
        {"priority": "-1"},
    ],
)
def test_a_wrong_promotion_is_refused(
    panel: Panel, clients: Callable[..., StaffClient], wrong: dict[str, str]
) -> None:
    before = panel.counts()
    values = DISCOUNT | {"label": "Wrong", "segment": "all", "priority": "0", "reason": "wrong one"} | wrong
    page, sent = clients("marketing").act(f"{BILLING}/promotion/create/", values)
    assert page.status_code == 422
    assert clients("marketing").post(page, sent | {"confirm": "1"}).status_code == 422
    assert panel.counts() == before


def test_a_finding_is_found_read_and_resolved(panel: Panel, clients: Callable[..., StaffClient]) -> None:
    """From the figure of the overview to the row, its payment and account, and out of the open ones."""
    client, payment_id = clients("finance"), panel.world["payment_id"]
    sql = "SELECT id, resolved_at IS NULL FROM review_item WHERE subject_id = %s"
    panel.rows("billing", "UPDATE review_item SET resolved_at = NULL RETURNING id")
    ((finding, _open),) = panel.rows("billing", sql, payment_id)
    path = f"{BILLING}/reviewitem/{finding}/"
    assert "/reviewitem/?state=open" in client.get("/admin/").text
    assert path in client.get(f"{BILLING}/reviewitem/?state=open&kind=payment_disagrees").text
    for query in ("state=resolved", "kind=refund_refused", "q=nobody@example.org"):
        assert path not in client.get(f"{BILLING}/reviewitem/?{query}").text, query
    page = client.get(path + "change/")
    for words in (f"/payment/{payment_id}/", f"/account/{panel.world['account_id']}/", "captured-differs"):
        assert words in page.text, words
    preview, sent = client.act(path + "resolve/", {"reason": "compared with the cabinet"})
    client.post(preview, sent | {"confirm": "1"})
    assert panel.rows("billing", sql, payment_id)[0][1] is False
    assert "finance: compared with the cabinet" in client.get(path + "change/").text
    assert path not in client.get(f"{BILLING}/reviewitem/?state=open").text
    assert client.get(path + "resolve/").status_code == 403
    panel.rows("billing", "UPDATE review_item SET resolved_at = NULL RETURNING id")
