"""EdDSA signing keys of UserAPI: made once by the ``keys`` one-shot, read by UserAPI, published as JWKS."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.ids import new_id

# Longer than replicas take to read the directory again, volumes to show the file, caches to let the JWKS go.
PUBLISHED_FIRST: Final = timedelta(minutes=5)
_MADE_HERE: Final = re.compile(r"k([0-9a-f]{12})[0-9a-f]{4}")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and its id."""

    kid: str
    private: Ed25519PrivateKey

    @property
    def made_at(self) -> datetime:
        """When the host of ``create`` made it, which its id tells; 1970 for ids from elsewhere."""
        found = _MADE_HERE.fullmatch(self.kid)
        return datetime.fromtimestamp(int(found[1], 16) / 1000 if found else 0, UTC)

    def as_jwk(self) -> dict[str, Any]:
        """The public half as a JWK (RFC 8037)."""
        jwk = jwt.algorithms.OKPAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return {**jwk, "kid": self.kid, "use": "sig", "alg": "EdDSA"}


def load(directory: Path) -> list[SigningKey]:
    """All keys of a directory (``<kid>.pem``), newest last; all are published, ``signing_key`` chooses."""
    keys = []
    for path in sorted(directory.glob("*.pem")):
        private = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(private, Ed25519PrivateKey):
            raise ValueError(f"{path.name} is not an Ed25519 key")
        keys.append(SigningKey(path.stem, private))
    if not keys:
        raise ValueError("no signing key; run python -m shared.keys")
    return keys


def signing_key(keys: Sequence[SigningKey], now: datetime) -> SigningKey:
    """The newest key published for ``PUBLISHED_FIRST``, else the oldest there is; ``now`` is the host's.

    Published first, signing later: until then some replica may not have read the new key, and would neither
    accept its tokens nor publish it to whoever verifies them.
    """
    ripe = [key for key in keys if now - key.made_at >= PUBLISHED_FIRST]
    return ripe[-1] if ripe else keys[0]


def create(directory: Path) -> SigningKey:
    """Writes a new key (its id sorts after the older ones) readable by its owner and group only."""
    directory.mkdir(parents=True, exist_ok=True)
    key = SigningKey(f"k{new_id().hex[:16]}", Ed25519PrivateKey.generate())
    pem = key.private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    unfinished = directory / f".{key.kid}"
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640), "wb") as file:
        file.write(pem)
    unfinished.rename(directory / f"{key.kid}.pem")
    return key


def main() -> None:
    """Makes a first key when there is none; ``rotate`` adds one that signs ``PUBLISHED_FIRST`` later."""
    directory = Path(os.environ["JWT_KEYS_DIR"])
    if "rotate" in sys.argv[1:] or not list(directory.glob("*.pem")):
        create(directory)


if __name__ == "__main__":
    main()
