"""What `docker compose up` alone gives, before `make up` adds anything: `.ci/run` asks at that moment."""

from __future__ import annotations

import json
import urllib.request

from deploy.compose import DEVELOPMENT_PORTS
from deploy.processes import PUBLISHED_PORTS
from tests.deploy.containers.engine import Container, containers
from tests.deploy.test_compose import ONE_SHOTS, SERVICES


def published(container: Container) -> list[tuple[str, int]]:
    """(address, port) of everything a container publishes."""
    ports = container.facts["NetworkSettings"]["Ports"] or {}
    return [(where["HostIp"], int(where["HostPort"])) for places in ports.values() for where in places or []]


def main() -> None:
    """Raises AssertionError at the first thing that is not as documented."""
    running = containers()
    assert set(running) == set(SERVICES)
    for name, container in running.items():
        state = container.facts["State"]
        if name in ONE_SHOTS:
            assert (state["Status"], state["ExitCode"]) == ("exited", 0), name
        else:
            assert (state["Status"], state["Health"]["Status"]) == ("running", "healthy"), name
        assert name not in DEVELOPMENT_PORTS or not published(container), f"{name} is published"
    everything = sorted(place for container in running.values() for place in published(container))
    assert everything == sorted(("127.0.0.1", port) for port in PUBLISHED_PORTS.values()), everything
    products = f"http://127.0.0.1:{PUBLISHED_PORTS['gateway']}/user-api/v1/products"
    with urllib.request.urlopen(products, timeout=10) as answer:
        sold = json.load(answer)["items"]
    assert sold
    print(
        f"{len(running)} containers as documented, {len(everything)} ports on loopback, {len(sold)} products"
    )


if __name__ == "__main__":
    main()
