"""Extensions erase the data of removed users, so that the next user of an id inherits nothing."""

import logging

import pytest

from chat_actors import Command, Extension, Message, RoomKind, Scope, Service, command
from chat_actors.chat.removals import extensions_with_state
from chat_actors.storage import MemoryStates
from chat_actors.testing import MemoryServer, on_virtual_time


class Save(Command, frozen=True, tag="save"):
    text: str


class Saved(Message, frozen=True, tag="saved"):
    texts: list[str]


async def saved(service, text):
    texts = [*await service.store.get("texts", list[str], []), text]
    await service.store.put("texts", texts)
    return Saved(texts)


class Diary(Service):
    scope = Scope.USER

    @command()
    async def save(self, caller, save: Save) -> Saved:
        return await saved(self, save.text)


diary = Extension(name="diary", services=[Diary])


class Told:
    """Records the calls of the hooks; `fails` lets them fail."""

    def __init__(self):
        self.calls = []
        self.fails = False

    async def hook(self, cls, removed):
        stored = await removed.store.get("texts", list[str], [])
        self.calls.append((cls.__name__, removed.user_id, removed.key, stored))
        if self.fails:
            raise ValueError("asked to fail")


def recording_extension(told, name="recorder"):
    class Server(Service):
        @classmethod
        async def on_user_removed(cls, removed):
            await told.hook(cls, removed)

    class User(Service):
        scope = Scope.USER

        @classmethod
        async def on_user_removed(cls, removed):
            await told.hook(cls, removed)

    class Room(RoomKind):
        rooms = "*"

        @classmethod
        async def on_user_removed(cls, removed):
            await told.hook(cls, removed)

    return Extension(name=name, services=[Server, User], room_kinds=[Room])


async def is_reserved(server, user_id):
    client = await server.connect()
    await client.send("register", userId=user_id, publicKey="no key")
    return client.expect("error")["code"] == "user_exists"


@on_virtual_time
async def test_data_under_the_users_own_key_are_erased():
    async with MemoryServer(diary) as server:
        for user_id in ("ann", "ben"):
            client = await server.connect(user_id)
            await client.send("save", text="secret")
        await server.remove_user("ann", release=True)
        for user_id, texts in (("ann", ["mine"]), ("ben", ["secret", "mine"])):
            client = await server.connect(user_id)
            await client.send("save", text="mine")
            assert client.expect("saved")["texts"] == texts


@on_virtual_time
async def test_removed_id_is_reserved_unless_it_is_released():
    async with MemoryServer(diary, users=["ann", "ben"]) as server:
        await server.remove_user("ann")
        await server.remove_user("ben", release=True)
        assert await is_reserved(server, "ann")
        assert not await is_reserved(server, "ben")
        client = await server.connect()
        await client.send("get_challenge")
        await client.send("authenticate", userId="ann", signature="AAAA")
        assert client.expect("error")["code"] == "user_not_registered"


@on_virtual_time
async def test_hooks_are_called_once_for_each_store():
    told = Told()
    state = {
        "recorder.User/ben": {"texts": ["ann is late"]},
        "recorder.Room/den": {"texts": ["ann is in"]},
        "recorder.Room/": {"other": 1},
        "recorder.Rooms/den": {"texts": ["another class"]},
        "recorders.Room/den": {"texts": ["another extension"]},
    }
    async with MemoryServer(recording_extension(told), users=["ann"], state=state) as server:
        assert told.calls == []
        await server.remove_user("ann")
        assert told.calls == [
            ("Server", "ann", "", []),
            ("User", "ann", "ann", []),
            ("User", "ann", "ben", ["ann is late"]),
            ("Room", "ann", "", []),
            ("Room", "ann", "den", ["ann is in"]),
        ]
        await server.restart()
        assert len(told.calls) == 5


@on_virtual_time
async def test_more_stores_than_one_page_are_all_told():
    told = Told()
    state = {f"recorder.Room/{n}": {"texts": []} for n in range(250)}
    async with MemoryServer(recording_extension(told), users=["ann"], state=state) as server:
        await server.remove_user("ann")
        assert len({key for name, _, key, _ in told.calls if name == "Room"}) == 250


@on_virtual_time
async def test_failed_hook_is_called_again_at_the_next_start(caplog):
    """The id is not freed before it has succeeded, and the failure of one extension does not stop the others."""
    told, other = Told(), Told()
    told.fails = True
    extensions = [recording_extension(told), recording_extension_without_rooms(other)]
    async with MemoryServer(*extensions, users=["ann"]) as server:
        await server.remove_user("ann", release=True)
        assert "recorder could not erase the data of the removed user ann" in caplog.text
        assert "the id ann stays reserved: not told of the removal: recorder" in caplog.text
        assert await is_reserved(server, "ann")
        assert len(other.calls) == 1
        told.fails = False
        await server.restart()
        assert not await is_reserved(server, "ann")
        assert (len(told.calls), len(other.calls)) == (4, 1)


def recording_extension_without_rooms(told):
    class Other(Service):
        @classmethod
        def on_user_removed(cls, removed):
            told.calls.append(removed.user_id)

    return Extension(name="other", services=[Other])


@on_virtual_time
async def test_extension_that_is_off_is_told_when_it_is_on_again():
    """Until then the id is not freed, since the extension has stored values."""
    told = Told()
    extension = recording_extension(told)
    state = {"recorder.Room/den": {"texts": ["ann is in"]}}
    async with MemoryServer(extension, users=["ann"], state=state) as server:
        await server.restart(diary)
        await server.remove_user("ann", release=True)
        assert await is_reserved(server, "ann")
        assert told.calls == []
        await server.restart(extension)
        assert ("Room", "ann", "den", ["ann is in"]) in told.calls
        assert not await is_reserved(server, "ann")


@on_virtual_time
async def test_failing_storage_is_tried_again_at_the_next_start(caplog):
    told = Told()
    async with MemoryServer(recording_extension(told), users=["ann"]) as server:
        with server.failing("states"):
            await server.remove_user("ann", release=True)
        assert "the data of removed users are not erased, until the next start: " in caplog.text
        assert await is_reserved(server, "ann")
        await server.restart()
        assert not await is_reserved(server, "ann")


@on_virtual_time
async def test_hook_that_hangs_does_not_stop_the_start(caplog):
    import anyio

    class Hanging(Service):
        @classmethod
        async def on_user_removed(cls, removed):
            await anyio.sleep_forever()

    async with MemoryServer(Extension(name="hanging", services=[Hanging]), users=["ann"]) as server:
        await server.remove_user("ann")
        await server.connect("ben")
        assert "hanging could not erase the data of the removed user ann" in caplog.text


@on_virtual_time
async def test_repeated_message_of_the_next_user_is_stored():
    """The server does not take it for a message that the first user of the id has sent."""
    async with MemoryServer() as server:
        for content in ("first", "second"):
            client = await server.connect("ann", room="den")
            await client.send("chat_message", content=content, clientMsgId="m-1")
            assert client.expect("chat_message")["content"] == content
            await server.remove_user("ann", release=True)


@pytest.mark.anyio
async def test_extensions_with_state_are_found_by_their_spaces():
    states = MemoryStates()
    assert await extensions_with_state(states) == set()
    for space in ("polls.PollRoom/a", "polls.PollRoom/b", "direct.Direct/ann", "rooms/a.b/c", "rooms/x", "typing"):
        await states.put(space, {"k": b"1"})
    assert await extensions_with_state(states) == {"polls", "direct"}


@pytest.fixture(autouse=True)
def _log(caplog):
    caplog.set_level(logging.WARNING, "chat_actors")
