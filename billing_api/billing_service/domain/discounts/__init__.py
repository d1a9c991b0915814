"""Discounts: one kind per file, the order of application only in ``stacking``."""
