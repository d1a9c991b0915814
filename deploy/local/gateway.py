"""Renders and runs the gateway of the local stack: the machine's own nginx with the template compose uses."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from pathlib import Path

from deploy.local.ports import LOOPBACK
from deploy.local.programs import Program, own_directory, own_file

TEMPLATE = Path(__file__).resolve().parents[1] / "gateway" / "gateway.conf.template"
ACCOUNT = "www-data"
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def render(template: str, values: Mapping[str, str]) -> str:
    """Fills ``${NAME}`` in, as the nginx image's entry point does; nginx' own ``$names`` stay.

    Raises KeyError when a name has no value.
    """
    return re.sub(r"\$\{([A-Z_]+)\}", lambda match: values[match.group(1)], template)


def values(ports: Mapping[str, int], access_log: str) -> dict[str, str]:
    """The template's values on one machine."""
    addresses = {
        f"{name.upper().replace('-', '_')}_ADDRESS": f"{LOOPBACK}:{ports[name]}"
        for name in ("user-api", "pay-api", "billing-api", "admin-panel")
    }
    fixed = {"GATEWAY_RESOLVER": LOOPBACK, "GATEWAY_LOG": access_log}
    return addresses | fixed | {"GATEWAY_LISTEN": f"{LOOPBACK}:{ports['gateway']}"}


def prepare(directory: Path, ports: Mapping[str, int]) -> None:
    """Writes the configuration; everything nginx writes stays in ``directory``."""
    own_directory(directory, ACCOUNT)
    temporary = "".join(f"  {name}_temp_path {directory}/{name};\n" for name in _TEMPORARY)
    server = render(TEMPLATE.read_text(), values(ports, f"{directory}/access.log"))
    main = (
        f"daemon off;\nworker_processes 1;\npid {directory}/nginx.pid;\nerror_log stderr warn;\n"
        f"events {{ worker_connections 512; }}\nhttp {{\n{temporary}  access_log off;\n{server}}}\n"
    )
    own_file(directory / "nginx.conf", main, ACCOUNT)


def program(directory: Path) -> Program:
    """nginx, unprivileged; SIGQUIT lets requests in flight finish."""
    argv = ("/usr/sbin/nginx", "-p", str(directory), "-e", "stderr", "-c", str(directory / "nginx.conf"))
    return Program("gateway", argv, directory, {}, ACCOUNT, signal.SIGQUIT, stop_seconds=5)
