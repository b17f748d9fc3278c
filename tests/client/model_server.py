"""A model of a server with several rooms on a connection, for the state machine test of `Conversation`."""

from collections import deque

import msgspec

from chat_actors.protocol import (
    Authenticate,
    GetChallenge,
    Hello,
    Join,
    Leave,
    Post,
    ReadHistory,
    decode_command,
    encode,
    messages,
    refusals,
)

WELCOME = messages.Welcome("a test", "1", 3, ["rooms"], messages.ClientLimits(0, 0, 0, 0, 0, 0), "now")
BANNED = refusals.Refusal("banned", "You are banned.")
KICKED = refusals.Refusal("kicked", "ann removed you.")


class Room:
    """All messages ever stored, the first `pruned` of which have been removed, and their deduplication keys.

    The numbers go up in threes: clients may rely on their order only.
    """

    def __init__(self):
        self.stored = []
        self.pruned = 0
        self.seq_by_key = {}
        self.members = []

    @property
    def last(self):
        return 3 * len(self.stored)

    def after(self, seq):
        return self.stored[max(seq // 3, self.pruned) :]


class Connection:
    """The server's end of a connection, and the texts in flight."""

    def __init__(self, rooms, user_id):
        self.rooms = rooms
        self.user_id = user_id
        self.to_server = deque()
        self.to_client = deque()

    def tell(self, message):
        self.to_client.append(encode(message))

    def is_in(self, room_id):
        return self in self.rooms[room_id].members

    def leave_all(self):
        for room in self.rooms.values():
            if self in room.members:
                room.members.remove(self)

    def remove(self, room_id, refusal):
        """Remove the user from a room, which the client is told."""
        self.rooms[room_id].members.remove(self)
        self.tell(refusal.as_error(removed_from=room_id))

    def next_command(self):
        return decode_command(self.to_server[0]) if self.to_server else None

    def refuse(self, refusal, *, is_named):
        """Refuse the oldest received text. An older server does not name it."""
        command = decode_command(self.to_server.popleft())
        self.tell(refusal.as_error(command.request_id if is_named else None))

    def handle(self):
        """Handle the oldest received text."""
        command = decode_command(self.to_server.popleft())
        request_id = command.request_id
        match command:
            case Hello():
                self.tell(WELCOME)
            case GetChallenge():
                self.tell(messages.Challenge("AAAA"))
            case Authenticate():
                self.tell(messages.authenticated(self.user_id))
            case Join():
                self.join(command)
            case ReadHistory():
                page = self.rooms[command.room_id].after(0)[-50:]
                first, last = (page[0].seq, page[-1].seq) if page else (None, None)
                self.tell(messages.History(command.room_id, page, first, last, False, request_id=request_id))
            case Post() | Leave() if not self.is_in(command.room_id):
                self.tell(refusals.NOT_JOINED.as_error(request_id))
            case Leave():
                self.rooms[command.room_id].members.remove(self)
                self.tell(messages.Left(command.room_id, request_id=request_id))
            case Post():
                self.post(command)

    def join(self, command):
        assert command.additional
        room = self.rooms[command.room_id]
        if self not in room.members:
            room.members.append(self)
        joined = messages.joined(self.user_id, command.room_id, command.request_id, room.last, additional=True)
        if command.since is None:
            self.tell(joined)
            return
        kept = room.after(command.since)
        missed = len(room.stored) - command.since // 3
        lost = missed - len(kept)
        self.tell(msgspec.structs.replace(joined, recovered=not lost, missed=missed, lost=lost or None))
        for message in kept:
            self.tell(message)

    def post(self, command):
        room, key = self.rooms[command.room_id], (self.user_id, command.client_msg_id)
        if key not in room.seq_by_key:
            message = messages.ChatMessage(self.user_id, command.room_id, command.content, "now", room.last + 3)
            room.stored.append(message)
            room.seq_by_key[key] = message.seq
            for member in room.members:
                member.tell(message)
        self.tell(messages.Accepted(command.client_msg_id, room.seq_by_key[key], "now", request_id=command.request_id))
