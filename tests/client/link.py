"""A connection between a conversation and the real actors, on which a test carries each text."""

import itertools

import anyio

from chat_actors.chat import Frame
from chat_actors.client import Conversation
from chat_actors.client.conversation_events import RequestAnswered, RetryNeeded, RoomEvent
from chat_actors.kernel.testing import settle
from chat_actors.protocol import messages
from tests.chat.rig import KEY


class Link:
    """Carries texts, one at a time, between a conversation and a chat in memory. It can be cut between any two."""

    def __init__(self, chat, user_id):
        ids = itertools.count()
        self.chat = chat
        self.conversation = Conversation(user_id, KEY, new_id=lambda: f"{user_id}-{next(ids)}")
        self.client = None
        self.texts = []
        self.events = []
        self.retries = set()
        self.rooms = {}

    def open(self, *room_ids, since=None):
        """Open rooms. Returns the last one."""
        for room_id in room_ids:
            self.rooms[room_id] = self.conversation.open_room(room_id, since)
        return self.rooms[room_id]

    async def connect(self):
        self.client = await self.chat.connect()
        self.conversation.connected()

    def cut(self):
        """Drop the texts in flight, in both directions."""
        self.client.disconnect()
        self.texts.clear()
        self.client = None
        self.retries.clear()
        self.handle(self.conversation.disconnected())

    def handle(self, events):
        for event in events:
            if isinstance(event, RetryNeeded):
                self.retries.add(event.room_id)
            else:
                self.events.append(event)

    def retry(self):
        retries, self.retries = self.retries, set()
        for room_id in retries:
            self.conversation.retry(room_id)

    def send_one(self):
        """Let the conversation send. Returns whether there was anything to send."""
        sent = self.conversation.to_send()
        for text in sent:
            self.client.unread.append(Frame(text))
        self.client.resume()
        return bool(sent)

    def receive_one(self):
        """Let the conversation receive one text. Returns whether there was one."""
        for block in self.client.outbox._blocks:
            self.texts += block.texts
        self.client.outbox._blocks.clear()
        self.client.outbox._size = 0
        if self.texts:
            self.handle(self.conversation.receive(self.texts.pop(0)))
            return True
        return False

    async def run_until_idle(self):
        """Send and receive until nothing is left to do, and retry what failed."""
        idle = 0
        while idle < 3:
            await settle(self.chat.system)
            progressed = self.send_one() | self.receive_one()
            if not progressed and self.retries:
                await anyio.sleep(1)
                self.retry()
                progressed = True
            idle = 0 if progressed else idle + 1

    def answered(self):
        return [event.request_id for event in self.events if isinstance(event, RequestAnswered)]

    def in_room(self, cls, room_id="red"):
        """The events of a class of a room."""
        events = [event.event for event in self.events_of(RoomEvent) if event.room_id == room_id]
        return [event for event in events if isinstance(event, cls)]

    def contents(self, room_id="red"):
        return [event.content for event in self.in_room(messages.ChatMessage, room_id)]

    def seqs(self, room_id="red"):
        return [event.seq for event in self.in_room(messages.ChatMessage, room_id)]

    def events_of(self, cls):
        return [event for event in self.events if isinstance(event, cls)]

    def room_actor(self, room_id="red"):
        """The actor of a room that the server has this user in, or None."""
        if self.client is None or self.client.session.is_stopped:
            return None
        rooms = getattr(self.client.session._cell.actor, "_memberships", None)
        stay = None if rooms is None else rooms.find(room_id)
        return None if stay is None else stay.room
