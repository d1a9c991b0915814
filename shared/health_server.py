"""``/healthz``, ``/readyz`` and ``/metrics`` of processes that serve no API, from a thread of their own."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from shared import metrics

Report = Callable[[], tuple[bool, dict[str, Any]]]


def serve(port: int, report: Report, host: str = "0.0.0.0") -> ThreadingHTTPServer:  # noqa: S104 - a container's
    """Starts the server in a daemon thread. ``report`` gives readiness and the body of ``/readyz``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                body, content_type = metrics.exposition()
                self._send(200, body, content_type)
            elif self.path == "/healthz":
                self._send(200, b'{"status": "alive"}', "application/json")
            elif self.path == "/readyz":
                ready, state = report()
                self._send(200 if ready else 503, json.dumps(state).encode(), "application/json")
            else:
                self._send(404, b"{}", "application/json")

        def _send(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            with suppress(
                ConnectionError
            ):  # who asked did not wait: no reason to write an error among the logs
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return  # probes every few seconds are no news

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
