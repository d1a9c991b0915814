"""BillingService's figures, each a ratio in one run: ``python -m benchmarks.billing [--quick] [part ...]``.

Medians of three rounds; in each the works take turns in slices, so that whatever else the machine does falls
on all of them alike. Prints a table, then the same as JSON. ``bound`` is the least a ratio may be; the exit
code is 1 when one is missed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from benchmarks import billing_postings as postings
from benchmarks import billing_reads as reads
from benchmarks import billing_world
from tests import servers

ROUNDS = 3
SLICES = 20
PRICING_MICROSECONDS = 200.0
STREAM_MEGABYTES = 25.0  # above what the process holds before
PDF_MEGABYTES = 350.0  # of the whole process
CLIENTS = 50
PARTS = ("pricing", "routes", "posting", "promo-codes", "statement", "statement-pdf")


@dataclass(frozen=True)
class Figure:
    """``ratio`` is ours to ``against`` (rates); ``bound`` the least it may be."""

    name: str
    value: float
    unit: str
    against: str
    ratio: float
    bound: float | None = None

    @property
    def holds(self) -> bool:
        return self.bound is None or self.ratio >= self.bound


def sliced(count: int, *works: Callable[[int], float]) -> list[float]:
    """Median seconds of ``count`` of each work; the works take turns within a round, slice by slice."""
    part = max(1, count // SLICES)

    def turn() -> list[float]:
        seconds = [0.0 for _ in works]
        for _ in range(count // part):
            for number, work in enumerate(works):
                seconds[number] += work(part)
        return seconds

    turn()
    rounds = [turn() for _ in range(ROUNDS)]
    return [statistics.median(taken) for taken in zip(*rounds, strict=True)]


def interleaved(*works: Callable[[], float]) -> list[float]:
    """Median seconds of each work, run in turn three times; the first turn's warm-up is thrown away."""
    for work in works:
        work()
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for seconds, work in zip(taken, works, strict=True):
            seconds.append(work())
    return [statistics.median(seconds) for seconds in taken]


def pricing(count: int) -> list[Figure]:
    from billing_api.billing_service.domain.discounts.base import Discount, Source
    from billing_api.billing_service.domain.pricing import LineInput, price_quote
    from billing_api.billing_service.explanation_texts import explanation
    from shared.money import percent_of, vat_included

    line = LineInput("1", "product", 49_900, price_id="price")
    code = Discount("code", "percentage", Source.PROMO_CODE, 1_000, "RUB", billing_world.NOW)
    day = date(2026, 3, 15)

    def ours() -> float:
        started = time.perf_counter()
        for _ in range(count):
            quote = price_quote([line], currency="RUB", now=billing_world.NOW, day=day, discounts=[code])
            for one in quote.lines:
                explanation([step.as_json() for step in one.steps], "RUB")
        return time.perf_counter() - started

    def bare() -> float:
        started = time.perf_counter()
        for _ in range(count):
            net = 49_900 - percent_of(49_900, 1_000)
            vat_included(net, 2_200)
        return time.perf_counter() - started

    mine, rival = interleaved(ours, bare)
    name, each = "price and explain an invoice", 1e6 * mine / count
    return [
        Figure(name, each, "µs", f"{PRICING_MICROSECONDS:.0f} µs", PRICING_MICROSECONDS / each, 1.0),
        Figure(name, each, "µs", "the two sums alone", rival / mine),
    ]


def promo_codes(world: Any, count: int) -> list[Figure]:
    from django.db import connections

    turn = [0]

    def buy_all(code: str | None) -> float:
        turn[0] += 1
        if code is not None:
            code = f"{code}{turn[0]}"
            world.promo_code(code, redemption_limit=10**6)
        buyers = [world.customer() for _ in range(count)]
        barrier, errors = threading.Barrier(CLIENTS + 1), []

        def client(number: int) -> None:
            barrier.wait()
            try:
                for buyer in buyers[number::CLIENTS]:
                    world.buy(buyer, promo_code=code)
            except Exception as error:
                errors.append(error)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        barrier.wait()
        started = time.perf_counter()
        for thread in threads:
            thread.join()
        assert not errors, errors[0]
        return time.perf_counter() - started

    mine, rival = interleaved(lambda: buy_all("CODE"), lambda: buy_all(None))
    name = f"redemptions of one promo code, {CLIENTS} clients"
    return [Figure(name, count / mine, "/s", "purchases without a code", rival / mine, 0.4)]


def statement(urls: servers.DatabaseUrls, movements: int) -> list[Figure]:
    user = billing_world.long_account(urls, movements)
    of_json, of_csv, bare = interleaved(
        lambda: reads.seconds_of_stream("json", user),
        lambda: reads.seconds_of_stream("csv", user),
        lambda: reads.seconds_of_bare_sql(user),
    )
    told = f"statement of {movements:,} movements"
    found = [
        Figure(f"{told}, JSON", of_json, "s", "its bare SQL", bare / of_json, 0.35),
        Figure(f"{told}, CSV", of_csv, "s", "its bare SQL", bare / of_csv, 0.35),
    ]
    for kind in ("json", "csv"):
        seen = reads.in_process_of_its_own(kind, user)
        more = max(seen["peak_mb"] - seen["before_mb"], 0.1)
        name = f"{told}, {kind.upper()}, memory it adds"
        found.append(Figure(name, more, "MB", f"{STREAM_MEGABYTES:.0f} MB", STREAM_MEGABYTES / more, 1.0))
    return found


def statement_pdf(urls: servers.DatabaseUrls, movements: int) -> list[Figure]:
    user = billing_world.long_account(urls, movements)
    seen = reads.in_process_of_its_own("pdf", user)
    bare = statistics.median(reads.seconds_of_bare_sql(user) for _ in range(ROUNDS))
    name = f"statement of {movements:,} movements, PDF"
    peak = seen["peak_mb"]
    return [
        Figure(name, seen["seconds"], "s", "its bare SQL", bare / seen["seconds"]),
        Figure(f"{name}, size", seen["bytes"] / 1e6, "MB", "itself", 1.0),
        Figure(f"{name}, whole process", peak, "MB", f"{PDF_MEGABYTES:.0f} MB", PDF_MEGABYTES / peak, 1.0),
    ]


def posting(urls: servers.DatabaseUrls, count: int) -> list[Figure]:
    """The command is grant_goodwill: it holds the account, and writes an audit record and the chain as well.

    django-hordak's transfer does none of the three; both have their balance check in the database.
    """
    users, others = postings.open_accounts(50), postings.open_accounts(50)
    raw, hordak = postings.RawWriter(urls, others), postings.Hordak.start()
    works = [lambda some: postings.by_command(users, some), raw.run]
    if hordak is not None:
        works.append(hordak.run)
    mine, bare, *rival = sliced(count, *works)
    name = "two-legged posting through the public command"
    found = [Figure(name, count / mine, "/s", "one raw statement of the same rows", bare / mine, 0.55)]
    if hordak is not None:
        hordak.stop()
        found.append(Figure(name, count / mine, "/s", "django-hordak transfer_to", rival[0] / mine, 3.0))
        found.append(
            Figure(
                "the raw statement of its rows",
                count / bare,
                "/s",
                "django-hordak transfer_to",
                rival[0] / bare,
            )
        )
    return found


def routes(world: Any, count: int) -> list[Figure]:
    """The bare route reads the same columns by one statement; a ModelSerializer is there for comparison."""
    invoice_id = world.buy(world.customer()).invoice_id
    paths = (f"/internal/v1/invoices/{invoice_id}", f"/bare/{invoice_id}", f"/naive/{invoice_id}", "/empty")
    mine, bare, naive, empty = sliced(count, *(reads.route(path) for path in paths))
    return [
        Figure("reading one invoice", count / mine, "/s", "a bare DRF route", bare / mine, 0.5),
        Figure("the same by a ModelSerializer", count / naive, "/s", "a bare DRF route", bare / naive),
        Figure("reading one invoice", count / mine, "/s", "a DRF route that reads nothing", empty / mine),
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS))
    given = parser.parse_args()
    for name in given.parts:
        if name not in PARTS:
            parser.error(f"no such part: {name}")
    return given


def main() -> int:
    given = _arguments()
    scale = 10 if given.quick else 1
    run = servers.open_run()
    try:
        urls = billing_world.prepare()
        from django.conf import settings

        settings.ROOT_URLCONF = "benchmarks.billing_urls"
        world = billing_world.catalogue()
        parts: dict[str, Callable[[], list[Figure]]] = {
            "pricing": lambda: pricing(5_000 // scale),
            "routes": lambda: routes(world, 1_000 // scale),
            "posting": lambda: posting(urls, 1_000 // scale),
            "promo-codes": lambda: promo_codes(world, 500 // scale),
            "statement": lambda: statement(urls, 100_000 // scale),
            "statement-pdf": lambda: statement_pdf(urls, 100_000 // scale),
        }
        figures = [figure for name in given.parts or PARTS for figure in parts[name]()]
    finally:
        servers.close_run(run)
    for one in figures:
        bound = f"bound {one.bound}: {'holds' if one.holds else 'MISSED'}" if one.bound else ""
        print(f"{one.name:<56} {one.value:10.2f} {one.unit:<3} {one.ratio:7.3f} of {one.against:<36} {bound}")
    print(json.dumps([asdict(one) | {"holds": one.holds} for one in figures], ensure_ascii=False))
    return 0 if all(one.holds for one in figures) else 1


if __name__ == "__main__":
    raise SystemExit(main())
