"""The rate limits of users, counted over all sessions of a user.

Theory of operation. A session begins with buckets of its own. At login it replaces them with those of the user, which
all of the user's sessions share. The gate, which watches the sessions, returns them. Buckets without a session are kept
until they are full, so reconnecting resets nothing; full ones carry no information. Each login and each end of a
session checks two of the kept users, so the table shrinks faster than it grows, without a timer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from chat_actors.chat.command_method import Rate
from chat_actors.chat.limits import Limits
from chat_actors.identity import TokenBucket
from chat_actors.kernel import AnyRef
from chat_actors.protocol import ExtensionCommand

CHECKED = 2
"""Kept users that are checked at each login and at each end of a session."""


class RateBuckets:
    """The token buckets of one user, or of one connection before its login. Most are made at the first use."""

    __slots__ = ("_limits", "_others", "frames", "sessions", "user_id")

    def __init__(self, limits: Limits, user_id: str = "") -> None:
        self._limits = limits
        self._others: dict[Hashable, TokenBucket] | None = None
        self.user_id = user_id
        self.sessions = 0
        self.frames = TokenBucket(limits.messages_per_second, limits.message_burst)

    def take_room_change(self, now: float) -> bool:
        """Take a token for a join or a room switch. Whether there was one."""
        per_minute = self._limits.rooms_per_minute
        return self._take("rooms", per_minute / 60, per_minute, now)

    def take_query(self, now: float) -> bool:
        """Take a token for a request for `members` or `history`. Whether there was one."""
        return self._take("queries", self._limits.queries_per_second, self._limits.message_burst, now)

    def take_command(self, command: type[ExtensionCommand], rate: Rate, now: float) -> bool:
        """Take a token for an extension command with a rate. Whether there was one."""
        return self._take(command, rate.per_second, rate.burst, now)

    def _take(self, key: Hashable, per_second: float, burst: float, now: float) -> bool:
        if self._others is None:
            self._others = {}
        bucket = self._others.get(key)
        if bucket is None:
            bucket = self._others[key] = TokenBucket(per_second, burst)
        return bucket.take(now)

    def are_full(self, now: float) -> bool:
        """Whether new buckets would allow no more than these."""
        return self.frames.is_full(now) and all(bucket.is_full(now) for bucket in (self._others or {}).values())


class UserRates:
    """The buckets of all users who are logged in, or were lately. Part of the gate's state."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._of_session: dict[AnyRef, RateBuckets] = {}
        self._logged_in: dict[str, RateBuckets] = {}
        self._kept: OrderedDict[str, RateBuckets] = OrderedDict()  # without a session; the next one to check first

    def __len__(self) -> int:
        """The number of users in the table."""
        return len(self._logged_in) + len(self._kept)

    def log_in(self, session: AnyRef, user_id: str, now: float) -> RateBuckets:
        """The buckets of a user, for a session that leaves those of its previous user, if any."""
        buckets = self._logged_in.get(user_id) or self._kept.pop(user_id, None) or RateBuckets(self._limits, user_id)
        self._logged_in[user_id] = buckets
        buckets.sessions += 1
        self.session_ended(session, now)
        self._of_session[session] = buckets
        return buckets

    def session_ended(self, session: AnyRef, now: float) -> None:
        """Return the buckets of a session, if it had logged in."""
        buckets = self._of_session.pop(session, None)
        if buckets is not None:
            buckets.sessions -= 1
            if not buckets.sessions:
                del self._logged_in[buckets.user_id]
                self._kept[buckets.user_id] = buckets
        self._drop_full(now)

    def _drop_full(self, now: float) -> None:
        for _ in range(min(CHECKED, len(self._kept))):
            user_id, buckets = self._kept.popitem(last=False)
            if not buckets.are_full(now):
                self._kept[user_id] = buckets
