"""RSA keys, made once and kept: making one takes far longer than all that is measured."""

from __future__ import annotations

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
HOW_MANY = 8
"""Users share them: a server does the same work for a key that it knows from somebody else."""


class Key:
    """A private key that signs as the protocol's clients do, and its public half as PEM."""

    def __init__(self, private: rsa.RSAPrivateKey) -> None:
        self._private = private
        self.public_pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def sign(self, challenge: bytes) -> bytes:
        return self._private.sign(challenge, padding.PKCS1v15(), SHA256())


def cached_keys(folder: Path) -> list[Key]:
    """The keys in this folder, made there if they are missing."""
    folder.mkdir(parents=True, exist_ok=True)
    return [Key(_load_or_make(folder / f"rsa-{BITS}-{number}.pem")) for number in range(HOW_MANY)]


def _load_or_make(path: Path) -> rsa.RSAPrivateKey:
    if path.is_file():
        loaded = load_pem_private_key(path.read_bytes(), None)
        if isinstance(loaded, rsa.RSAPrivateKey):
            return loaded
    made = rsa.generate_private_key(65537, BITS)
    path.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return made
