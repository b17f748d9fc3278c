"""Challenges: what a client signs to prove that it holds a key."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable

import msgspec

CHALLENGE_BYTES = 32


class Challenge(msgspec.Struct, frozen=True):
    """32 random bytes and when they were issued, in seconds on the caller's monotonic clock.

    Good for one try. It knows nothing of tries: its holder takes it out before checking an answer, right or wrong.
    """

    value: bytes
    issued_at: float

    @property
    def text(self) -> str:
        """The challenge as the client gets it: standard base64."""
        return b64encode(self.value).decode()

    def is_expired(self, now: float, lifetime: float) -> bool:
        """Whether more than `lifetime` seconds have gone by (0: never expires)."""
        return lifetime > 0 and now - self.issued_at > lifetime


def issue(random_bytes: Callable[[int], bytes], now: float) -> Challenge:
    """A new challenge. `random_bytes` must be unpredictable: `os.urandom` or `secrets.token_bytes`."""
    return Challenge(random_bytes(CHALLENGE_BYTES), now)
