"""What staff may do to money: each command previews, writes, is audited, and refuses what it must."""

from __future__ import annotations

import pytest

from shared.errors import AppError
from shared.money import Money


def staff():
    from billing_api.billing_service.actors import Actor

    return Actor("staff", "olga")


def said(world) -> dict:
    return {"actor": staff(), "reason": "the customer asked", "now": world.now}


def bought(world):
    anna = world.customer()
    started = world.buy(anna)
    return anna, started, world.pay(started, anna)


def audited() -> list[str]:
    from billing_api.billing_service.models import AuditRecord

    return list(AuditRecord.objects.order_by("id").values_list("command", flat=True))


def broken() -> list[str]:
    from billing_api.billing_service.invariants import check_invariants

    return [one.name for one in check_invariants() if not one.holds]


def test_a_charge_is_adjusted_up_by_an_invoice_and_down_by_a_credit_note(world) -> None:
    from billing_api.billing_service import queries
    from billing_api.billing_service.commands.adjust_charge import adjust_charge
    from billing_api.billing_service.models import AuditRecord, CreditNote, Invoice

    anna, started, _ = bought(world)
    preview = adjust_charge(started.invoice_id, Money(-10000), preview=True, **said(world))
    assert (preview.balance_before.amount, preview.balance_after.amount) == (0, 10000)
    assert not CreditNote.objects.exists()
    assert audited() == []
    down = adjust_charge(started.invoice_id, Money(-10000), **said(world))
    assert (down.document, down.number) == ("credit_note", "CN-2026-000001")
    assert world.balance(anna) == world.available(anna) == 10000

    up = adjust_charge(started.invoice_id, Money(4000), **said(world))
    charge = Invoice.objects.get(id=up.document_id)
    assert (charge.kind, charge.status, charge.balance_applied_minor) == ("charge", "paid", 4000)
    assert queries.invoice_view(charge)["lines"][0]["description"]["ru"].startswith("Корректировка")
    assert world.balance(anna) == up.balance_after.amount == 6000
    more = adjust_charge(started.invoice_id, Money(10000), **said(world))
    assert world.invoice(more.document_id).amount_due_minor == 4000
    with pytest.raises(AppError, match="credit-exceeds-invoice"):
        adjust_charge(started.invoice_id, Money(-39901), **said(world))
    with pytest.raises(AppError, match="reason-missing"):
        adjust_charge(started.invoice_id, Money(1), actor=staff(), reason=" ", now=world.now)
    assert audited() == ["adjust_charge"] * 3
    record = AuditRecord.objects.order_by("id").first()
    assert (record.actor_id, record.reason) == ("olga", "the customer asked")
    assert record.before["balance"]["amount"] == 0
    assert record.after["balance"]["amount"] == 10000
    assert broken() == []


def test_a_credit_on_an_open_invoice_lowers_what_is_due(world) -> None:
    from billing_api.billing_service.commands.adjust_charge import adjust_charge

    anna = world.customer()
    started = world.buy(anna)
    adjust_charge(started.invoice_id, Money(-9900), **said(world))
    assert world.invoice(started.invoice_id).amount_due_minor == 40000
    adjust_charge(started.invoice_id, Money(-40000), **said(world))
    assert world.invoice(started.invoice_id).status == "paid"
    assert world.subscription(started).status == "active"
    assert world.balance(anna) == 0
    assert broken() == []


def test_write_off_and_void(world) -> None:
    from billing_api.billing_service.answers import OrderAnswer
    from billing_api.billing_service.commands.settle_close_answer import settle_close_answer
    from billing_api.billing_service.commands.void_invoice import void_invoice
    from billing_api.billing_service.commands.write_off import write_off
    from billing_api.billing_service.models import OutgoingOrder

    anna, boris = world.customer(), world.customer()
    first, second = world.buy(anna), world.buy(boris)
    assert write_off(first.invoice_id, preview=True, **said(world)).amount.amount == 49900
    write_off(first.invoice_id, **said(world))
    assert world.invoice(first.invoice_id).status == "uncollectible"
    assert world.balance(anna) == 0
    with pytest.raises(AppError, match="invoice-not-open"):
        void_invoice(first.invoice_id, **said(world))

    void_invoice(second.invoice_id, **said(world))
    void_invoice(second.invoice_id, **said(world))
    assert world.invoice(second.invoice_id).status == "open"
    settle_close_answer(
        OutgoingOrder.objects.get().id, OrderAnswer("accepted", result="closed"), now=world.now
    )
    assert world.invoice(second.invoice_id).status == "void"
    assert world.subscription(second).status == "expired"
    assert audited()[-1] == "void_invoice_done"
    assert broken() == []


def test_refund_orders_never_exceed_the_payment(world) -> None:
    from billing_api.billing_service.commands.refund_payment import refund_payment

    anna, started, state = bought(world)
    first = refund_payment(state.payment_id, Money(30000), **said(world))
    assert (first.left.amount, first.ends_subscription) == (19900, False)
    with pytest.raises(AppError) as refused:
        refund_payment(state.payment_id, Money(19901), **said(world))
    assert refused.value.extra["left"]["amount"] == 19900
    state = world.refund(state, 30000, refund_order_id=first.order_id)
    world.hear(state)
    assert world.invoice(started.invoice_id).credited_minor == 30000
    assert world.subscription(started).status == "active"
    second = refund_payment(state.payment_id, Money(19900), **said(world))
    assert second.ends_subscription
    world.hear(world.refund(state, 19900, refund_order_id=second.order_id))
    assert world.subscription(started).status == "cancelled"
    assert world.balance(anna) == 0
    assert broken() == []


def test_a_personal_discount_works_until_it_is_ended(world) -> None:
    from billing_api.billing_service.commands.assign_discount import DiscountTerms, assign_discount
    from billing_api.billing_service.commands.end_discount import end_discount
    from billing_api.billing_service.commands.quote_price import quote_price

    anna, _, _ = bought(world)
    terms = DiscountTerms("percentage", 2900, duration_kind="forever")
    with pytest.raises(AppError, match="discount-invalid"):
        assign_discount(anna.user_id, DiscountTerms("percentage", 10001), **said(world))
    given = assign_discount(anna.user_id, terms, **said(world))

    def film() -> int:
        offer = quote_price(anna, product_id=world.film, now=world.now).offer
        return offer.amount_due.amount

    assert film() == 21229
    end_discount(given.discount_id, **said(world))
    assert film() == 29900
    with pytest.raises(AppError, match="discount-ended"):
        end_discount(given.discount_id, **said(world))
    assert audited() == ["assign_discount", "end_discount"]


def test_promo_codes_by_name_and_in_batches(world) -> None:
    from billing_api.billing_service.commands.assign_discount import DiscountTerms
    from billing_api.billing_service.commands.create_promo_codes import PromoCodeRules, create_promo_codes
    from billing_api.billing_service.models import PromoCode

    terms = DiscountTerms("fixed_amount", 5000)
    assert create_promo_codes(terms, code=" autumn ", **said(world)).codes == ("AUTUMN",)
    with pytest.raises(AppError, match="promo-code-taken"):
        create_promo_codes(terms, code="Autumn", **said(world))
    batch = create_promo_codes(terms, PromoCodeRules(redemption_limit=1), count=500, **said(world))
    assert len(set(batch.codes)) == 500
    assert PromoCode.objects.filter(batch_id=batch.batch_id, redemption_limit=1).count() == 500
    started = world.buy(world.customer(), promo_code=batch.codes[7].lower())
    assert world.invoice(started.invoice_id).amount_due_minor == 44900


def test_extending_moves_the_next_invoice(world) -> None:
    from billing_api.billing_service.commands.extend_subscription import extend_subscription

    _, started, _ = bought(world)
    preview = extend_subscription(started.subscription_id, days=10, preview=True, **said(world))
    done = extend_subscription(started.subscription_id, days=10, **said(world))
    assert done == preview
    subscription = world.subscription(started)
    assert subscription.access_until.isoformat().startswith("2026-04-27")
    assert subscription.next_invoice_at.isoformat().startswith("2026-04-24T21")


def test_commands_wait_for_an_open_cancellation(world) -> None:
    from billing_api.billing_service.commands.adjust_charge import adjust_charge
    from billing_api.billing_service.commands.extend_subscription import extend_subscription
    from billing_api.billing_service.commands.refund_payment import refund_payment
    from tests.billing_api.commands.test_cancelling import cancel

    _, started, state = bought(world)
    cancel(world, state)
    for command in (
        lambda: adjust_charge(started.invoice_id, Money(-1), **said(world)),
        lambda: extend_subscription(started.subscription_id, days=1, **said(world)),
        lambda: refund_payment(state.payment_id, Money(1), **said(world)),
    ):
        with pytest.raises(AppError, match="cancellation-open"):
            command()


def test_a_command_that_fails_in_its_middle_leaves_nothing(world, superuser) -> None:
    from billing_api.billing_service.commands.adjust_charge import adjust_charge
    from billing_api.billing_service.models import CreditNote, LedgerEntry
    from tests.billing_api.commands.world import events

    _, started, _ = bought(world)
    before = (LedgerEntry.objects.count(), events())
    superuser.execute("ALTER TABLE audit_record ADD CONSTRAINT failure CHECK (false) NOT VALID")
    try:
        with pytest.raises(Exception, match="failure"):
            adjust_charge(started.invoice_id, Money(-1), **said(world))
    finally:
        superuser.execute("ALTER TABLE audit_record DROP CONSTRAINT failure")
    assert (LedgerEntry.objects.count(), events()) == before
    assert not CreditNote.objects.exists()


def test_r5_parallel_refunds_never_exceed_the_payment(world) -> None:
    from billing_api.billing_service.commands.refund_payment import refund_payment
    from billing_api.billing_service.models import OutgoingOrder
    from tests.billing_api.commands.test_renewing import parallel

    for number in range(1, 6):
        _, _, state = bought(world)
        errors = parallel(
            lambda _index: refund_payment(state.payment_id, Money(9980), **said(world)),  # noqa: B023
            8,
        )
        assert [error.code for error in errors] == ["refund-exceeds-payment"] * 3
        assert OutgoingOrder.objects.filter(kind="refund").count() == 5 * number


def test_r8_a_cancellation_and_a_renewal_never_both_happen_for_one_period(world) -> None:
    from billing_api.billing_service.commands.cancel_subscription import cancel_subscription
    from billing_api.billing_service.models import Invoice, OutgoingOrder
    from tests.billing_api.commands.test_renewing import parallel, run

    for _ in range(5):
        _, started, _ = bought(world)
        world.pass_time(days=31)

        def either(index: int, started=started) -> None:
            if index:
                run(world)
            else:
                cancel_subscription(started.subscription_id, mode="now", now=world.now)

        assert parallel(either, 2) == []
        renewals = Invoice.objects.filter(subscription_id=started.subscription_id, kind="renewal")
        assert world.subscription(started).status == "cancelled"
        # Renewed first: the cancellation then closes that invoice; cancelled first: there is none.
        for invoice in renewals:
            assert OutgoingOrder.objects.filter(invoice_id=invoice.id, kind="close_payments").exists()
        assert run(world) == (None, 0)


def promoted(world, value: int = 1000, budget_minor: int | None = None, **terms):
    from billing_api.billing_service.commands.assign_discount import DiscountTerms
    from billing_api.billing_service.commands.create_promotion import PromotionRules, create_promotion

    given = DiscountTerms("percentage", value, **{"label": "Autumn", "duration_kind": "forever"} | terms)
    rules = PromotionRules("new_customers", budget_minor)
    return create_promotion(given, rules, **said(world))


def test_a_promotion_works_in_its_window_until_it_is_ended(world) -> None:
    from datetime import timedelta

    from billing_api.billing_service.commands.end_promotion import end_promotion
    from billing_api.billing_service.models import Promotion

    def price() -> int:
        return world.invoice(world.buy(world.customer()).invoice_id).total_minor

    day = timedelta(days=1)
    made = promoted(world, budget_minor=10000, starts_at=world.now + day, product_ids=(world.basic,))
    assert made.begins_at == world.now + day
    assert price() == 49900
    world.pass_time(days=1)
    assert price() == 44910
    assert end_promotion(made.promotion_id, preview=True, **said(world)).budget_spent_minor == 4990
    assert Promotion.objects.get().is_active
    ended = end_promotion(made.promotion_id, **said(world))
    assert ended.budget_spent_minor == 4990
    assert price() == 49900
    with pytest.raises(AppError, match="promotion-ended"):
        end_promotion(made.promotion_id, **said(world))
    with pytest.raises(AppError, match="promotion-not-found"):
        end_promotion(world.basic, **said(world))
    assert audited() == ["create_promotion", "end_promotion"]
    assert broken() == []


def test_an_impossible_promotion_is_refused(world) -> None:
    from datetime import timedelta

    from billing_api.billing_service.commands.assign_discount import DiscountTerms
    from billing_api.billing_service.commands.create_promotion import PromotionRules, create_promotion
    from billing_api.billing_service.models import Promotion
    from shared.ids import new_id

    day = timedelta(days=1)
    good = {"label": "Autumn"}
    for terms, rules in (
        (DiscountTerms("percentage", 10001, **good), PromotionRules()),
        (DiscountTerms("half", 1, **good), PromotionRules()),
        (DiscountTerms("percentage", 1000), PromotionRules()),
        (DiscountTerms("percentage", 1000, **good), PromotionRules("nobody")),
        (DiscountTerms("percentage", 1000, **good), PromotionRules(budget_minor=0)),
        (DiscountTerms("percentage", 1000, **good, product_ids=(new_id(),)), PromotionRules()),
        (DiscountTerms("percentage", 1000, **good, ends_at=world.now), PromotionRules()),
        (
            DiscountTerms("percentage", 1000, **good, starts_at=world.now + day, ends_at=world.now + day),
            PromotionRules(),
        ),
    ):
        with pytest.raises(AppError, match="discount-invalid"):
            create_promotion(terms, rules, **said(world))
    preview = create_promotion(DiscountTerms("percentage", 1000, **good), preview=True, **said(world))
    assert preview.promotion_id is None
    assert not Promotion.objects.exists()
    assert audited() == []


def test_a_promotion_ended_after_the_pricing_pays_nothing(world) -> None:
    """Between the price and the reservation it is ended: the reservation finds it gone."""
    from billing_api.billing_service import discount_rules
    from billing_api.billing_service.commands.end_promotion import end_promotion
    from billing_api.billing_service.commands.quote_price import quote_price
    from billing_api.billing_service.database import atomic

    made = promoted(world, product_ids=(world.basic,))
    quote = quote_price(world.customer(), product_id=world.basic, now=world.now).offer.quote
    with atomic():
        assert discount_rules.reserve_budgets(quote.discounts) is None
    end_promotion(made.promotion_id, **said(world))
    with atomic():
        assert discount_rules.reserve_budgets(quote.discounts) == made.promotion_id


def test_a_finding_is_resolved_once_and_found_anew(world) -> None:
    from billing_api.billing_service.commands.resolve_review_item import resolve_review_item
    from billing_api.billing_service.models import Account, ReviewItem, Subscription
    from billing_api.billing_service.reports import BILLING_SET_ASIDE, report
    from shared.ids import new_id

    anna, started, state = bought(world)
    account = Account.objects.get(user_id=anna.user_id)
    subject = ("payment", state.payment_id)
    report("payment_disagrees", account, subject, {"why": "captured"}, world.now)
    item = ReviewItem.objects.get()
    resolve_review_item(item.id, preview=True, **said(world))
    assert ReviewItem.objects.get().resolved_at is None
    assert audited() == []
    resolve_review_item(item.id, **said(world))
    assert ReviewItem.objects.get().resolved_at == world.now
    with pytest.raises(AppError, match="review-item-resolved"):
        resolve_review_item(item.id, **said(world))
    with pytest.raises(AppError, match="review-item-not-found"):
        resolve_review_item(new_id(), **said(world))
    report("payment_disagrees", account, subject, {"why": "again"}, world.now)
    assert ReviewItem.objects.get().resolved_at is None
    assert audited() == ["resolve_review_item"]

    report(BILLING_SET_ASIDE, account, ("subscription", started.subscription_id), {}, world.now)
    aside = ReviewItem.objects.get(kind=BILLING_SET_ASIDE)
    Subscription.objects.filter(id=started.subscription_id).update(billing_failures=3)
    with pytest.raises(AppError, match="subscription-set-aside"):
        resolve_review_item(aside.id, **said(world))
    Subscription.objects.filter(id=started.subscription_id).update(status="cancelled")
    resolve_review_item(aside.id, **said(world))


def test_revenue_is_posted_with_the_invoice_and_none_is_deferred(world) -> None:
    """What docs/algorithms/ledger.md says of deferred revenue, seen in the books of a paid subscription."""
    from billing_api.billing_service.models import LedgerEntry

    bought(world)
    accounts = set(LedgerEntry.objects.values_list("ledger_account", flat=True))
    assert {"revenue", "vat", "customer"} <= accounts
    assert "deferred_revenue" not in accounts
