"""What must be true of the billing tables at any moment, each with the rows that break it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from prometheus_client import Gauge

from billing_api.billing_service import subscription_terms
from billing_api.billing_service.database import atomic, cursor
from billing_api.billing_service.domain import entitlements
from billing_api.billing_service.line_proof import LineProof
from billing_api.billing_service.models import Subscription

SHOWN: Final = 20  # offending rows per invariant
OFFENDING: Final = Gauge(
    "billing_invariant_offending_rows",
    "Rows that break an invariant, by the last check (at most 20 are counted)",
    ["name"],
    multiprocess_mode="mostrecent",
)


@dataclass(frozen=True, slots=True)
class Invariant:
    """``offending``: up to 20 rows as short texts; it holds when there is none."""

    name: str
    description: str
    offending: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.offending

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "description": self.description,
            "holds": self.holds,
            "offending": list(self.offending),
        }


# name -> (what must hold, SQL giving one text per row that breaks it)
_SQL: Final[dict[str, tuple[str, str]]] = {
    "ledger_balanced": (
        "Every ledger transaction sums to zero per currency and has the entries it counts, at least two.",
        """
        SELECT x.id || ' ' || coalesce(x.currency, '') || ' ' || x.total || ' ' || x.legs FROM (
            SELECT t.id, t.leg_count, e.currency, coalesce(sum(e.amount_minor), 0) AS total,
                sum(count(e.id)) OVER (PARTITION BY t.id) AS legs
            FROM ledger_transaction t LEFT JOIN ledger_entry e ON e.transaction_id = t.id
            GROUP BY t.id, e.currency
        ) x WHERE x.total <> 0 OR x.legs <> x.leg_count OR x.legs < 2
        """,
    ),
    "balances_match_entries": (
        "The stored balance of every personal account equals the sum of its entries.",
        """
        SELECT coalesce(b.account_id, s.account_id) || ' ' || coalesce(b.currency, s.currency)
        FROM account_balance b FULL JOIN (
            SELECT account_id, currency, sum(amount_minor) AS total, count(*) AS entries
            FROM ledger_entry WHERE ledger_account = 'customer' GROUP BY account_id, currency
        ) s ON s.account_id = b.account_id AND s.currency = b.currency
        WHERE coalesce(b.balance_minor, 0) <> coalesce(s.total, 0)
            OR coalesce(b.entry_count, 0) <> coalesce(s.entries, 0)
        """,
    ),
    "chains_end_at_heads": (
        "The stored head of every personal account is the hash of its last entry ."
        " verify_ledger proves all between.",
        """
        SELECT b.account_id || ' ' || b.currency FROM account_balance b LEFT JOIN ledger_entry e
            ON e.account_id = b.account_id AND e.currency = b.currency AND e.ledger_account = 'customer'
            AND e.position = b.entry_count
        WHERE coalesce(e.chain_hash, '') <> b.chain_head
        """,
    ),
    "amount_due_adds_up": (
        "What is due of an invoice follows from its total, payments, credits and write-offs.",
        """
        SELECT coalesce(number, id::text) FROM invoice WHERE amount_due_minor <> CASE
            WHEN status IN ('void', 'paid') THEN 0
            ELSE greatest(0, total_minor) - balance_applied_minor - paid_minor - credited_unpaid_minor
                - written_off_minor END
        """,
    ),
    "paid_invoices_covered": (
        "Every paid invoice is covered by balance, posted payments and credits.",
        """
        SELECT coalesce(i.number, i.id::text) FROM invoice i LEFT JOIN (
            SELECT invoice_id, sum(allocated_minor) AS paid FROM payment
            WHERE posted_at IS NOT NULL GROUP BY invoice_id
        ) p ON p.invoice_id = i.id
        WHERE i.paid_minor <> coalesce(p.paid, 0) OR (i.status = 'paid' AND i.balance_applied_minor
            + i.paid_minor + i.credited_unpaid_minor <> greatest(0, i.total_minor))
        """,
    ),
    "invoices_match_lines": (
        "Totals of an invoice are the sums of its lines.",
        """
        SELECT coalesce(i.number, i.id::text) FROM invoice i LEFT JOIN (
            SELECT invoice_id, sum(net_minor) AS net, sum(vat_minor) AS vat, sum(discount_minor) AS off,
                sum(list_minor) AS list
            FROM invoice_line GROUP BY invoice_id
        ) l ON l.invoice_id = i.id
        WHERE i.total_minor <> coalesce(l.net, 0) OR i.vat_minor <> coalesce(l.vat, 0)
            OR i.discount_minor <> coalesce(l.off, 0) OR i.list_minor <> coalesce(l.list, 0)
        """,
    ),
    "invoices_posted": (
        "Every invoice that moves money has exactly one posting of its total and its VAT,"
        " a void one its reversal too.",
        """
        SELECT coalesce(i.number, i.id::text) FROM invoice i
        LEFT JOIN ledger_transaction t ON t.source_kind = 'invoice' AND t.source_id = i.id
        LEFT JOIN ledger_transaction r ON r.source_kind = 'reversal' AND r.source_id = i.id
        LEFT JOIN (
            SELECT transaction_id,
                sum(amount_minor) FILTER (WHERE ledger_account = 'customer') AS gross,
                sum(amount_minor) FILTER (WHERE ledger_account = 'vat') AS vat
            FROM ledger_entry WHERE ledger_account IN ('customer', 'vat') GROUP BY transaction_id
        ) e ON e.transaction_id = t.id
        WHERE coalesce(e.gross, 0) <> i.total_minor OR coalesce(e.vat, 0) <> -i.vat_minor
            OR (i.status = 'void' AND t.id IS NOT NULL) <> (r.id IS NOT NULL)
        """,
    ),
    "void_invoices_ask_nothing": (
        "A void invoice, its reversal and its credit notes together move neither the personal account"
        " nor VAT.",
        """
        SELECT coalesce(i.number, i.id::text) FROM invoice i WHERE i.status = 'void' AND EXISTS (
            SELECT 1 FROM (
                SELECT 'invoice' AS kind, i.id UNION ALL SELECT 'reversal', i.id
                UNION ALL SELECT 'credit_note', n.id FROM credit_note n WHERE n.invoice_id = i.id
            ) d JOIN ledger_transaction t ON t.source_kind = d.kind AND t.source_id = d.id
            JOIN ledger_entry e ON e.transaction_id = t.id
            WHERE e.ledger_account IN ('customer', 'vat')
            GROUP BY e.ledger_account HAVING sum(e.amount_minor) <> 0
        )
        """,
    ),
    "credit_notes_within_invoices": (
        "Credit notes of an invoice add up to what it says is credited; each is the sum of its lines,"
        " at the VAT rates of the invoice, and has exactly one posting of its total and its VAT.",
        """
        SELECT coalesce(i.number, i.id::text) FROM invoice i LEFT JOIN (
            SELECT n.invoice_id, sum(n.total_minor) AS total, bool_or(
                (n.total_minor, n.vat_minor) IS DISTINCT FROM (l.total, l.vat) OR l.is_odd
                OR (n.total_minor, n.vat_minor) IS DISTINCT FROM (-e.customer, coalesce(e.vat, 0))
            ) AS is_odd
            FROM credit_note n LEFT JOIN (
                SELECT k.credit_note_id, sum(k.amount_minor) AS total, sum(k.vat_minor) AS vat,
                    bool_or(k.vat_rate_bp <> o.vat_rate_bp) AS is_odd
                FROM credit_note_line k JOIN invoice_line o ON o.id = k.invoice_line_id
                GROUP BY k.credit_note_id
            ) l ON l.credit_note_id = n.id LEFT JOIN (
                SELECT t.source_id,
                    sum(e.amount_minor) FILTER (WHERE e.ledger_account = 'customer') AS customer,
                    sum(e.amount_minor) FILTER (WHERE e.ledger_account = 'vat') AS vat
                FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id
                WHERE t.source_kind = 'credit_note' GROUP BY t.source_id
            ) e ON e.source_id = n.id
            GROUP BY n.invoice_id
        ) c ON c.invoice_id = i.id
        WHERE i.credited_minor <> coalesce(c.total, 0) OR c.is_odd
            OR i.credited_minor > greatest(0, i.total_minor)
        """,
    ),
    "payments_posted_once": (
        "Every captured payment has exactly one posting of its amount, allocated or on account.",
        """
        SELECT p.id::text FROM payment p
        LEFT JOIN ledger_transaction t ON t.source_kind = 'payment' AND t.source_id = p.id
        LEFT JOIN (
            SELECT transaction_id, sum(amount_minor) AS amount_minor FROM ledger_entry
            WHERE ledger_account = 'customer' GROUP BY transaction_id
        ) e ON e.transaction_id = t.id
        WHERE p.captured_minor <> -coalesce(e.amount_minor, 0)
            OR p.captured_minor <> p.allocated_minor + p.to_balance_minor
        """,
    ),
    "refunds_posted_once": (
        "Every refund has exactly one posting, and refunds never exceed their payment.",
        """
        SELECT p.id::text FROM payment p JOIN (
            SELECT r.payment_id, sum(r.amount_minor) AS total, sum(coalesce(e.amount_minor, 0)) AS posted
            FROM refund r
            LEFT JOIN ledger_transaction t ON t.source_kind = 'refund' AND t.source_id = r.id
            LEFT JOIN (
                SELECT transaction_id, sum(amount_minor) AS amount_minor FROM ledger_entry
                WHERE ledger_account = 'customer' GROUP BY transaction_id
            ) e ON e.transaction_id = t.id
            GROUP BY r.payment_id
        ) r ON r.payment_id = p.id
        WHERE r.total <> r.posted OR r.total > p.captured_minor OR r.total <> p.refunded_minor
        """,
    ),
    "refunds_credited_once": (
        "Refunds credit no more of an invoice than they gave back, what balance had paid apart,"
        " and each knows what it credited.",
        """
        SELECT coalesce(i.number, i.id::text) FROM invoice i JOIN (
            SELECT p.invoice_id, sum(r.amount_minor) AS back, sum(c.credited) AS credited,
                bool_or(r.credited_minor <> c.credited) AS is_odd
            FROM refund r JOIN payment p ON p.id = r.payment_id
            LEFT JOIN outgoing_order o ON o.id = r.refund_order_id AND o.credit_note_id IS NOT NULL
            LEFT JOIN (
                SELECT refund_id, sum(total_minor) AS total FROM credit_note GROUP BY refund_id
            ) n ON n.refund_id = r.id
            CROSS JOIN LATERAL (
                SELECT CASE WHEN o.id IS NULL THEN coalesce(n.total, 0) ELSE r.amount_minor END AS credited
            ) c
            GROUP BY p.invoice_id
        ) b ON b.invoice_id = i.id
        WHERE b.is_odd OR b.credited > b.back + greatest(0, i.balance_applied_minor)
        """,
    ),
    "available_not_negative": (
        "A customer owes no more than what open invoices ask for.",
        """
        SELECT b.account_id || ' ' || b.currency FROM account_balance b LEFT JOIN (
            SELECT account_id, currency, sum(amount_due_minor) AS due FROM invoice
            WHERE status IN ('open', 'uncollectible') GROUP BY account_id, currency
        ) i ON i.account_id = b.account_id AND i.currency = b.currency
        WHERE b.balance_minor > coalesce(i.due, 0)
        """,
    ),
    "one_invoice_per_period": (
        "No two invoices cover one period of a subscription.",
        """
        SELECT a.subscription_id || ' ' || a.period_start_on FROM invoice a JOIN invoice b
            ON b.subscription_id = a.subscription_id AND b.id > a.id
            AND daterange(a.period_start_on, a.period_end_on) && daterange(b.period_start_on, b.period_end_on)
        WHERE a.kind IN ('first', 'renewal') AND b.kind IN ('first', 'renewal')
            AND a.status <> 'void' AND b.status <> 'void'
            -- A change to another interval ends the running period on its own day, the first one included.
            AND NOT EXISTS (SELECT 1 FROM pending_change c WHERE c.subscription_id = a.subscription_id
                AND c.state = 'done' AND c.moves_anchor AND a.period_start_on <> b.period_start_on
                AND c.effective_on >= least(a.period_start_on, b.period_start_on)
                AND c.effective_on <= greatest(a.period_start_on, b.period_start_on))
        """,
    ),
    "numbers_without_gaps": (
        "Document numbers of a year run from 1 without gaps up to the counter.",
        """
        SELECT c.series || ' ' || c.year FROM document_counter c LEFT JOIN (
            SELECT 'invoice' AS series, number FROM invoice
            UNION ALL SELECT 'credit_note', substr(number, 4) FROM credit_note
        ) d ON d.series = c.series AND split_part(d.number, '-', 1) = c.year::text
        GROUP BY c.series, c.year, c.last_number
        HAVING count(d.number) <> c.last_number
            OR coalesce(max(split_part(d.number, '-', 2)::bigint), 0) <> c.last_number
        """,
    ),
    "promo_codes_within_limits": (
        "Every promo code counts exactly its live redemptions and stays within its limits.",
        """
        SELECT c.code FROM promo_code c LEFT JOIN (
            SELECT promo_code_id, count(*) AS live FROM promo_redemption
            WHERE state <> 'released' GROUP BY promo_code_id
        ) r ON r.promo_code_id = c.id
        WHERE c.redemptions <> coalesce(r.live, 0) OR c.redemptions > c.redemption_limit
            OR EXISTS (SELECT 1 FROM promo_redemption o WHERE o.promo_code_id = c.id
                AND o.state <> 'released' AND o.ordinal > c.limit_per_user)
        """,
    ),
    "promo_codes_settled": (
        "No redemption stays reserved once its subscription is over and asks for no period any more.",
        """
        SELECT r.id::text FROM promo_redemption r JOIN subscription s ON s.id = r.subscription_id
        WHERE r.state = 'reserved' AND s.status IN ('cancelled', 'expired')
            AND NOT EXISTS (SELECT 1 FROM invoice i WHERE i.subscription_id = s.id AND i.status = 'open'
                AND i.kind IN ('first', 'renewal', 'purchase'))
        """,
    ),
    "budgets_within_limits": (
        "Every promotion has spent exactly what its live uses took, within its budget.",
        """
        SELECT p.id::text FROM promotion p LEFT JOIN (
            SELECT discount_id, sum(amount_minor) AS spent FROM discount_use
            WHERE source = 'promotion' AND state <> 'released' GROUP BY discount_id
        ) u ON u.discount_id = p.id
        WHERE p.budget_spent_minor <> coalesce(u.spent, 0) OR p.budget_spent_minor > p.budget_minor
        """,
    ),
}


def check_invariants() -> list[Invariant]:
    """Every invariant over one snapshot of the tables."""
    with atomic(), cursor() as database:
        database.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        found = []
        for name, (description, sql) in _SQL.items():
            database.execute(f"SELECT offending FROM ({sql}) AS broken(offending) LIMIT {SHOWN}")  # noqa: S608
            found.append(Invariant(name, description, tuple(row[0] for row in database.fetchall())))
        found += [
            Invariant(name, description, tuple(check())) for name, (description, check) in _COMPUTED.items()
        ]
        for one in found:
            OFFENDING.labels(one.name).set(len(one.offending))
        return found


def _wrong_access() -> list[str]:
    wrong = []
    for row in Subscription.objects.order_by("id").iterator(chunk_size=500):
        access = entitlements.access(subscription_terms.as_value(row))
        if (access.granted, access.until_at) != (row.grants_access, row.access_until):
            wrong.append(str(row.id))
    return wrong[:SHOWN]


def _unexplained_lines() -> list[str]:
    return [str(one) for one in islice(LineProof().broken(), SHOWN)]


_COMPUTED: Final[dict[str, tuple[str, Callable[[], list[str]]]]] = {
    "access_matches_subscriptions": (
        "Stored access of every subscription is what the rules say of it.",
        _wrong_access,
    ),
    "lines_explained": (
        "Every invoice line and amount due can be worked out again from its stored steps.",
        _unexplained_lines,
    ),
}
