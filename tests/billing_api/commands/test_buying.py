"""Buying: quote, first invoice, payment, activation, and everything that refuses."""

from __future__ import annotations

import pytest

from shared.errors import AppError, Kind
from shared.money import Money


def test_a_quote_is_the_later_invoice(world) -> None:
    from billing_api.billing_service import queries
    from billing_api.billing_service.commands.quote_price import quote_price

    world.promo_code()
    anna = world.customer()
    quoted = quote_price(anna, product_id=world.basic, promo_code="spring ", now=world.now)
    view = queries.quote_view(quoted.offer)
    assert view["subtotal"]["amount"] == 49900
    assert view["discount"]["amount"] == 4990
    assert view["amount_due"] == {"amount": 44910, "currency": "RUB"}
    assert view["period"] == {"start": "2026-03-15", "end": "2026-04-15"}
    assert view["vat"]["amount"] == 8099  # 449.10 * 22 / 122
    assert view["next_total"]["amount"] == 49900

    started = world.buy(anna, promo_code="SPRING", expected_amount=Money(44910))
    invoice = queries.invoice_view(queries.find_invoice(started.invoice_id))
    assert invoice["amount_due"] == view["amount_due"]
    assert invoice["number"] == "2026-000001"
    assert [step["kind"] for step in invoice["lines"][0]["steps"]] == ["list_price", "discount", "vat"]


def test_buying_and_paying_activates(world) -> None:
    from tests.billing_api.commands.world import event_data, events

    anna = world.customer()
    started = world.buy(anna)
    assert started.is_new
    assert world.subscription(started).status == "incomplete"
    assert not world.subscription(started).grants_access
    assert world.balance(anna) == -49900

    world.pay(started, anna)

    subscription, invoice = world.subscription(started), world.invoice(started.invoice_id)
    assert (subscription.status, invoice.status, invoice.amount_due_minor) == ("active", "paid", 0)
    assert subscription.grants_access
    assert subscription.access_until.isoformat() == "2026-04-17T21:00:00+00:00"  # 15 Apr + 3 days, Moscow
    assert world.balance(anna) == 0
    assert events() == [
        "subscription.created",
        "invoice.issued",
        "invoice.paid",
        "subscription.activated",
    ]
    assert [data["number"] for data in event_data("invoice.issued")] == ["2026-000001"]
    assert len(event_data("invoice.paid")[0]["payment_ids"]) == 1


def test_a_repeated_or_stale_event_posts_nothing_more(world) -> None:
    from billing_api.billing_service.models import LedgerTransaction
    from tests.billing_api.commands.world import events

    anna = world.customer()
    started = world.buy(anna)
    state = world.payment(started.invoice_id, anna.user_id)
    created = type(state).model_validate(
        state.model_dump() | {"status": "created", "captured": {"amount": 0, "currency": "RUB"}}
    )
    world.hear(state, sequence=2)
    before = events()
    assert world.hear(state, sequence=2).posted_minor == 0
    world.hear(created, sequence=1)
    assert events() == before
    assert LedgerTransaction.objects.count() == 2
    assert world.invoice(started.invoice_id).status == "paid"


def test_the_same_order_again_finds_the_open_invoice(world) -> None:
    anna = world.customer()
    first = world.buy(anna)
    again = world.buy(anna)
    assert (again.is_new, again.invoice_id) == (False, first.invoice_id)


def refusal(code: str, kind: Kind):
    class Expected:
        def __enter__(self):
            self.context = pytest.raises(AppError)
            self.found = self.context.__enter__()
            return self.found

        def __exit__(self, *error):
            done = self.context.__exit__(*error)
            assert (self.found.value.code, self.found.value.kind) == (code, kind)
            return done

    return Expected()


def test_refusals_write_nothing(world) -> None:
    from billing_api.billing_service.models import Invoice, Subscription
    from shared.ids import new_id

    anna = world.customer()
    family, _ = world.product("family", 99900)
    gone, _ = world.product("gone", 100, status="retired")
    with refusal("catalog-catching-up", Kind.UNAVAILABLE) as found:
        world.buy(anna, new_id())
    assert found.value.retry_after_seconds == 1
    with refusal("product-not-found", Kind.NOT_FOUND):
        world.buy(anna, gone)
    with refusal("promo-code-unknown", Kind.INVALID):
        world.buy(anna, promo_code="NOPE")
    with refusal("price-changed", Kind.CONFLICT) as found:
        world.buy(anna, expected_amount=Money(1))
    assert found.value.extra["quote"]["amount_due"]["amount"] == 49900
    assert Subscription.objects.count() == Invoice.objects.count() == 0

    started = world.buy(anna)
    with refusal("incomplete-subscription", Kind.CONFLICT) as found:
        world.buy(anna, family)
    assert found.value.extra["invoice_id"] == str(started.invoice_id)
    world.pay(started, anna)
    with refusal("subscription-exists", Kind.CONFLICT) as found:
        world.buy(anna, family)
    assert found.value.extra["subscription_id"] == str(started.subscription_id)
    assert Subscription.objects.count() == 1


def test_an_invoice_of_zero_is_paid_at_once(world) -> None:
    world.promo_code("FREE", value=10000, duration_kind="once")
    anna = world.customer()
    started = world.buy(anna, promo_code="FREE")
    assert world.invoice(started.invoice_id).status == "paid"
    assert world.subscription(started).status == "active"


def test_a_trial_invoices_nothing_and_comes_once_per_person(world) -> None:
    from billing_api.billing_service.commands.quote_price import quote_price

    trial, _ = world.product("trial", 49900, trial_days=7)
    anna = world.customer()
    assert quote_price(anna, product_id=trial, now=world.now).offer.next_total == Money(49900)
    started = world.buy(anna, trial, expected_amount=Money(0))
    assert started.invoice_id is None
    subscription = world.subscription(started)
    assert subscription.status == "trialing"
    assert subscription.grants_access
    assert subscription.next_invoice_at == subscription.trial_ends_at
    boris = world.customer()
    same_person = type(boris)(boris.user_id, 1, "ru", "Europe/Moscow", anna.email_hash, boris.email)
    assert quote_price(same_person, product_id=trial, now=world.now).offer.trial_days == 0


def test_a_film_is_bought_for_ever_and_beside_others(world) -> None:
    other, _ = world.product("film-2", 19900, kind="one_time", interval=None)
    anna = world.customer()
    for film in (world.film, other):
        started = world.buy(anna, film)
        world.pay(started, anna)
        subscription = world.subscription(started)
        assert subscription.status == "active"
        assert subscription.grants_access
        assert subscription.access_until is None
    with refusal("subscription-exists", Kind.CONFLICT):
        world.buy(anna, world.film)


def test_a_promo_code_is_committed_by_the_payment_and_released_by_abandoning(world) -> None:
    from billing_api.billing_service.commands.abandon_subscription import abandon_subscription
    from billing_api.billing_service.models import PromoCode, PromoRedemption

    world.promo_code(redemption_limit=1)
    anna, boris = world.customer(), world.customer()
    started = world.buy(anna, promo_code="SPRING")
    with refusal("promo-code-exhausted", Kind.INVALID):
        world.buy(boris, promo_code="SPRING")
    for _ in range(2):
        assert abandon_subscription(started.subscription_id, now=world.now).status == "cancelled"
    assert PromoCode.objects.get().redemptions == 0
    assert world.invoice(started.invoice_id).status == "void"
    assert world.balance(anna) == 0
    second = world.buy(boris, promo_code="SPRING")
    world.pay(second, boris)
    assert set(PromoRedemption.objects.values_list("state", flat=True)) == {"released", "committed"}
    assert PromoCode.objects.get().redemptions == 1


@pytest.mark.parametrize(
    ("change", "paid", "balance"),
    [
        ({"amount": 60000}, True, 10100),
        ({"amount": 10000, "settles_invoice": False}, False, -39900),
    ],
)
def test_other_amounts_than_asked_for(world, change, paid, balance) -> None:
    from billing_api.billing_service.models import ReviewItem

    anna = world.customer()
    started = world.buy(anna)
    world.hear(world.payment(started.invoice_id, anna.user_id, **change))
    invoice = world.invoice(started.invoice_id)
    assert (invoice.status == "paid") is paid
    assert world.balance(anna) == balance
    assert ReviewItem.objects.exists() is paid
    if not paid:
        assert (invoice.collection, invoice.amount_due_minor) == ("partially_paid", 39900)


def test_a_second_payment_a_late_one_and_a_foreign_one_become_balance(world) -> None:
    from billing_api.billing_service.commands.abandon_subscription import abandon_subscription
    from billing_api.billing_service.models import AccountBalance, ReviewItem

    anna, boris = world.customer(), world.customer()
    started = world.buy(anna)
    world.pay(started, anna)
    world.hear(world.payment(started.invoice_id, anna.user_id, amount=49900))
    assert world.available(anna) == 49900
    abandoned = world.buy(boris)
    abandon_subscription(abandoned.subscription_id, now=world.now)
    world.hear(world.payment(abandoned.invoice_id, boris.user_id, amount=49900, late=True))
    assert world.available(boris) == 49900
    assert world.subscription(abandoned).status == "cancelled"
    world.hear(world.payment(started.invoice_id, anna.user_id, amount=500, currency="USD"))
    assert AccountBalance.objects.get(currency="USD").balance_minor == -500
    assert ReviewItem.objects.filter(kind="money_without_invoice").count() == 3
    film = world.buy(boris, world.film)  # the balance pays for it
    assert world.invoice(film.invoice_id).status == "paid"
    assert world.available(boris) == 20000


def test_a_failed_payment_leaves_the_order_open(world) -> None:
    from tests.billing_api.commands.world import events

    anna = world.customer()
    started = world.buy(anna)
    world.pay(started, anna, status="failed", decline="soft")
    invoice = world.invoice(started.invoice_id)
    assert (invoice.status, invoice.collection, invoice.next_collection_at) == ("open", "failed", None)
    assert world.subscription(started).status == "incomplete"
    assert events()[-1] == "invoice.payment_failed"
    world.pay(started, anna)
    assert world.subscription(started).status == "active"


def test_a_bank_transfer_is_waited_for_and_a_part_leaves_the_rest(world) -> None:
    """The order does not expire while PayAPI waits for the transfer; a part is posted, the rest stays due."""
    from billing_api.billing_service.commands.run_maintenance import run_maintenance
    from billing_api.billing_service.models import OutgoingOrder

    anna = world.customer()
    started = world.buy(anna)
    transfer = {"provider": "bank_transfer"}
    asked = world.payment(
        started.invoice_id, anna.user_id, amount=49900, status="action_required", **transfer
    )
    world.hear(asked)
    assert world.invoice(started.invoice_id).collection == "action_required"
    world.pass_time(days=5)
    assert run_maintenance(now=world.now).expiring == 0
    part = asked.model_copy(
        update={
            "status": type(asked.status)("succeeded"),
            "captured": Money(20000),
            "settles_invoice": False,
            "succeeded_at": world.now,
            "updated_at": world.now,
        }
    )
    world.hear(part)
    invoice = world.invoice(started.invoice_id)
    assert (invoice.status, invoice.collection) == ("open", "partially_paid")
    assert (invoice.paid_minor, invoice.amount_due_minor) == (20000, 29900)
    assert world.subscription(started).status == "incomplete"
    world.hear(world.payment(started.invoice_id, anna.user_id, amount=29900))
    assert world.invoice(started.invoice_id).status == "paid"
    assert world.subscription(started).status == "active"
    assert not OutgoingOrder.objects.filter(kind="close_payments").exists()


def test_an_order_expires_when_its_transfer_is_no_longer_awaited(world) -> None:
    from billing_api.billing_service.commands.run_maintenance import run_maintenance

    anna = world.customer()
    started = world.buy(anna)
    asked = world.payment(
        started.invoice_id, anna.user_id, amount=49900, status="action_required", provider="bank_transfer"
    )
    world.hear(asked)
    world.pass_time(days=14)
    assert run_maintenance(now=world.now).expiring == 0
    world.hear(asked.model_copy(update={"status": type(asked.status)("cancelled"), "updated_at": world.now}))
    assert run_maintenance(now=world.now).expiring == 1
