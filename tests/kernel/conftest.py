import logging

import msgspec
import pytest

from chat_actors.kernel import Actor, Request, Restart, handles
from chat_actors.kernel.testing import virtual_asyncio, virtual_trio


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


class Counter(Actor[Get | Add | Fail]):
    supervision = Restart(at_most=2, within=60.0, backoff=(0.1, 1.0))

    def __init__(self, start=0):
        self.count = start
        self.starts = []

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
