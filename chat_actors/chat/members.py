"""The members of a room: connections, and the users that they belong to. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from chat_actors.chat.outbox import Outbox
from chat_actors.kernel import AnyRef


class Member(msgspec.Struct, frozen=True):
    """One connection of a user in a room."""

    session: AnyRef
    user_id: str
    outbox: Outbox
    keeps_open: bool = True
    """Whether the room stays open while this is its only member."""


class Members:
    """The connections in a room, by session. A user is in the room while at least one of its connections is."""

    def __init__(self) -> None:
        self._by_session: dict[AnyRef, Member] = {}
        self._connections: Counter[str] = Counter()

    def __len__(self) -> int:
        """The number of connections."""
        return len(self._by_session)

    def __iter__(self) -> Iterator[Member]:
        return iter(self._by_session.values())

    def __contains__(self, session: AnyRef) -> bool:
        return session in self._by_session

    @property
    def users(self) -> Sequence[str]:
        """The user ids, each once, in the order of joining."""
        return list(self._connections)

    @property
    def keep_open(self) -> bool:
        """Whether any member keeps the room open."""
        return any(member.keeps_open for member in self)

    def get(self, session: AnyRef) -> Member | None:
        return self._by_session.get(session)

    def add(self, member: Member) -> bool:
        """Add or replace a connection. Whether it is the user's first one."""
        if member.session in self._by_session:
            self._by_session[member.session] = member
            return False
        self._by_session[member.session] = member
        self._connections[member.user_id] += 1
        return self._connections[member.user_id] == 1

    def remove(self, session: AnyRef) -> str | None:
        """Remove a connection. The user id if it was the user's last one, else None."""
        member = self._by_session.pop(session, None)
        if member is None:
            return None
        self._connections[member.user_id] -= 1
        if self._connections[member.user_id]:
            return None
        del self._connections[member.user_id]
        return member.user_id
