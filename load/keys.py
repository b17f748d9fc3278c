"""RSA keys of virtual users, cached outside the repository: generating one costs more CPU than a hundred logins.

`python -m load.keys 1000` generates keys until the cache has 1,000.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

BITS = 2048
DEFAULT_COUNT = 8
"""Users share keys, since the server's cost for a login does not depend on that."""


class Key:
    """A private key that signs challenges like a client, and its public key as PEM."""

    def __init__(self, private: rsa.RSAPrivateKey) -> None:
        self.private = private
        self.public_pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def sign(self, challenge: bytes) -> bytes:
        return self.private.sign(challenge, padding.PKCS1v15(), SHA256())


def keys_folder() -> Path:
    """The default folder of cached keys (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chat-actors" / "load-keys"


def cached_keys(folder: Path, count: int = DEFAULT_COUNT) -> list[Key]:
    """The first `count` keys of the folder; missing ones are generated. The keys protect nothing."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return [Key(_load_or_make(folder / f"rsa-{BITS}-{number}.pem")) for number in range(count)]


def _load_or_make(path: Path) -> rsa.RSAPrivateKey:
    if path.is_file():
        loaded = load_pem_private_key(path.read_bytes(), None)
        if isinstance(loaded, rsa.RSAPrivateKey):
            return loaded
    made = rsa.generate_private_key(65537, BITS)
    # Rename it into place, since several processes may generate the same key at once.
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    partial.replace(path)
    return made


def main(argv: list[str] | None = None) -> int:
    """Generate keys ahead of a test; returns the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    if len(argv) != 1 or not argv[0].isdecimal():
        print("usage: python -m load.keys COUNT", file=sys.stderr)
        return 2
    folder = keys_folder()
    cached_keys(folder, int(argv[0]))
    print(f"{argv[0]} keys in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
