"""What operators see of the running stack: a purchase as one trace, the metrics of docs/operations.md."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.stack import LocalStack
from tests.shared.operators.running import Collector

OPERATIONS = Path(__file__).resolve().parents[2] / "docs/operations.md"
# from the customer's click to the access right: who did what, the last first
PURCHASE = [
    ("user-worker", "process subscription.activated"),
    ("billing-worker", "create subscription.activated"),
    ("billing-worker", "process payment.succeeded"),
    ("pay-api", "create payment.succeeded"),
    ("pay-api", "POST /v1/payments"),
    ("user-api", "POST pay-api"),
    ("user-api", "POST /v1/me/subscriptions"),
]
# what the column of processes says in a word
GROUPS = {
    "APIs": ["user-api", "pay-api", "billing-api"],
    "workers with a relay": ["user-worker", "pay-worker", "billing-worker", "admin-worker"],
    "workers": ["user-worker", "billing-worker"],
}
# the story makes none of these: nothing waits, is unknown or contradicts at its end
QUIET = {
    "payments_open",
    "payment_money_back_given_up",
    "payment_second_charges_total",
    "fiscal_receipts_pending",
    "billing_runs",
    "reconciler_queries_total",
    "payment_observations_contradicted_total",
    "payment_operations_refused_total",
    "collection_attempts_live",
    "billing_orders_open",
    "billing_findings_open",
}


def purchases(collector: Collector) -> list[list[tuple[str, str]]]:
    """(service, span) from each right granted back to the request it began with; all of one trace each."""
    spans = {span.span_id: (service, span) for service, span in collector.spans()}
    found = []
    for service, granted in spans.values():
        if (service, granted.name) == PURCHASE[0]:
            path, parent = [PURCHASE[0]], granted.parent_span_id
            while parent in spans:
                service, span = spans[parent]
                assert span.trace_id == granted.trace_id
                path.append((service, span.name))
                parent = span.parent_span_id
            found.append(path)
    return found


def is_one_trace(collector: Collector) -> bool:
    """Whether some right granted leads back through all of ``PURCHASE``, in this order."""

    def leads_back(path: list[tuple[str, str]]) -> bool:
        rest = iter(path)
        return all(step in rest for step in PURCHASE)

    return any(leads_back(path) for path in purchases(collector))


def documented_metrics() -> list[tuple[str, set[str], list[str]]]:
    """(metric, its labels, processes that show it) by the table of docs/operations.md."""
    section = OPERATIONS.read_text(encoding="utf-8").split("## Metrics")[1].split("\n## ")[0]
    found = []
    for names, processes in re.findall(r"^\| (`.+?) \| (.+?) \|", section, re.MULTILINE):
        shown_by = GROUPS.get(processes) or processes.split(", ")
        for name, labels in re.findall(r"`(\w+)(?:\{([\w,]+)\})?`", names):
            found.append((name, set(filter(None, labels.split(","))), shown_by))
    return found


def check_metrics(stack: LocalStack) -> int:
    """Every documented metric is shown by its processes, with its labels; gives how many there are."""
    shown: dict[str, dict[str, list[set[str]]]] = {}
    documented = documented_metrics()
    for process in {process for _, _, processes in documented for process in processes}:
        text = httpx.get(f"{stack.addresses().http(process)}/metrics", trust_env=False, timeout=20).text
        shown[process] = {}
        for family in text_string_to_metric_families(text):
            counted = [sample for sample in family.samples if not sample.name.endswith("_created")]
            shown[process][family.name] = [set(sample.labels) - {"le"} for sample in counted]
    for name, labels, processes in documented:
        samples = []
        for process in processes:
            family = name.removesuffix("_total")
            assert family in shown[process], f"{process} does not show {name}"
            samples += shown[process][family]
        assert all(sample == labels for sample in samples), f"{name} has {samples[0]}, not {labels}"
        assert samples or name in QUIET, f"nobody has counted {name} in the whole story"
    return len(documented)
