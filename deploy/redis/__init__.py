"""The Redis users of the suite."""
