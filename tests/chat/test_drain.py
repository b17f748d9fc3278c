"""The drain: the gate closes all clients, spreads their reconnects, and admits no more."""

import anyio
import anyio.lowlevel
import pytest

from chat_actors.chat import CountSessions, Drain, events
from chat_actors.chat.gate import DRAIN_BATCH, RETRY_SPACING_MS
from chat_actors.kernel.testing import RunningSystem, settle
from tests.chat.rig import MemoryChat

pytestmark = pytest.mark.anyio


def retries(clients):
    """The milliseconds after which each client shall reconnect."""
    assert {client.outbox.closing.code for client in clients} <= {1012}
    return [int(client.outbox.closing.reason.removeprefix("retry after ")) for client in clients]


async def drained(chat, count, within):
    clients = [await chat.connect() for _ in range(count)]
    await chat.chat.gate.ask(Drain(reconnect_within=within), timeout=5)
    return clients


@pytest.mark.parametrize(
    ("count", "within", "spacing"),
    [(4, 10, RETRY_SPACING_MS), (4, 0.36, 90), (4, 0.002, 1), (1, 0.05, 50), (3, 0.2999, 99)],
)
async def test_drain_spreads_the_reconnects(count, within, spacing):
    async with RunningSystem() as system:
        clients = await drained(MemoryChat(system), count, within)
        assert retries(clients) == [spacing * n for n in range(1, count + 1)]


async def test_refused_connections_reconnect_last():
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        await drained(chat, 2, 10)
        assert [(await chat.connect()).reason for _ in range(2)] == ["retry after 300", "retry after 400"]


async def test_drain_stops_all_sessions():
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        clients = await drained(chat, 3, 10)
        await settle(system)
        assert all(client.session.is_stopped for client in clients)
        assert await chat.chat.gate.ask(CountSessions(), timeout=1) == 0


async def test_drain_yields_between_batches():
    """Other tasks run after each `DRAIN_BATCH` closed clients."""
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        clients = [await chat.connect() for _ in range(2 * DRAIN_BATCH + 1)]
        await settle(system)
        seen, is_drained = set(), anyio.Event()

        async def count():
            while not is_drained.is_set():
                seen.add(sum(client.outbox.closing is not None for client in clients))
                await anyio.lowlevel.checkpoint()

        system.start_task(count)
        await chat.chat.gate.ask(Drain(reconnect_within=10), timeout=5)
        is_drained.set()
        seen -= {0, len(clients)}
        assert seen
        assert seen <= {DRAIN_BATCH, 2 * DRAIN_BATCH}  # trio runs tasks in random order, so `count` may miss one


async def test_second_drain_changes_nothing():
    published = []
    async with RunningSystem() as system:
        system.events.listen(events.Draining, published.append)
        chat = MemoryChat(system)
        await drained(chat, 2, 0.1)
        await chat.chat.gate.ask(Drain(reconnect_within=10), timeout=5)
        assert published == [events.Draining(2)]
        assert (await chat.connect()).reason == "retry after 150"
