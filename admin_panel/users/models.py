"""UserAPI's tables as AdminPanel reads them: unmanaged, in the read-only alias ``users``."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _


class User(models.Model):
    """A customer. The password hash is left out on purpose."""

    id = models.UUIDField(primary_key=True)
    email = models.TextField(_("e-mail"))
    email_normalized = models.TextField()
    full_name = models.TextField(_("name"), null=True)
    phone = models.TextField(_("phone"), null=True)
    locale = models.TextField(_("language"))
    time_zone = models.TextField(_("time zone"))
    status = models.TextField(
        _("status"),
        choices=[("active", _("active")), ("blocked", _("blocked")), ("erased", _("erased"))],
    )
    token_epoch = models.IntegerField()
    created_at = models.DateTimeField(_("registered"))
    updated_at = models.DateTimeField(_("changed at"))

    class Meta:
        managed = False
        db_table = "users"
        verbose_name = _("user")
        verbose_name_plural = _("users")
        ordering: ClassVar[list[str]] = ["-created_at"]

    def __str__(self) -> str:
        return self.email


class AccessRight(models.Model):
    """A right of a user to a resource, as granted."""

    pk = models.CompositePrimaryKey("user_id", "source", "resource")
    user = models.ForeignKey(User, on_delete=models.DO_NOTHING, related_name="access_rights")
    source = models.TextField()
    resource = models.TextField()
    until = models.DateTimeField(null=True)
    granted_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "access_rights"
        default_permissions = ()


class RecurringPayment(models.Model):
    """A consent to automatic charges of one subscription."""

    id = models.UUIDField(primary_key=True)
    user = models.ForeignKey(User, on_delete=models.DO_NOTHING, related_name="recurring_payments")
    subscription_id = models.UUIDField()
    payment_method_id = models.UUIDField(null=True)
    status = models.TextField()
    text_version = models.TextField()
    accepted_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    revoked_reason = models.TextField(null=True)

    class Meta:
        managed = False
        db_table = "recurring_payments"
        default_permissions = ()


class AccountAction(models.Model):
    """What staff did to an account, and why."""

    id = models.UUIDField(primary_key=True)
    user = models.ForeignKey(User, on_delete=models.DO_NOTHING, related_name="account_actions")
    actor = models.TextField()
    action = models.TextField()
    reason = models.TextField()
    acted_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "account_actions"
        default_permissions = ()
