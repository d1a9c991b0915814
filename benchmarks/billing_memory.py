"""One statement in a process of its own: ``python -m benchmarks.billing_memory json|csv|pdf USER``.

Prints seconds, bytes, and the resident memory before and at most, as JSON.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from uuid import UUID

from shared import logs


def resident_mb(name: str) -> float:
    """``VmRSS`` now or ``VmHWM`` at most. Not ru_maxrss: a new process begins with its parent's."""
    found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024 / 1e6


def main() -> None:
    import django

    logs.configure("billing-benchmark", "WARNING")
    django.setup()
    from benchmarks.billing_reads import consume, streams

    kind, user_id = sys.argv[1], UUID(sys.argv[2])
    consume(streams()[kind](UUID(int=0)))  # an unknown user's: everything is loaded and connected
    before, started = resident_mb("VmRSS"), time.perf_counter()
    size = consume(streams()[kind](user_id))
    told = {"seconds": time.perf_counter() - started, "bytes": size}
    print(json.dumps({**told, "before_mb": before, "peak_mb": resident_mb("VmHWM")}))


if __name__ == "__main__":
    main()
