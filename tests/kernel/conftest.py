import logging

import msgspec
import pytest

from chat_actors.kernel import Actor, ActorType, Request, Restart, handles
from chat_actors.kernel.testing import Probe, settle, virtual_asyncio, virtual_trio

ON_ASYNCIO = pytest.mark.parametrize("anyio_backend", [virtual_asyncio()], ids=["asyncio"])
"""For cancellation without a cancel scope, which only asyncio has."""


@pytest.fixture(params=[virtual_asyncio, virtual_trio], ids=["asyncio", "trio"])
def anyio_backend(request):
    """Both event loops, on virtual time: an hour of backoff takes milliseconds."""
    return request.param()


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL, "chat_actors.kernel")


class Get(Request[int], msgspec.Struct, frozen=True):
    pass


class Add(msgspec.Struct, frozen=True):
    amount: int = 1


class Fail(Request[None], msgspec.Struct, frozen=True):
    pass


class Ping(msgspec.Struct, frozen=True):
    n: int = 0


class Counter(Actor[Get | Add | Fail]):
    supervision = Restart(at_most=2, within=60.0, backoff=(0.1, 1.0))

    def __init__(self, start=0):
        self.count = start

    async def on_start(self):
        if self.count == -1:
            raise ValueError("cannot start at -1")

    @handles
    def add(self, message: Add) -> None:
        self.count += message.amount

    @handles
    async def get(self, message: Get) -> int:
        return self.count

    @handles
    async def fail(self, message: Fail) -> None:
        raise ValueError("asked to fail")


class Rooms(Actor[Get]):
    """Declares one actor type and records the keys for which it made an actor."""

    actor_type = ActorType("room")

    def __init__(self, made, room=Counter):
        self.made = made
        self.room = room

    async def on_start(self):
        self.context.declare(self.actor_type, self.make)

    def make(self, key):
        self.made.append(key)
        return self.room


async def start_probe(system, name="probe"):
    """A probe that has started, so that the test may use its context."""
    probe = Probe()
    system.spawn_named(name, lambda: probe)
    await settle(system)
    return probe


def collect(system, event_type):
    """Return a list to which each event of this type is appended from now on."""
    received = []
    system.events.listen(event_type, received.append)
    return received
