"""What operators rely on: refusals, traces, metrics, logs, graceful stops."""
