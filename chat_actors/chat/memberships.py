"""The memberships of a session: its current room, if any, and its additional rooms.

A room owns its members; the session keeps a ref to each of its rooms, to route messages. The number of its join tells
whether a notice of the room is about this stay or an earlier one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chat_actors.chat.room_joins import Membership
from chat_actors.chat.room_messages import MemberRemoved, NotAMember
from chat_actors.kernel import AnyRef
from chat_actors.protocol import AnyCommand, Authenticate, ExtensionCommand, Join, Refusal, SwitchRoom, refusals

MAX_HELD = 64
"""Commands of one session that wait for changes of rooms."""


class RoomChange:
    """A join or leave of an additional room that has not ended."""

    __slots__ = ("held", "holds_all", "is_join", "notices")

    def __init__(self, *, is_join: bool) -> None:
        self.is_join = is_join
        self.held: list[AnyCommand] = []
        self.holds_all = False
        """Whether later commands wait too, since a held one may change the user or the current room."""
        self.notices: list[MemberRemoved] = []
        """Notices during the change, which may be about a join that the session does not know of yet."""


class Memberships:
    """The rooms of one session. No I/O."""

    __slots__ = ("_by_room", "changes", "current")

    def __init__(self) -> None:
        self._by_room: dict[str, Membership] = {}
        self.current: Membership | None = None
        self.changes: dict[str, RoomChange] | None = None  # made at the first additional join

    def __len__(self) -> int:
        """The rooms that the session is in or is joining."""
        joining = (room_id for room_id, change in (self.changes or {}).items() if change.is_join)
        return len(self._by_room) + sum(room_id not in self._by_room for room_id in joining)

    @property
    def all(self) -> Sequence[Membership]:
        return list(self._by_room.values())

    @property
    def has_any(self) -> bool:
        return bool(self._by_room)

    def find(self, room_id: str) -> Membership | None:
        return self._by_room.get(room_id)

    def named(self, room_id: str | None) -> Membership | Refusal:
        """The membership of the room that a command names; without a name, of the current room."""
        if room_id is not None:
            return self._by_room.get(room_id) or refusals.NOT_JOINED
        if self.current is not None:
            return self.current
        return refusals.NO_CURRENT_ROOM if self._by_room else refusals.NOT_IN_ROOM

    def named_by(self, command: ExtensionCommand) -> Membership | Refusal | None:
        """The same for a command of an extension, which may need no room: None without a name and a current room."""
        return self.current if command.named_room is None else self.named(command.named_room)

    def find_by_ref(self, room: AnyRef) -> Membership | None:
        return next((membership for membership in self._by_room.values() if membership.room is room), None)

    def concerned_by(self, notice: NotAMember | MemberRemoved) -> Membership | None:
        """The membership that a notice of a room is about, unless it is about an earlier stay."""
        membership = self.find_by_ref(notice.room)
        return membership if membership is not None and notice.joins >= membership.number else None

    def add(self, membership: Membership, *, is_current: bool) -> None:
        """Add a membership, or replace that of the same room."""
        self._by_room[membership.room_id] = membership
        if is_current:
            self.current = membership

    def remove(self, room_id: str) -> Membership | None:
        membership = self._by_room.pop(room_id, None)
        if membership is not None and membership is self.current:
            self.current = None
        return membership

    # -- changes -------------------------------------------------------------------------------------------------------

    def begin_change(self, room_id: str, *, is_join: bool) -> None:
        if self.changes is None:
            self.changes = {}
        self.changes[room_id] = RoomChange(is_join=is_join)

    def end_change(self, room_id: str) -> RoomChange:
        if self.changes is None:
            raise AssertionError("only a change that has begun can end")
        return self.changes.pop(room_id)

    def hold(self, command: AnyCommand, rooms: Iterable[str]) -> Refusal | bool:
        """Hold a command until the changes of these rooms have ended. False if there are none.

        What follows a login, a plain join or a switch that is held waits behind it: it may be about another user or
        another current room.
        """
        changes = self.changes or {}
        barrier = next((change for change in changes.values() if change.holds_all), None)
        change = barrier or next((changes[room_id] for room_id in rooms if room_id in changes), None)
        if change is None:
            return False
        if sum(len(each.held) for each in changes.values()) >= MAX_HELD:
            return refusals.BUSY
        change.held.append(command)
        change.holds_all = change.holds_all or _is_barrier(command)
        return True

    @property
    def hold_all(self) -> bool:
        """Whether each command is held now."""
        return any(change.holds_all for change in (self.changes or {}).values())

    @property
    def changing_rooms(self) -> Sequence[str]:
        return list(self.changes or ())

    def note(self, notice: MemberRemoved) -> None:
        """Keep a notice until the changes that are under way have ended."""
        for change in (self.changes or {}).values():
            change.notices.append(notice)


def _is_barrier(command: AnyCommand) -> bool:
    return isinstance(command, Authenticate | SwitchRoom) or (isinstance(command, Join) and not command.additional)
