"""Asks this container's own /readyz; exit code 0 when it answers 200. Standard library only."""

import http.client
import sys


def main() -> int:
    """Usage: healthcheck.py PORT."""
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=3)
    try:
        connection.request("GET", "/readyz")
        return 0 if connection.getresponse().status == 200 else 1
    except OSError:
        return 1


if __name__ == "__main__":
    sys.exit(main())
