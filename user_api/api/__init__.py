"""[UserAPI] The edge for end users and services; every router of the app is in ``ROUTERS``."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from user_api.api import (
    access_rights,
    account_links,
    account_pages,
    auth,
    consent_texts,
    internal_access,
    internal_clock,
    internal_confirmations,
    internal_messages,
    internal_payments,
    internal_users,
    invoices,
    jwks,
    landing,
    me,
    my_data,
    my_products,
    passport,
    payment_methods,
    payments,
    products,
    purchases,
    quiescence,
    quotes,
    recurring_payments,
    sessions,
    subscriptions,
)

ROUTERS: Final[tuple[APIRouter, ...]] = (
    landing.router,
    auth.router,
    account_links.router,
    account_pages.router,
    sessions.router,
    me.router,
    my_data.router,
    jwks.router,
    internal_users.router,
    internal_messages.router,
    products.router,
    consent_texts.router,
    quotes.router,
    subscriptions.router,
    purchases.router,
    my_products.router,
    invoices.router,
    payments.router,
    payment_methods.router,
    recurring_payments.router,
    access_rights.router,
    passport.router,
    internal_access.router,
    internal_payments.router,
    internal_confirmations.router,
    quiescence.router,
)
# Not in the app in production.
DEVELOPMENT_ROUTERS: Final[tuple[APIRouter, ...]] = (internal_clock.router,)
