"""A room kind and a journal that fail when the model asks for it."""

import anyio

from chat_actors.chat import Refused, RoomKind
from chat_actors.chat.room_handle import RunInRoom
from chat_actors.storage import MemoryJournal, StorageError
from tests.chat.session_model import GUARDED


class Guarded(RoomKind):
    """A room that refuses the banned users, and crashes on each join while `explodes` is set."""

    rooms = GUARDED
    banned, explodes, newest = set(), False, None

    async def on_open(self):
        Guarded.newest = self

    async def may_join(self, user_id):
        if user_id in Guarded.banned:
            raise Refused("banned", "You are banned.")

    def state_for(self, user_id):
        if Guarded.explodes:
            raise ValueError("a bug in the room kind")

    @staticmethod
    def ban(user_id):
        Guarded.banned.add(user_id)
        if Guarded.newest is not None:
            room = Guarded.newest.room
            room._context.self_ref.tell(RunInRoom(room, lambda: room.remove(user_id, "banned", "You are banned.")))


class FaultyJournal(MemoryJournal):
    """Takes `seconds` for each call, and fails in the method that `fails` names."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds, self.fails = seconds, ""

    async def commit(self, batch, at):
        await self._work("commit")
        return await super().commit(batch, at)

    async def missed(self, room_id, *, after, up_to):
        await self._work("missed")
        return await super().missed(room_id, after=after, up_to=up_to)

    async def page(self, room_id, *, after=None, before=None, limit):
        await self._work("page")
        return await super().page(room_id, after=after, before=before, limit=limit)

    async def _work(self, method):
        if self.seconds:
            await anyio.sleep(self.seconds)
        if self.fails == method:
            raise StorageError(method, "the journal", "asked to fail", "none")
