"""Finds the Debian packages the servers need and installs what is missing without starting anything."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POLICY = Path("/usr/sbin/policy-rc.d")
CREATE_CLUSTER = Path("/etc/postgresql-common/createcluster.conf")
CREATE_CLUSTER_DEFAULT = Path("/usr/share/postgresql-common/createcluster.conf")

# package -> the files any of which proves it is here
SERVER_PACKAGES: dict[str, tuple[str, ...]] = {
    "postgresql": ("/usr/lib/postgresql/*/bin/postgres",),
    "redis-server": ("/usr/bin/redis-server", "/usr/local/bin/redis-server"),
    "rabbitmq-server": ("/usr/lib/rabbitmq/bin/rabbitmq-server",),
}
GATEWAY_PACKAGES: dict[str, tuple[str, ...]] = {"nginx-light": ("/usr/sbin/nginx", "/usr/local/sbin/nginx")}


def missing(packages: dict[str, tuple[str, ...]]) -> list[str]:
    """Names of the packages whose programs are not on this machine."""
    root = Path("/")
    return [
        package
        for package, patterns in packages.items()
        if not any(next(root.glob(pattern.lstrip("/")), None) for pattern in patterns)
    ]


def install_command(packages: list[str]) -> str:
    """What a person with rights types to install them."""
    prefix = "" if os.geteuid() == 0 else "sudo "
    return f"{prefix}apt-get install --no-install-recommends {' '.join(packages)}"


def ensure(packages: dict[str, tuple[str, ...]]) -> list[str]:
    """Makes sure every package is here; returns what it installed.

    Raises SystemExit with the exact list and command when something is missing and we may not install it
    (not root, no apt, or NO_APT=1).
    """
    needed = missing(packages)
    if not needed:
        return []
    allowed = os.geteuid() == 0 and shutil.which("apt-get") and os.environ.get("NO_APT") != "1"
    if not allowed:
        raise SystemExit(
            f"missing on this machine: {', '.join(needed)}\ninstall with: {install_command(needed)}\n"
            "(the servers these packages start by themselves are not needed: the stack runs its own)"
        )
    _install(needed)
    if still := missing(packages):
        raise SystemExit(f"apt finished but these are still missing: {', '.join(still)}")
    return needed


def _install(packages: list[str]) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "l"}
    options = ["-q", "-y", "-o", "Dpkg::Options::=--force-confold", "-o", "DPkg::Lock::Timeout=120"]
    install = ["apt-get", "install", "--no-install-recommends", *options, *packages]
    with _no_service_start(), _no_main_cluster():
        done = subprocess.run(install, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:  # most often no package lists yet, or stale ones
            subprocess.run(["apt-get", "update", "-q"], env=environment, capture_output=True, check=False)
            done = subprocess.run(install, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(
            f"apt could not install {', '.join(packages)}:\n{(done.stdout + done.stderr)[-3000:]}"
        )


@contextmanager
def _no_service_start() -> Iterator[None]:
    """Debian asks policy-rc.d before it starts a service; 101 says no. An existing policy is put back."""
    kept = POLICY.with_name("policy-rc.d.before-cinema")
    if POLICY.exists() and not kept.exists():
        POLICY.rename(kept)
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        if kept.exists():
            kept.replace(POLICY)
        else:
            POLICY.unlink(missing_ok=True)


@contextmanager
def _no_main_cluster() -> Iterator[None]:
    """Keeps Debian from making a cluster nobody asked for, where Postgres was never configured before."""
    if CREATE_CLUSTER.exists():
        yield
        return
    CREATE_CLUSTER.parent.mkdir(parents=True, exist_ok=True)
    CREATE_CLUSTER.write_text("create_main_cluster = false\n")
    try:
        yield
    finally:
        if CREATE_CLUSTER_DEFAULT.exists():  # what an ordinary installation would have put there
            shutil.copyfile(CREATE_CLUSTER_DEFAULT, CREATE_CLUSTER)
        else:
            CREATE_CLUSTER.unlink(missing_ok=True)


if __name__ == "__main__":
    ensure(SERVER_PACKAGES | GATEWAY_PACKAGES)
