"""Who a user is: a name, and the key that proves it."""

from __future__ import annotations

from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from chat_actors.client.keyfile import load_key, load_or_create_key
from chat_actors.protocol import is_user_id


class Identity(msgspec.Struct, frozen=True):
    """A user id and its RSA key. Whoever has the key is that user; the server learns its public half only.

    Raises `ValueError` if `user_id` is not 3 to 32 letters, digits, `_` or `-`.
    """

    user_id: str
    key: RSAPrivateKey

    def __post_init__(self) -> None:
        if not is_user_id(self.user_id):
            raise ValueError(f"{self.user_id!r} is no user id: it must be 3 to 32 letters, digits, _ or -")

    @classmethod
    def load(cls, user_id: str, path: Path | None = None, *, passphrase: str | None = None) -> Identity:
        """From a key file in PEM, by default `key_file(user_id)`. Raises `KeyFileError`, and `PassphraseNeeded`."""
        return cls(user_id, load_key(path or key_file(user_id), passphrase))

    @classmethod
    def load_or_create(cls, user_id: str, path: Path | None = None, *, passphrase: str | None = None) -> Identity:
        """As `load`, from a file that is made on first use, readable by you alone; encrypted if there is a passphrase.

        Making a key takes some tenths of a second.
        """
        return cls(user_id, load_or_create_key(path or key_file(user_id), passphrase))


def key_file(user_id: str) -> Path:
    """Where a user's key is kept if nothing else is said: `~/.chat-actors/keys/NAME.pem`.

    Raises `ValueError` for what is no user id, so that no name leads out of the folder.
    """
    if not is_user_id(user_id):
        raise ValueError(f"{user_id!r} is no user id: it must be 3 to 32 letters, digits, _ or -")
    return Path.home() / ".chat-actors" / "keys" / f"{user_id}.pem"
