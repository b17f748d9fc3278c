"""Rooms whose numbers start at an offset: a journal in memory, or none, after a restart of the server."""

import pytest

from chat_actors.chat import Storage
from chat_actors.extensions.private_rooms import extension as private_rooms
from chat_actors.storage import MemoryJournal
from chat_actors.testing import MemoryServer, on_virtual_time

FIRST_RUN, SECOND_RUN = 1_700_000_000_000_000, 1_700_000_100_000_000


def server_with(journal):
    server = MemoryServer(private_rooms)
    storage = server._storage
    server._storage = Storage(storage.accounts, journal, states=storage.states)
    return server


async def rejoin(server, since):
    """The `joined` for this `since`, and the contents of the messages after it."""
    ann = await server.connect("ann")
    await ann.send("join", userId="ann", roomId="den", since=since, id="q")
    joined, *rest = ann.hear()
    counts = (joined["recovered"], joined["missed"], joined.get("lost"))
    return counts, [message["content"] for message in rest if message["type"] == "chat_message"]


async def fill(server, count):
    ben = await server.connect("ben")
    await ben.join("den")
    for n in range(count):
        await ben.say(str(n))


@pytest.mark.parametrize("journal", [MemoryJournal(above=FIRST_RUN), None], ids=["memory", "off"])
@on_virtual_time
async def test_new_room_can_be_created(journal):
    async with server_with(journal) as server:
        ann = await server.connect("ann")
        await ann.send("create_room", roomId="den", kind="private")
        assert ann.expect("room_created")["roomId"] == "den"


@on_virtual_time
async def test_used_room_cannot_be_created():
    async with server_with(MemoryJournal(above=FIRST_RUN)) as server:
        ben = await server.connect("ben")
        await ben.join("den")
        await ben.say("mine")
        await ben.send("leave")
        ann = await server.connect("ann")
        await ann.send("create_room", roomId="den", kind="private")
        assert ann.expect("error")["code"] == "room_exists"


@on_virtual_time
async def test_rejoin_within_a_run_counts_messages():
    async with server_with(MemoryJournal(above=FIRST_RUN, room_messages=3)) as server:
        await fill(server, 5)
        assert await rejoin(server, FIRST_RUN + 3) == ((True, 2, None), ["3", "4"])
        assert await rejoin(server, FIRST_RUN) == ((False, 5, 2), ["2", "3", "4"])
        assert await rejoin(server, 0) == ((False, 5, 2), ["2", "3", "4"])


@on_virtual_time
async def test_rejoin_at_zero_replays_all_messages():
    async with server_with(MemoryJournal(above=FIRST_RUN)) as server:
        await fill(server, 2)
        assert await rejoin(server, 0) == ((True, 2, None), ["0", "1"])


@pytest.mark.parametrize("posted", [0, 3])
@on_virtual_time
async def test_rejoin_after_restart_has_unknown_counts(posted):
    """The client continues from `seq`, since no number of the earlier run can be compared."""
    async with server_with(MemoryJournal(above=SECOND_RUN)) as server:
        await fill(server, posted)
        assert await rejoin(server, FIRST_RUN + 7) == ((False, 0, None), [])


@on_virtual_time
async def test_rejoin_without_journal_has_unknown_counts():
    async with server_with(None) as server:
        await fill(server, 3)
        assert await rejoin(server, FIRST_RUN) == ((False, 0, None), [])
