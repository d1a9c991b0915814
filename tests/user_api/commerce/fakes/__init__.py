"""PayAPI and BillingAPI in memory, with faults to order."""

from tests.user_api.commerce.fakes.billing_api import FakeBillingApi
from tests.user_api.commerce.fakes.pay_api import FakePayApi

__all__ = ["FakeBillingApi", "FakePayApi"]
