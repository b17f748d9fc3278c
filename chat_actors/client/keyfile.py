"""Private keys of users, and their files."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from chat_actors.client.errors import ClientError


class KeyFileError(ClientError):
    """The key file cannot be used.

    Attributes:
        path: The file.
        problem: The fault of the file, for people.
    """

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


class PassphraseNeeded(KeyFileError):
    """The key file is encrypted, and no passphrase was given. It has the attributes of `KeyFileError`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "is encrypted; give its passphrase")


def generate_key(bits: int = 3072) -> RSAPrivateKey:
    """Generate an RSA key, which takes about 0.1 to 0.5 s.

    Args:
        bits: Size of the modulus. 3072 bits are sufficient beyond 2030 (NIST SP 800-57 part 1, table 2).

    Returns:
        The private key, with the public exponent 65537.
    """
    return generate_private_key(public_exponent=65537, key_size=bits)


def public_pem(key: RSAPrivateKey) -> str:
    """Encode the public key as the server expects it.

    Args:
        key: The private key.

    Returns:
        SubjectPublicKeyInfo (RFC 5280, section 4.1) in PEM.
    """
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def save_key(key: RSAPrivateKey, path: Path, passphrase: str | None = None) -> None:
    """Write a key to a new file that only its owner can read (mode 0600). Missing folders are created.

    Args:
        key: The private key.
        path: The new file: PKCS #8 in PEM.
        passphrase: Encrypts the file; without one, the key is stored in plain text.

    Raises:
        KeyFileError: The file exists or cannot be written.
    """
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text)
    except FileExistsError:
        raise KeyFileError(path, "there is a file already; remove it or name another") from None
    except OSError as error:
        raise KeyFileError(path, f"cannot be written: {error.strerror}") from None


def load_key(path: Path, passphrase: str | None = None) -> RSAPrivateKey:
    """Read a key from a PEM file.

    Args:
        path: The file.
        passphrase: Decrypts the file, if it is encrypted.

    Returns:
        The private key.

    Raises:
        KeyFileError: The file cannot be read, does not hold an RSA key, or has another passphrase.
        PassphraseNeeded: The file is encrypted, and there is no passphrase.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise KeyFileError(path, f"cannot be read: {error.strerror}") from None
    try:
        key = load_pem_private_key(text, password=passphrase.encode() if passphrase else None)
    except TypeError:
        if passphrase:
            raise KeyFileError(path, "is not encrypted; leave the passphrase out") from None
        raise PassphraseNeeded(path) from None
    except (ValueError, UnsupportedAlgorithm):
        problem = "is no private key in PEM" + (", or that is not its passphrase" if passphrase else "")
        raise KeyFileError(path, problem) from None
    if not isinstance(key, RSAPrivateKey):
        raise KeyFileError(path, "is no RSA key; make one with: chat-actors keygen FILE")
    return key


def load_or_create_key(path: Path, passphrase: str | None = None) -> RSAPrivateKey:
    """Read a key from a PEM file, or generate it and write the file if there is none.

    Args:
        path: The file.
        passphrase: Encrypts a new file, or decrypts an existing one.

    Returns:
        The private key.

    Raises:
        KeyFileError: As for `load_key` and `save_key`.
        PassphraseNeeded: The file is encrypted, and there is no passphrase.
    """
    if not path.exists():
        save_key(generate_key(), path, passphrase)
    return load_key(path, passphrase)
