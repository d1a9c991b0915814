"""What the local stack remembers in ``.stack/``: its id, generated secrets, chosen ports, where data lies."""

from __future__ import annotations

import base64
import json
import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

from deploy.local.databases import ROLES
from deploy.local.ports import choose_ports
from deploy.local.programs import own_directory, own_file
from deploy.processes import LOCAL_PORTS
from deploy.rabbitmq.users import PERMISSIONS
from deploy.redis import users as redis_users

ROOT = Path(__file__).resolve().parents[2]
# caller -> callees: every edge has a token of its own
EDGES: dict[str, tuple[str, ...]] = {
    "user-api": ("pay-api", "billing-api"),
    "billing-api": ("user-api",),
    "admin-panel": ("user-api",),
    "scheduler": ("billing-api",),
    "mailer": ("user-api",),  # whoever sends mail; no process of the suite
    "operator": ("user-api", "pay-api", "billing-api"),
}
# When we are root the servers run as their packages' accounts, which need not be able to enter the checkout.
ROOT_DATA = Path("/var/lib/cinema-billing")


def dotenv(root: Path) -> dict[str, str]:
    """What the checkout's ``.env`` sets, without expansion; nothing when there is none."""
    path = root / ".env"
    lines = path.read_text().splitlines() if path.exists() else []
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {key.strip(): value.strip() for key, value in pairs}


@dataclass(frozen=True)
class StackState:
    """The folder and everything remembered in it."""

    directory: Path

    @classmethod
    def open(cls, root: Path = ROOT) -> StackState:
        """The state of this checkout; makes the folder, with an id of its own, on first use."""
        directory = own_directory(root / ".stack", None)
        for name in ("logs", "env", "keys"):
            own_directory(directory / name, None)
        if not (directory / "id").exists():
            (directory / "id").write_text(secrets.token_hex(6))
        return cls(directory)

    @property
    def id(self) -> str:
        return (self.directory / "id").read_text().strip()

    @property
    def logs(self) -> Path:
        return self.directory / "logs"

    @property
    def keys(self) -> Path:
        return self.directory / "keys"

    @property
    def demo_logins(self) -> Path:
        return self.directory / "demo-logins.json"

    @property
    def data_path(self) -> Path:
        """Where the servers keep their data; not made by asking."""
        return ROOT_DATA / self.id if os.geteuid() == 0 else self.directory / "data"

    def data(self) -> Path:
        """The folder of the servers' data, made when absent; each server's own folder in it is private."""
        if os.geteuid() == 0:
            own_directory(ROOT_DATA, None, 0o711)
        return own_directory(self.data_path, None, 0o711)

    @property
    def supervisor_socket(self) -> Path:
        """A Unix socket; its path may not be long, so a deep checkout gets one elsewhere."""
        path = self.directory / "supervisor.sock"
        return path if len(str(path)) < 90 else Path(tempfile.gettempdir()) / f"cinema-{self.id}.sock"

    def ports(self) -> dict[str, int]:
        """The ports chosen by the last start; empty before the first."""
        path = self.directory / "ports.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def choose_ports(self) -> dict[str, int]:
        """Chooses and remembers ports; called when nothing of the stack runs."""
        chosen = choose_ports(LOCAL_PORTS, self.ports())
        own_file(self.directory / "ports.json", json.dumps(chosen, indent=1), None)
        return chosen

    def secrets(self) -> dict[str, str]:
        """Secrets made once: ``postgres``, ``role:<role>``, ``rabbitmq:<user>``, ``token:a>b``, ..."""
        path = self.directory / "secrets.json"
        known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        wanted = ["postgres", "redis", "erlang-cookie", "django:billing", "django:admin", "link-signing"]
        wanted += [f"role:{role}" for role in ROLES]
        wanted += [f"rabbitmq:{user}" for user in ("owner", *PERMISSIONS)]
        wanted += [f"redis:{user}" for user in redis_users.USERS]
        wanted += [f"token:{caller}>{callee}" for caller, callees in EDGES.items() for callee in callees]
        made = {name: secrets.token_hex(24) for name in wanted if name not in known}
        if "token-encryption" not in known:  # a Fernet key
            made["token-encryption"] = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        if made:
            known |= made
            own_file(path.with_suffix(".new"), json.dumps(known, indent=1), None).replace(path)
        return known
