"""What this server adds for those who ask, over real sockets and a real file."""

import pytest

from chat_actors.chat import Storage
from chat_actors.server.app import create_app
from chat_actors.server.settings import Settings
from chat_actors.storage import SqliteAccounts, SqliteFile, SqliteJournal
from tests.conformance.conftest import Chat
from tests.wire.live_server import LiveServer, fail_test

pytestmark = pytest.mark.anyio


async def test_a_request_with_an_id_is_answered_with_it(chat, keys):
    client = await chat.client()
    await client.register("alice", keys[0])
    assert (await client.ask(type="get_challenge", id="1"))["id"] == "1"
    assert "id" not in await client.ask(type="get_challenge")
    await client.authenticate("alice", keys[0])
    for command, answer in [
        ({"type": "join", "userId": "alice", "roomId": "lobby"}, "joined"),
        ({"type": "members"}, "members"),
        ({"type": "history"}, "history"),
        ({"type": "ping"}, "pong"),
        ({"type": "leave"}, "left"),
        ({"type": "leave"}, "error"),
        ({"type": "chat_message"}, "error"),
        ({"type": "nonsense"}, "error"),
        ({"type": "join", "userId": "bob"}, "error"),
    ]:
        reply = await client.ask(**command, id="ü" * 64)
        assert (reply["type"], reply["id"]) == (answer, "ü" * 64)


async def test_a_join_with_an_id_tells_the_number_from_which_on_one_hears(chat, keys):
    alice = await (await chat.client()).log_in("alice", keys[0], "lobby")
    said = await alice.ask(type="chat_message", content="hello")
    assert (await alice.ask(type="switch_room", roomId="other", id="q"))["seq"] == 0
    joined = await alice.ask(type="join", userId="alice", roomId="lobby", id="q")
    assert joined["seq"] == said["seq"]
    assert "recovered" not in joined


async def test_an_id_that_is_none_counts_as_missing_and_a_long_one_is_refused(chat):
    client = await chat.client()
    assert "id" not in await client.ask(type="ping", id=7)
    reply = await client.ask(type="ping", id="x" * 65)
    assert (reply["type"], reply["code"]) == ("error", "invalid_id")


async def test_a_message_with_a_name_is_accepted_and_stored_once(chat, keys):
    alice = await (await chat.client()).log_in("alice", keys[0], "lobby")
    bob = await (await chat.client()).log_in("bob", keys[1], "lobby")
    assert (await alice.receive())["type"] == "user_joined"
    await alice.send(type="chat_message", content="hello", clientMsgId="m1", id="q")
    answers = {reply["type"]: reply for reply in [await alice.receive(), await alice.receive()]}
    accepted, message = answers["accepted"], answers["chat_message"]
    assert accepted == {
        "type": "accepted",
        "clientMsgId": "m1",
        "seq": message["seq"],
        "timestamp": message["timestamp"],
        "id": "q",
    }
    assert "clientMsgId" not in message
    again = await alice.ask(type="chat_message", content="hello", clientMsgId="m1")
    assert {**again, "id": "q"} == accepted
    assert await bob.receive() == message
    await bob.hears_nothing()


@pytest.mark.parametrize("name", ["", "x" * 65])
async def test_a_name_of_the_wrong_length_is_refused(chat, keys, name):
    alice = await (await chat.client()).log_in("alice", keys[0], "lobby")
    reply = await alice.ask(type="chat_message", content="hello", clientMsgId=name)
    assert (reply["type"], reply["code"]) == ("error", "invalid_client_msg_id")


async def test_who_comes_back_gets_what_was_missed(chat, keys):
    alice = await (await chat.client()).log_in("alice", keys[0], "lobby")
    said = [await alice.ask(type="chat_message", content=str(n)) for n in range(5)]
    bob = await (await chat.client()).log_in("bob", keys[1])
    joined = await bob.ask(type="join", userId="bob", roomId="lobby", since=said[1]["seq"])
    assert joined == {
        "type": "joined",
        "roomId": "lobby",
        "userId": "bob",
        "message": "Joined room: lobby",
        "seq": said[4]["seq"],
        "recovered": True,
        "missed": 3,
    }
    assert [await bob.receive() for _ in range(3)] == said[2:]
    await alice.receive()
    live = await alice.ask(type="chat_message", content="live")
    assert await bob.receive() == live


async def test_history_has_the_very_messages_that_were_heard(chat, keys):
    alice = await (await chat.client()).log_in("alice", keys[0], "lobby")
    said = [await alice.ask(type="chat_message", content=f"{n} \u202e<b>\U0001f600") for n in range(5)]
    assert await alice.ask(type="history", limit=3) == {
        "type": "history",
        "roomId": "lobby",
        "messages": said[2:],
        "first": said[2]["seq"],
        "last": said[4]["seq"],
        "more": True,
    }
    assert (await alice.ask(type="history", before=said[0]["seq"]))["messages"] == []


async def test_a_client_of_the_first_part_notices_nothing(chat, keys):
    """The keys of every message are those of the fixed protocol, with `seq` and `code` as the added fields."""
    alice = await (await chat.client()).log_in("alice", keys[0])
    assert set(await alice.ask(type="join", userId="alice", roomId="lobby")) == {"type", "roomId", "userId", "message"}
    message = await alice.ask(type="chat_message", content="hello")
    assert set(message) == {"type", "userId", "roomId", "content", "timestamp", "seq"}
    assert set(await alice.ask(type="chat_message")) == {"type", "message", "code"}
    await alice.hears_nothing()


async def test_a_server_that_was_stopped_comes_back_with_everything(protocol, limits, keys, tmp_path):
    async def serve():
        file = await SqliteFile.open(tmp_path / "again.db")
        storage = Storage(SqliteAccounts(file), SqliteJournal(file))
        return LiveServer(create_app(Settings(limits=limits), on_failure=fail_test, storage=storage))

    async with await serve() as server:
        chat = Chat(protocol, server)
        alice = await (await chat.client()).log_in("alice", keys[0], "lobby")
        await alice.send(type="chat_message", content="before", clientMsgId="m1")
        first = [await alice.receive(), await alice.receive()]
        await chat.aclose()
    async with await serve() as server:
        chat = Chat(protocol, server)
        alice = await chat.client()
        await alice.authenticate("alice", keys[0])
        await alice.ask(type="join", userId="alice", roomId="lobby")
        assert await alice.ask(type="chat_message", content="before", clientMsgId="m1") in first
        assert (await alice.ask(type="chat_message", content="after"))["seq"] == 2
        history = await alice.ask(type="history")
        assert [message["content"] for message in history["messages"]] == ["before", "after"]
        await chat.aclose()
