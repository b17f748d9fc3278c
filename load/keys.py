"""RSA keys for load, made ahead and kept outside the repository: making one costs more than a hundred logins.

`python -m load.keys 1000` makes as many as are missing.
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
"""Users share them: a server does the same work for a key that it knows from somebody else."""


class Key:
    """A private key that signs as the protocol's clients do, and its public half as PEM."""

    def __init__(self, private: rsa.RSAPrivateKey) -> None:
        self.private = private
        self.public_pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def sign(self, challenge: bytes) -> bytes:
        return self.private.sign(challenge, padding.PKCS1v15(), SHA256())


def keys_folder() -> Path:
    """Where keys are kept if nothing else is said: the user's cache (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chat-actors" / "load-keys"


def cached_keys(folder: Path, count: int = DEFAULT_COUNT) -> list[Key]:
    """The first so many keys of this folder, made there if they are missing. They protect nothing."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return [Key(_load_or_make(folder / f"rsa-{BITS}-{number}.pem")) for number in range(count)]


def _load_or_make(path: Path) -> rsa.RSAPrivateKey:
    if path.is_file():
        loaded = load_pem_private_key(path.read_bytes(), None)
        if isinstance(loaded, rsa.RSAPrivateKey):
            return loaded
    made = rsa.generate_private_key(65537, BITS)
    # Whole or not at all, since several processes may be making the same ones.
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    partial.replace(path)
    return made


def main(argv: list[str] | None = None) -> int:
    """Make keys ahead; the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    if len(argv) != 1 or not argv[0].isdecimal():
        print("usage: python -m load.keys HOW_MANY", file=sys.stderr)
        return 2
    folder = keys_folder()
    cached_keys(folder, int(argv[0]))
    print(f"{argv[0]} keys in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
