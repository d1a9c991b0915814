"""The Django app of the billing tables; installed by BillingAPI and by AdminPanel."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class BillingServiceConfig(AppConfig):
    name = "billing_api.billing_service"
    label = "billing_service"
    verbose_name = _("Billing")
    default_auto_field = "django.db.models.BigAutoField"
