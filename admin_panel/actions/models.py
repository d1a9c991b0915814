"""The permissions of staff actions; there is no table behind them."""

from __future__ import annotations

from typing import Final

from django.db import models

# codename -> what the permission is called where groups are edited
ACTIONS: Final[dict[str, str]] = {
    "adjust_charge": "Adjust a charge",
    "grant_goodwill": "Grant a goodwill credit",
    "write_off": "Write off an invoice",
    "void_invoice": "Void an invoice",
    "refund_payment": "Refund a payment",
    "confirm_transfer": "Confirm a bank transfer",
    "confirm_refund": "Settle a refund by hand",
    "settle_review": "End the review of a payment",
    "assign_discount": "Assign a personal discount",
    "end_discount": "End a personal discount",
    "create_promo_codes": "Create promo codes",
    "create_promotion": "Create a promotion",
    "end_promotion": "End a promotion",
    "resolve_review_item": "Resolve a finding",
    "extend_subscription": "Extend a subscription",
    "release_subscription": "Bill a subscription again that was set aside",
    "block_user": "Block and unblock users",
    "end_sessions": "End a user's sessions",
    "publish_catalogue": "Publish the catalogue",
}


class StaffAction(models.Model):
    """Carries the permissions ``staff_actions.<codename>``."""

    class Meta:
        managed = False
        default_permissions = ()
        permissions = tuple(ACTIONS.items())
