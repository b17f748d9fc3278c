"""Batches a room's messages and delivers them to its members.

Theory of operation. Messages that the room has ordered are encoded once and appended to the pending block. `flush`
offers that block to every member's outbox; the room calls it at the end of each turn. A member who joins while
messages are pending has an index into the block and receives only what follows, so its stream starts at its own join.
A member who leaves receives the pending messages first.

Invariants: every member receives the messages added between its join and its leave, in one order, each once, however
the turns are cut. A block holds `BLOCK_BYTES` at most, or one larger message. The object outlives a crash of the room,
so pending messages are still delivered.
"""

from __future__ import annotations

from chat_actors.chat.members import Member, Members
from chat_actors.chat.outbox import Block
from chat_actors.kernel import AnyRef
from chat_actors.protocol import AnyMessage, encode, messages

BLOCK_BYTES = 65_536
"""Maximum size of a block in bytes, unless a single message is larger.

A block saves one system call for each message and member. Larger blocks save nothing more, and a block must fit into
the outbox of a client that keeps up.
"""


class FanOut:
    """Collects messages for all members and delivers them as one block to each outbox.

    Each message is encoded once when it is added, and framed once for all members who receive the same block. Ten joins
    in one turn cost each member one block, not ten.
    """

    __slots__ = ("_newcomers", "_pending", "_pending_bytes", "members", "room_id")

    def __init__(self, room_id: str) -> None:
        self.room_id = room_id
        self.members = Members()
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._newcomers: dict[AnyRef, int] = {}  # index of the first pending message to deliver

    def add(self, message: AnyMessage) -> None:
        """Queue a message for all current members."""
        payload = encode(message)
        self._make_space(payload)
        self._append(payload)

    def _make_space(self, payload: bytes) -> None:
        if self._pending_bytes + len(payload) > BLOCK_BYTES:
            self.flush()

    def _append(self, payload: bytes) -> None:
        self._pending.append(payload)
        self._pending_bytes += len(payload)

    def join(self, member: Member, joined: messages.Joined | None) -> bool:
        """Add a member, send it `joined`, and announce it to the others. Whether it is the user's first connection.

        Without `joined`, the member receives nothing that was added before: its replay has those messages. A session
        that is a member already stays one, with its new outbox.
        """
        earlier = self.members.get(member.session)
        if earlier is not None:
            self._flush_to(earlier)  # a replay repeats the messages, but not who has joined and left
        announcement = encode(messages.user_joined(member.user_id, self.room_id))
        self._make_space(announcement)  # before the member is added: it does not receive earlier messages
        is_first = self.members.add(member)
        if joined is not None:
            member.outbox.offer(Block.of(joined))
        if is_first:
            self._append(announcement)
        self._newcomers[member.session] = len(self._pending)  # skips its own announcement
        return is_first

    def leave(self, session: AnyRef) -> str | None:
        """Remove a member and announce it. The user id if it was the user's last connection, else None."""
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
        """Deliver the pending messages to all members, in one loop without an await. Wakes no task."""
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
        """Deliver the pending messages to one member, which then leaves or joins again."""
        start = self._newcomers.get(member.session, 0)
        if start < len(self._pending):
            member.outbox.offer(Block(self._pending[start:]))
        self._newcomers[member.session] = len(self._pending)  # a full block must not deliver them again
