"""The test kit for extensions: a server in memory that ends, starts, fails and is looked into as a test wants."""

import logging

import anyio
import pytest

from chat_actors import Command, Extension, Message, Scope, Service, command, handles
from chat_actors.testing import MemoryServer, on_virtual_time


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL, "chat_actors")


class Note(Command, frozen=True, tag="note"):
    text: str


class Noted(Message, frozen=True, tag="noted"):
    notes: list[str]


class Notes(Service):
    scope = Scope.USER
    stopped = 0

    @command()
    async def note(self, caller, note: Note) -> Noted:
        notes = await self.store.get("notes", list[str], [])
        await self.store.put("notes", [*notes, note.text])
        return Noted([*notes, note.text])

    async def on_stop(self, reason):
        Notes.stopped += 1


class ShoutedNotes(Notes):
    kept_as = "Notes"

    @command()
    async def note(self, caller, note: Note) -> Noted:
        return Noted([each.upper() for each in (await super().note(caller, note)).notes])


notes = Extension(name="notes", services=[Notes])
newer_notes = Extension(name="notes", services=[ShoutedNotes])


async def noted(client, text):
    await client.send("note", text=text)
    return client.expect("noted")["notes"]


# -- waits are bounded -------------------------------------------------------------------------------------------------


class Feed(Service):
    """Reads a feed in a pipe that never ends."""

    async def on_start(self):
        self.context.pipe(self.read, into=str, failed=str)

    async def read(self):
        await anyio.sleep_forever()


@on_virtual_time
async def test_endless_pipe_fails_the_test_and_is_named():
    with pytest.raises(AssertionError, match=r"still busy after .*/services/feed\.Feed: has 1 calls of `pipe`"):
        async with MemoryServer(Extension(name="feed", services=[Feed])):
            pass


@on_virtual_time
async def test_endless_pipe_of_a_background_service_is_not_waited_for():
    async with MemoryServer(Extension(name="feed", services=[Feed]), background=[Feed]) as server:
        ann = await server.connect("ann", room="den")
        await ann.say("hello")
        assert ann.expect("chat_message")["content"] == "hello"
        assert anyio.current_time() < 1


class Again(Message, frozen=True, tag="again"):
    pass


class Busy(Service):
    """Sends itself messages forever, so that the event loop never waits."""

    async def on_start(self):
        self.context.self_ref.tell(Again())

    @handles
    def again(self, message: Again) -> None:
        self.context.self_ref.tell(message)


@on_virtual_time
async def test_actor_that_never_waits_is_named():
    with pytest.raises(AssertionError, match=r"still busy after .*/services/busy\.Busy:"):
        async with MemoryServer(Extension(name="busy", services=[Busy]), settle_steps=1000):
            pass


class Stuck(Service):
    @command()
    async def note(self, caller, note: Note) -> None:
        await anyio.sleep_forever()


@on_virtual_time
async def test_handler_that_hangs_is_named_after_the_steps_given():
    async with MemoryServer(Extension(name="stuck", services=[Stuck]), settle_steps=50) as server:
        ann = await server.connect("ann")
        with pytest.raises(AssertionError, match=r"\(50 steps\): .*/services/stuck\.Stuck: is handling a message"):
            await ann.send("note", text="x")
        await anyio.sleep(10)
        assert ann.expect("error")["code"] == "busy"


# -- a given state -----------------------------------------------------------------------------------------------------


@on_virtual_time
async def test_server_starts_from_a_given_state():
    messages = {"den": [("ann", "first"), ("ben", "second")]}
    state = {"notes.Notes/ann": {"notes": ["milk"]}}
    async with MemoryServer(notes, users=["ann", "ben"], messages=messages, state=state) as server:
        ann = await server.connect("ann", room="den")
        await ann.send("register", userId="ben", publicKey="other")
        assert ann.expect("error")["code"] == "user_exists"
        await ann.send("history")
        history = ann.expect("history")["messages"]
        assert [(each["seq"], each["userId"], each["content"]) for each in history] == [
            (1, "ann", "first"),
            (2, "ben", "second"),
        ]
        assert await noted(ann, "eggs") == ["milk", "eggs"]
        assert await server.store("notes.Notes/ann").get("notes", list[str], []) == ["milk", "eggs"]


@on_virtual_time
async def test_messages_cannot_be_given_without_a_journal():
    with pytest.raises(ValueError, match="without a journal"):
        async with MemoryServer(journal=False, messages={"den": [("ann", "hi")]}):
            pass


# -- restarts ----------------------------------------------------------------------------------------------------------


@on_virtual_time
async def test_restart_runs_a_newer_extension_on_the_stored_data():
    async with MemoryServer(notes) as server:
        assert await noted(await server.connect("ann"), "milk") == ["milk"]
        await server.restart(newer_notes)
        assert await noted(await server.connect("ann"), "eggs") == ["MILK", "EGGS"]
        await server.restart()
        assert await noted(await server.connect("ann"), "tea") == ["MILK", "EGGS", "TEA"]


@on_virtual_time
async def test_restart_with_other_settings_keeps_the_extensions():
    from chat_actors.extensions.direct import extension as direct

    async with MemoryServer(direct, users=["ann", "ben"]) as server:
        await server.restart(settings={"direct": {"chars": 3}})
        ann = await server.connect("ann")
        await ann.send("direct_send", to="ben", content="four")
        assert ann.expect("error")["code"] == "content_too_long"


@on_virtual_time
async def test_killed_server_stops_nothing_and_keeps_what_is_stored():
    Notes.stopped = 0
    async with MemoryServer(notes) as server:
        ann = await server.connect("ann", room="den")
        await ann.say("stored")
        await noted(ann, "milk")
        await server.kill()
        assert Notes.stopped == 0
        assert await server.store("notes.Notes/ann").get("notes", list[str], []) == ["milk"]
        await server.restart()
        ann = await server.connect("ann", room="den")
        assert await noted(ann, "eggs") == ["milk", "eggs"]
        await ann.send("history")
        assert [each["content"] for each in ann.expect("history")["messages"]] == ["stored"]
        await server.restart()
        assert Notes.stopped == 1


@on_virtual_time
async def test_killed_server_needs_no_restart():
    async with MemoryServer(notes) as server:
        await server.connect("ann")
        await server.kill()
        await server.kill()


# -- failures ----------------------------------------------------------------------------------------------------------


@on_virtual_time
async def test_journal_fails_on_demand():
    async with MemoryServer() as server:
        ann = await server.connect("ann", room="den")
        with server.failing("journal"):
            await ann.say("lost")
            assert ann.expect("error")["code"] == "not_stored"
            await ann.send("history")
            assert ann.expect("error")["code"] == "internal_failure"
        await ann.say("kept")
        assert ann.expect("chat_message")["content"] == "kept"


@on_virtual_time
async def test_full_disk_fails_writes_only():
    async with MemoryServer(notes) as server:
        ann = await server.connect("ann", room="den")
        await noted(ann, "milk")
        with server.failing(writes_only=True):
            await ann.send("note", text="eggs")
            assert ann.expect("error")["code"] == "internal_failure"
            await ann.say("lost")
            assert ann.expect("error")["code"] == "not_stored"
            await ann.send("history")
            assert ann.expect("history")["messages"] == []
            await ann.send("register", userId="ben", publicKey="x")
            assert ann.expect("error")["code"] == "invalid_public_key"
        assert await noted(ann, "eggs") == ["milk", "eggs"]


@on_virtual_time
async def test_wrong_part_of_the_storage_is_named():
    async with MemoryServer() as server:
        wrong = pytest.raises(ValueError, match="'store' is no part of the storage; the parts are: accounts, journal")
        with wrong, server.failing("store"):
            pass
