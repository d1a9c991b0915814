"""Pure billing rules: values in, values out; no I/O and no clock."""
