"""An extension for tests: rooms that count, and a service that records what was added in each room."""

import anyio
import msgspec

from chat_actors import Command, Extension, Message, Refused, RoomKind, Scope, Service, command, handles


class Add(Command, frozen=True, tag="add"):
    number: int = 1


class Total(Message, frozen=True, tag="total"):
    total: int


class AddLater(Command, frozen=True, tag="add_later"):
    seconds: float


class AddSlowly(Command, frozen=True, tag="add_slowly"):
    number: int


class Watch(Command, frozen=True, tag="watch"):
    pass


class Crash(Command, frozen=True, tag="crash"):
    pass


class Report(Command, frozen=True, tag="report"):
    pass


class Added(msgspec.Struct, frozen=True):
    number: int


class Books(Service):
    """A service for each room."""

    scope = Scope.ROOM

    async def on_start(self):
        self.added = await self.store.get("added", list[int], [])

    @handles
    async def note(self, added: Added) -> None:
        self.added.append(added.number)
        await self.store.put("added", self.added)

    @command()
    def report(self, caller, report: Report) -> Total:
        return Total(sum(self.added))


class Counter(RoomKind):
    rooms = "count-*"
    chosen_as = "counter"

    async def on_open(self):
        self.total = await self.store.get("total", int, 0)

    def state_for(self, user_id):
        return {"total": self.total, "creator": self.room.creator}

    @command()
    async def add(self, caller, add: Add) -> Total:
        if not add.number:
            raise Refused("nothing", "Add something.")
        await self.add_and_report(add.number)
        self.room.service(Books, self.room.room_id).tell(Added(add.number))
        return Total(self.total)

    @command()
    def add_later(self, caller, later: AddLater) -> None:
        self.room.after(later.seconds, lambda: self.add_and_report(1))

    @command()
    def add_slowly(self, caller, slowly: AddSlowly) -> None:
        async def work():
            await anyio.sleep(3)
            if slowly.number < 0:
                raise ValueError("not this")
            return slowly.number

        self.room.pipe(work, into=self.add_and_report, failed=lambda error: self.room.tell_all(Total(-1)))

    @command()
    def watch(self, caller, watch: Watch) -> None:
        self.room.subscribe(caller)

    @command()
    def crash(self, caller, crash: Crash) -> None:
        raise ValueError("asked to crash")

    async def add_and_report(self, number):
        self.total += number
        await self.store.put("total", self.total)
        self.room.tell_subscribers(Total(self.total))


COUNTER = Extension(name="counter", services=[Books], room_kinds=[Counter])


def totals(client):
    return [message["total"] for message in client.hear() if message["type"] == "total"]


def errors(client):
    return [(message["code"], message.get("id")) for message in client.hear() if message["type"] == "error"]
