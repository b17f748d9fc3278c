"""The identity of a user: an id, and the key that proves it."""

from __future__ import annotations

from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from chat_actors.client.keyfile import load_key, load_or_create_key
from chat_actors.protocol import is_user_id


class Identity(msgspec.Struct, frozen=True):
    """A user id and its RSA key. The private key proves the identity; the server receives only the public key.

    Attributes:
        user_id: 3 to 32 letters, digits, `_` or `-`.
        key: The private key.

    Raises:
        ValueError: `user_id` is not valid.
    """

    user_id: str
    key: RSAPrivateKey

    def __post_init__(self) -> None:
        if not is_user_id(self.user_id):
            raise ValueError(f"{self.user_id!r} is no user id: it must be 3 to 32 letters, digits, _ or -")

    @classmethod
    def load(cls, user_id: str, path: Path | None = None, *, passphrase: str | None = None) -> Identity:
        """Load the key from a PEM file.

        Args:
            user_id: 3 to 32 letters, digits, `_` or `-`.
            path: The key file; by default `key_file(user_id)`.
            passphrase: Decrypts the file, if it is encrypted.

        Returns:
            The identity.

        Raises:
            KeyFileError: The file cannot be used.
            PassphraseNeeded: The file is encrypted, and there is no passphrase.
            ValueError: `user_id` is not valid.
        """
        return cls(user_id, load_key(path or key_file(user_id), passphrase))

    @classmethod
    def load_or_create(cls, user_id: str, path: Path | None = None, *, passphrase: str | None = None) -> Identity:
        """Load the key from a PEM file, or generate it on first use, which takes about 0.1 to 0.5 s.

        Args:
            user_id: 3 to 32 letters, digits, `_` or `-`.
            path: The key file, created with mode 0600; by default `key_file(user_id)`.
            passphrase: Encrypts a new file, or decrypts an existing one.

        Returns:
            The identity.

        Raises:
            KeyFileError: The file cannot be used.
            PassphraseNeeded: The file is encrypted, and there is no passphrase.
            ValueError: `user_id` is not valid.
        """
        return cls(user_id, load_or_create_key(path or key_file(user_id), passphrase))


def key_file(user_id: str) -> Path:
    """Return the default key file of a user.

    Args:
        user_id: 3 to 32 letters, digits, `_` or `-`. The check also keeps the path inside the folder.

    Returns:
        `~/.chat-actors/keys/USER_ID.pem`.

    Raises:
        ValueError: `user_id` is not valid.
    """
    if not is_user_id(user_id):
        raise ValueError(f"{user_id!r} is no user id: it must be 3 to 32 letters, digits, _ or -")
    return Path.home() / ".chat-actors" / "keys" / f"{user_id}.pem"
