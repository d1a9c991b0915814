"""Finds the Debian packages the servers need and installs what is missing without starting anything."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POLICY = Path("/usr/sbin/policy-rc.d")
POLICY_TEXT = "#!/bin/sh\nexit 101\n# of cinema-billing: may be removed when no installation runs\n"
CREATE_CLUSTER = Path("/etc/postgresql-common/createcluster.conf")
CREATE_CLUSTER_TEXT = "create_main_cluster = false\n"
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
    install = f"apt-get install --no-install-recommends {' '.join(packages)}"
    return f"{prefix}apt-get update && {prefix}{install}"


def refusal(needed: list[str]) -> str:
    """What a person reads who has to install these packages, or have them installed."""
    return (
        f"missing on this machine: {', '.join(needed)}\ninstall with: {install_command(needed)}\n"
        "(the servers these packages start by themselves are not needed: the stack runs its own)"
    )


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
        raise SystemExit(refusal(needed))
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
        if done.returncode != 0:  # an installation cut short, no package lists yet, or stale ones
            for mend in (["dpkg", "--force-confold", "--configure", "-a"], ["apt-get", "update", "-q"]):
                subprocess.run(mend, env=environment, capture_output=True, check=False)
            done = subprocess.run(install, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(
            f"apt could not install {', '.join(packages)}:\n{(done.stdout + done.stderr)[-3000:]}"
        )


@contextmanager
def _no_service_start() -> Iterator[None]:
    """Debian asks policy-rc.d before it starts a service; 101 says no. An existing policy is put back."""
    kept = POLICY.with_name("policy-rc.d.before-cinema")
    # ours can still be there when an installation was killed: it is not the machine's own
    if POLICY.exists() and POLICY.read_text() != POLICY_TEXT and not kept.exists():
        POLICY.rename(kept)
    POLICY.write_text(POLICY_TEXT)
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
    if CREATE_CLUSTER.exists() and CREATE_CLUSTER.read_text() != CREATE_CLUSTER_TEXT:
        yield
        return
    CREATE_CLUSTER.parent.mkdir(parents=True, exist_ok=True)
    CREATE_CLUSTER.write_text(CREATE_CLUSTER_TEXT)
    try:
        yield
    finally:
        if CREATE_CLUSTER_DEFAULT.exists():  # what an ordinary installation would have put there
            shutil.copyfile(CREATE_CLUSTER_DEFAULT, CREATE_CLUSTER)
        else:
            CREATE_CLUSTER.unlink(missing_ok=True)


def docker_answers() -> bool:
    """True when `make up` would use Docker, which needs no servers of the machine."""
    if os.environ.get("MODE") == "local" or not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


def main(arguments: list[str]) -> None:
    """Installs what is missing; with ``--missing PACKAGE...`` only names it, after the packages given."""
    everything = SERVER_PACKAGES | GATEWAY_PACKAGES
    if arguments[:1] == ["--missing"]:
        print(refusal(arguments[1:] + ([] if docker_answers() else missing(everything))))
    else:
        ensure(everything)


if __name__ == "__main__":
    main(sys.argv[1:])
