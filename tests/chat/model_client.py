"""A client that knows only what it has sent and received, and checks each message against the logs of the rooms."""

from bisect import bisect_right

from chat_actors.protocol import messages
from tests.chat.session_model import SessionModel, summary

POST_ERRORS = ("not_stored", "room_failed")
"""Errors that answer a post later than its turn."""


class Stay:
    """The stay of a connection in a room, as its client sees it. `position` counts the log's entries up to there."""

    def __init__(self, room, user, *, is_new):
        self.room, self.user, self.is_new = room, user, is_new
        self.position = None  # unknown until the first message: a plain join without an id tells no number
        self.presence = []  # (user, +1 or -1) of this step
        self.has_ended = False


class ModelClient:
    def __init__(self, name, rig, user):
        self.name, self.rig, self.user = name, rig, user
        self.session = SessionModel(self, user)
        self.current, self.stays = None, {}
        self.seen = {}  # room -> the last number that the client knows of
        self.sent = {}  # id -> command
        self.has_ended = False
        self.begin_step()

    def __repr__(self):
        return self.name

    def begin_step(self):
        self.answers, self.outcomes, self.received = [], [], []
        self.session.begin_step()
        for stay in self.stays.values():
            stay.is_new, stay.presence = False, []
        self.ended_stays = []

    def receive(self, logs):
        for message in self.rig.hear():
            match message:
                case messages.ChatMessage(room_id=room):
                    self._chat_message(message, logs[room])
                case messages.UserJoined(user_id=user, room_id=room):
                    self._stay(room).presence.append((user, +1))
                case messages.UserLeft(user_id=user, room_id=room):
                    self._stay(room).presence.append((user, -1))
                case messages.Accepted() | messages.Error(code="not_stored" | "room_failed"):
                    self.outcomes.append(message)
                case _:
                    self._answer(message, logs)

    def _stay(self, room):
        assert room in self.stays, f"{self} is not in {room}"
        return self.stays[room]

    def _chat_message(self, message, log):
        stay = self._stay(message.room_id)
        if stay.position is None:
            stay.position = log.position(message.seq) - 1
        entry = log[stay.position] if stay.position < len(log) else None
        assert (message.seq, message.user_id, message.content) == entry, f"{self} in {log.room}: {message}"
        stay.position += 1
        self.seen[message.room_id] = message.seq
        self.received.append((message.room_id, message.content))

    def _answer(self, message, logs):
        self.answers.append(summary(message))
        match message:
            case messages.Joined(room_id=room):
                self._joined(message, logs[room])
            case messages.Left(room_id=room):
                self._end(room)
            case messages.Error(room_id=str() as room) if room in self.stays:
                self._end(room)
            case messages.Authenticated(user_id=user) if user != self.user:
                for room in list(self.stays):
                    self._end(room)
                self.user = user
            case messages.Error() | messages.Authenticated():
                pass
            case _:
                raise AssertionError(f"{self} received {message}")

    def _end(self, room):
        stay = self._stay(room)
        del self.stays[room]
        stay.has_ended = True
        self.ended_stays.append(stay)
        if self.current == room:
            self.current = None

    def _joined(self, message, log):
        room = message.room_id
        if message.additional:
            assert room != self.current
        else:
            if self.current not in (None, room):
                self._end(self.current)
            self.current = room
        is_new = room not in self.stays
        stay = self.stays.setdefault(room, Stay(room, self.user, is_new=True))
        since = self.sent.get(message.request_id, {}).get("since")
        if since is not None:
            stay.position = log.check_replay(message, since)
        elif message.seq is not None:
            position = log.position(message.seq)
            assert is_new or stay.position in (None, position), f"{self} joined {room} again, with a gap"
            stay.position = position
        if message.seq is not None:
            self.seen[room] = message.seq

    def check_complete(self, logs):
        """All rooms have delivered all that they have."""
        for room, stay in self.stays.items():
            if stay.position is None:
                stay.position = len(logs[room])
            assert stay.position == len(logs[room]), f"{self} misses messages of {room}"


class Log(list):
    """The messages of a room, as (seq, user, content). The oldest may be removed from the journal by retention."""

    def __init__(self, room, *, has_journal):
        super().__init__()
        self.room, self.has_journal, self.first_kept = room, has_journal, 0

    @property
    def last(self):
        return self[-1][0] if self else 0

    def position(self, seq):
        """How many entries have at most this number."""
        return bisect_right(self, seq, key=lambda entry: entry[0])

    def check_replay(self, joined, since):
        """Check the fields of a `joined` with a replay. Returns the position from which the replay starts."""
        position, start, lost = self.position(joined.seq), self.position(since), 0
        if since == joined.seq or (self.has_journal and since < joined.seq):
            lost = max(0, min(self.first_kept, position) - start)
            expected = (not lost, position - start, lost or None)
        else:
            start, expected = position, (False, 0, None)
        assert (joined.recovered, joined.missed, joined.lost) == expected, (joined, since)
        return start + lost
