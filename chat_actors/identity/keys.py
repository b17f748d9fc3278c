"""Public keys: which ones the server accepts, and the form in which it stores them."""

from __future__ import annotations

import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

from chat_actors.protocol.refusals import INVALID_PUBLIC_KEY, KEY_TOO_SHORT, Refusal

MIN_BITS = 2048
MAX_BITS = 8192
MIN_EXPONENT = 65537
MAX_EXPONENT = 2**32 - 1
MAX_PEM_BYTES = 8192

# Exactly one block with only white space around it: the loader of `cryptography` skips leading text and ignores a
# second block.
_ONE_BLOCK = re.compile(r"\s*-----BEGIN (PUBLIC KEY|RSA PUBLIC KEY)-----[A-Za-z0-9+/=\s]+-----END \1-----\s*", re.ASCII)


class KeyRefused(Exception):
    """The text is not a public key that this server accepts. `refusal` says why."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal

    def __str__(self) -> str:
        return self.refusal.text


class PublicKey:
    """An RSA public key within the bounds of this server."""

    __slots__ = ("rsa",)

    def __init__(self, rsa: RSAPublicKey) -> None:
        self.rsa = rsa

    @property
    def bits(self) -> int:
        return self.rsa.key_size

    @property
    def spki(self) -> bytes:
        """The key as canonical SubjectPublicKeyInfo in DER (RFC 5280, section 4.1.2.7)."""
        return self.rsa.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def parse_public_key(pem: str) -> PublicKey:
    """The key in a PEM text: one block, SubjectPublicKeyInfo or PKCS#1, at most 8 KiB.

    Accepted are RSA keys of 2048 to 8192 bits with an odd exponent from 65537 to 2**32 - 1. The bounds keep a
    verification under 0.5 ms; an unbounded exponent costs 8 ms. Raises `KeyRefused`.
    """
    if len(pem) > MAX_PEM_BYTES or not _ONE_BLOCK.fullmatch(pem):
        raise KeyRefused(INVALID_PUBLIC_KEY)
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise KeyRefused(INVALID_PUBLIC_KEY) from None
    if not isinstance(key, RSAPublicKey):
        raise KeyRefused(INVALID_PUBLIC_KEY)
    if key.key_size < MIN_BITS:
        raise KeyRefused(KEY_TOO_SHORT)
    exponent = key.public_numbers().e
    if key.key_size > MAX_BITS or not MIN_EXPONENT <= exponent <= MAX_EXPONENT or exponent % 2 == 0:
        raise KeyRefused(INVALID_PUBLIC_KEY)
    return PublicKey(key)


def load_public_key(spki: bytes) -> PublicKey:
    """The key from its stored `PublicKey.spki`. Raises `ValueError` if the bytes are no RSA key."""
    key = load_der_public_key(spki)
    if not isinstance(key, RSAPublicKey):
        raise ValueError("the stored key is no RSA key: the accounts file is damaged")
    return PublicKey(key)
