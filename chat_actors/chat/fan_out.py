"""What a room has put into its order, on the way to its members."""

from __future__ import annotations

from chat_actors.chat.members import Member, Members
from chat_actors.chat.outbox import Block
from chat_actors.kernel import AnyRef
from chat_actors.protocol import AnyMessage, encode, messages

BLOCK_BYTES = 65_536
"""What a room hands out at once, at most, but for one message that is larger.

A block is joined to save a system call for each message and member. Beyond this nothing more is saved, and a client
that reads well must not have more put into its outbox at once than its bound allows.
"""


class FanOut:
    """Collects what everybody in a room is to hear, and hands it out as one block to each member's outbox.

    Each message is encoded when it is added, and framed and joined once for all who hear the same. Whoever comes or
    goes in between keeps their place in the order: a newcomer hears what was added after them, a leaver what was
    before. So ten joins in one turn cost each member one block, and not ten.
    """

    __slots__ = ("_newcomers", "_pending", "_pending_bytes", "members", "room_id")

    def __init__(self, room_id: str) -> None:
        self.room_id = room_id
        self.members = Members()
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._newcomers: dict[AnyRef, int] = {}  # from which pending message on they hear

    def add(self, message: AnyMessage) -> None:
        """Everybody who is here now is to hear this, in the order of the calls."""
        payload = encode(message)
        self._make_space(payload)
        self._append(payload)

    def _make_space(self, payload: bytes) -> None:
        if self._pending_bytes + len(payload) > BLOCK_BYTES:
            self.flush()

    def _append(self, payload: bytes) -> None:
        self._pending.append(payload)
        self._pending_bytes += len(payload)

    def join(self, member: Member, joined: messages.Joined) -> bool:
        """Let a connection in, and tell it `joined` and the others; whether it is its user's first."""
        if member.session in self.members:
            self._flush_to(member)
        return self._admit(member, joined)

    def join_silently(self, member: Member) -> bool:
        """As `enter`, without a word to the connection: it hears what is added from now on, and nothing before.

        If it is in already it stays, with the outbox that it has now.
        """
        return self._admit(member, None)

    def _admit(self, member: Member, joined: messages.Joined | None) -> bool:
        news = encode(messages.user_joined(member.user_id, self.room_id))
        self._make_space(news)  # while they are not in yet: they do not hear of what was before them
        is_first = self.members.add(member)
        if joined is not None:
            member.outbox.offer(Block.of(joined))
        if is_first:
            self._append(news)
        self._newcomers[member.session] = len(self._pending)  # nor of themselves
        return is_first

    def leave(self, session: AnyRef) -> str | None:
        """Let a connection go, and tell the others; the user's id if it was their last, None if not or not here."""
        member = self.members.get(session)
        if member is None:
            return None
        self._flush_to(member)
        self._newcomers.pop(session, None)
        user_id = self.members.remove(session)
        if user_id is not None:
            self.add(messages.user_left(user_id, self.room_id))
        return user_id

    def flush(self) -> None:
        """To everybody in one loop without a wait; no task is woken for it."""
        pending, newcomers = self._pending, self._newcomers
        if not pending:
            return
        self._pending, self._pending_bytes, self._newcomers = [], 0, {}
        block = Block(pending)
        if not newcomers:
            for member in self.members:
                member.outbox.offer(block)
            return
        blocks = {start: Block(pending[start:]) for start in set(newcomers.values()) if start < len(pending)}
        for member in self.members:
            start = newcomers.get(member.session)
            if start is None:
                member.outbox.offer(block)
            elif start in blocks:
                member.outbox.offer(blocks[start])

    def _flush_to(self, member: Member) -> None:
        """One member hears now what is pending for it."""
        start = self._newcomers.get(member.session, 0)
        if start < len(self._pending):
            member.outbox.offer(Block(self._pending[start:]))
        self._newcomers[member.session] = len(self._pending)
