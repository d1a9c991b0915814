"""A process that answers every GET with 200, or ends at once with words in its log."""

from __future__ import annotations

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Answer(BaseHTTPRequestHandler):
    """200 with the path asked for."""

    def do_GET(self) -> None:
        body = f"{self.path} prefix={self.headers.get('X-Forwarded-Prefix', '')}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    if sys.argv[1] == "fail":
        print("cannot find the treasure map", flush=True)
        sys.exit(7)
    port = int(sys.argv[1] if sys.argv[1] != "health" else os.environ["HEALTH_PORT"])
    ThreadingHTTPServer(("127.0.0.1", port), Answer).serve_forever()
