"""Challenges, which a client signs to prove that it holds a key."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable

import msgspec

CHALLENGE_BYTES = 32


class Challenge(msgspec.Struct, frozen=True):
    """32 random bytes and the time of issue, in seconds on the caller's monotonic clock.

    Valid for one attempt. The caller discards it before it checks a signature, whether that is right or wrong.
    """

    value: bytes
    issued_at: float

    @property
    def text(self) -> str:
        """The challenge as it is sent to the client: standard base64."""
        return b64encode(self.value).decode()

    def is_expired(self, now: float, lifetime: float) -> bool:
        """Whether more than `lifetime` seconds have passed since the issue (0: never expires)."""
        return lifetime > 0 and now - self.issued_at > lifetime


def issue_challenge(random_bytes: Callable[[int], bytes], now: float) -> Challenge:
    """A new challenge. `random_bytes` must be unpredictable: `os.urandom` or `secrets.token_bytes`."""
    return Challenge(random_bytes(CHALLENGE_BYTES), now)
