"""A connection that is cancelled during its admission leaves no session at the gate."""

import asyncio

import anyio
import pytest

from chat_actors.chat import CountSessions, Drain, Limits
from chat_actors.server.connection import Connection
from tests.patience import PATIENCE

pytestmark = pytest.mark.anyio


class Socket:
    """Replaces Quart's WebSocket: the parts that a connection uses."""

    def __init__(self):
        self.scope = {}
        self.is_accepted = anyio.Event()
        self.may_accept = anyio.Event()
        self.closed = None

    async def accept(self):
        self.is_accepted.set()
        await self.may_accept.wait()

    async def receive(self):
        await anyio.sleep_forever()

    async def close(self, code, reason):
        self.closed = (code, reason)


async def sessions(runtime):
    return await runtime.chat.gate.ask(CountSessions(), timeout=5)


def serve(runtime, socket):
    return asyncio.create_task(Connection(runtime.chat, Limits(), "192.0.2.1").serve(socket))


async def cancel(task):
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_cancel_before_admission_leaves_no_session(runtime):
    for turns in range(12):
        serving = serve(runtime, Socket())
        for _ in range(turns):
            await asyncio.sleep(0)
        await cancel(serving)
        async with asyncio.timeout(PATIENCE):
            while await anyio.wait_all_tasks_blocked() or await sessions(runtime):
                pass


async def test_cancel_during_accept_leaves_no_session(runtime):
    socket = Socket()
    serving = serve(runtime, socket)
    await socket.is_accepted.wait()
    assert await sessions(runtime) == 1
    await cancel(serving)
    assert await sessions(runtime) == 0


async def test_cancel_while_served_leaves_no_session(runtime):
    socket = Socket()
    socket.may_accept.set()
    serving = serve(runtime, socket)
    await socket.is_accepted.wait()
    await anyio.wait_all_tasks_blocked()
    assert await sessions(runtime) == 1
    await cancel(serving)
    assert await sessions(runtime) == 0


async def test_draining_server_spreads_the_retry_times(runtime):
    await runtime.chat.gate.ask(Drain(reconnect_within=10), timeout=5)
    closed = []
    for _ in range(3):
        socket = Socket()
        socket.may_accept.set()
        await serve(runtime, socket)
        closed.append(socket.closed)
    assert closed == [(1012, f"retry after {milliseconds}") for milliseconds in (100, 200, 300)]
