"""A model of a session in several rooms: what each command must be answered with, and what it changes. No actors."""

from collections import defaultdict
from dataclasses import dataclass, field

from chat_actors.protocol import messages

ROOMS_PER_CONNECTION = 3
NO_ROOM = "not_in_room or no_current_room"
GUARDED = "guarded"
"""The room that has a room kind, which may refuse users and crash on joins."""


@dataclass
class Post:
    """A `chat_message` that the model expects to reach a room."""

    client: object
    room: str
    user: str
    content: str
    client_msg_id: str | None
    request_id: str | None


@dataclass
class Batch:
    """What the commands of one step do, as the model predicts it, and the faults that the step injects."""

    logs: dict
    has_journal: bool
    banned: frozenset
    fault: str = ""
    is_open: bool = False
    """Whether an answer depends on how far the joins and leaves of additional rooms are."""
    posts: list = field(default_factory=list)
    toggles: dict = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    """(room, user) → client → +1 for each join, -1 for each leave, in order."""

    @property
    def is_loose(self):
        """Whether the outcome of commands cannot be predicted."""
        return self.is_open or self.fault in ("close", "ban")

    def was_stored(self, entry, added):
        """Whether a message was in the log before this step added some."""
        room = entry[0]
        older = self.logs[room][: len(self.logs[room]) - sum(one[0] == room for one in added)]
        return entry[1:] in [(user, content) for _, user, content in older]

    def read_fails(self, kind, room, since):
        """Whether the replay fails on this call of the journal. Without posts in the batch, the log does not grow."""
        return self.has_journal and self.fault == kind and since is not None and since < self.logs[room].last


def summary(message):
    """An answer, as far as the model predicts it."""
    match message:
        case messages.Joined(room_id=room, user_id=user, request_id=request_id):
            has_seq, has_replay = message.seq is not None, message.recovered is not None
            return ("joined", request_id, room, user, message.additional is True, has_seq, has_replay)
        case messages.Left(room_id=room, request_id=request_id):
            return ("left", request_id, room)
        case messages.Authenticated(user_id=user, request_id=request_id):
            return ("authenticated", request_id, user)
        case messages.Error(room_id=room, code=code, request_id=request_id):
            return ("error", request_id, room, code)
        case _:
            return message


class SessionModel:
    """The user and the rooms of a session, and the answers that it owes its client, in order."""

    def __init__(self, client, user):
        self._client = client
        self.user, self.current, self.additional = user, None, set()
        self.has_challenge = False
        self.begin_step()

    def begin_step(self):
        self.answers = []
        self._in_flight = set()  # additional rooms that may still be joined or left beside later commands
        self._joining = set()  # those of them that may still be joined: they count for the limit

    @property
    def rooms(self):
        return self.additional | ({self.current} if self.current else set())

    def execute(self, command, batch):
        match command["type"]:
            case "join":
                self._enter(command, batch, additional=command.get("additional", False))
            case "switch_room":
                self._enter(command, batch, additional=False)
            case "leave":
                room = self._room_of(command)
                if room is not None:
                    if room != self.current:
                        self._in_flight.add(room)
                    self._joining.discard(room)
                    self._leave(room, batch)
                    self.answers.append(("left", command.get("id"), room))
            case "chat_message":
                room = self._room_of(command)
                if room is not None:
                    ids = command.get("clientMsgId"), command.get("id")
                    batch.posts.append(Post(self._client, room, self.user, command["content"], *ids))
            case "authenticate":
                self._log_in(command, batch)
            case _:
                self._refuse(command, "unknown_type")

    def _refuse(self, command, code, removed_from=None, *, answers=True):
        self.answers.append(("error", command.get("id") if answers else None, removed_from, code))

    def _room_of(self, command):
        """The room that the command is about; None if it is refused."""
        room = command.get("roomId", self.current)
        if room in self.rooms:
            return room
        if "roomId" in command:
            self._refuse(command, "not_joined")
        elif self._in_flight:
            self._refuse(command, NO_ROOM)
        else:
            self._refuse(command, "no_current_room" if self.additional else "not_in_room")
        return None

    def _log_in(self, command, batch):
        if not self.has_challenge:
            self._refuse(command, "no_challenge")
            return
        self.has_challenge = False
        self._in_flight.clear()
        self._joining.clear()
        if command["userId"] != self.user:
            for room in self.rooms:
                self._leave(room, batch)
            self.user = command["userId"]
        self.answers.append(("authenticated", command.get("id"), self.user))

    # -- joining --

    def _enter(self, command, batch, *, additional):
        room, is_member = command["roomId"], command["roomId"] in self.rooms
        leaves = None if additional or room == self.current else self.current
        is_one_more = not is_member and leaves is None
        if is_one_more and len(self.rooms) < ROOMS_PER_CONNECTION <= len(self.rooms | self._joining):
            batch.is_open = True
        if additional:
            self._in_flight.add(room)
        if is_one_more and len(self.rooms) >= ROOMS_PER_CONNECTION:
            self._refuse(command, "room_limit")
        elif not is_member and room == GUARDED and self.user in batch.banned:
            if additional:
                self._joining.add(room)
            self._refuse(command, "banned")
        else:
            if leaves is not None:
                self._leave(leaves, batch)
            elif additional:
                self._joining.add(room)
            self._join(command, batch, leaves, is_additional=additional and room != self.current)

    def _join(self, command, batch, has_left, *, is_additional):
        room, since, is_member = command["roomId"], command.get("since"), command["roomId"] in self.rooms
        if room == GUARDED and batch.fault == "explode":
            if is_member:
                self._leave(room, batch)
            self._fail(command, "room_closed", room, has_left)
            return
        if not is_member:
            batch.toggles[room, self.user][self._client].append(+1)
        if batch.read_fails("missed", room, since):
            self.additional.add(room)
            self._leave(room, batch)
            self._fail(command, "internal_failure", room if is_member else None, has_left)
            return
        has_seq = is_additional or "id" in command
        self.answers.append(("joined", command.get("id"), room, self.user, is_additional, has_seq, since is not None))
        self.additional.add(room)
        if batch.read_fails("page", room, since):
            self._leave(room, batch)
            self._fail(command, "internal_failure", room, has_left)
        elif not is_additional:
            self.additional.discard(room)
            self.current = room

    def _fail(self, command, code, *rooms):
        """The client is told each room that it is out of."""
        removed = [room for room in rooms if room is not None] or [None]
        for n, room in enumerate(removed):
            self._refuse(command, code, room, answers=n == 0)

    def _leave(self, room, batch):
        self.additional.discard(room)
        if self.current == room:
            self.current = None
        batch.toggles[room, self.user][self._client].append(-1)
