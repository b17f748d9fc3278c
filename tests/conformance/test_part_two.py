"""Part 2 of the protocol, over real sockets and a real database."""

import pytest

from chat_actors.chat import Storage
from chat_actors.server.app import create_app
from chat_actors.server.settings import Settings
from chat_actors.storage import SqliteAccounts, SqliteFile, SqliteJournal
from tests.conformance.conftest import Chat
from tests.wire.live_server import LiveServer, fail_test

pytestmark = pytest.mark.anyio


async def test_answer_has_the_id_of_its_request(chat, keys):
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


async def test_join_with_id_reports_the_current_seq(chat, keys):
    """A client may later rejoin with `since` set to this number."""
    alice = await (await chat.client()).log_in("alice", keys[0], "lobby")
    posted = await alice.ask(type="chat_message", content="hello")
    assert (await alice.ask(type="switch_room", roomId="other", id="q"))["seq"] == 0
    joined = await alice.ask(type="join", userId="alice", roomId="lobby", id="q")
    assert joined["seq"] == posted["seq"]
    assert "recovered" not in joined


async def test_invalid_id_is_ignored_or_refused(chat):
    """An id of another JSON type counts as missing; one over 64 characters is refused."""
    client = await chat.client()
    assert "id" not in await client.ask(type="ping", id=7)
    reply = await client.ask(type="ping", id="x" * 65)
    assert (reply["type"], reply["code"]) == ("error", "invalid_id")


async def test_client_msg_id_is_stored_once(chat, keys):
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
    await bob.receives_nothing()


@pytest.mark.parametrize("client_msg_id", ["", "x" * 65])
async def test_client_msg_id_of_bad_length_is_refused(chat, keys, client_msg_id):
    alice = await (await chat.client()).log_in("alice", keys[0], "lobby")
    reply = await alice.ask(type="chat_message", content="hello", clientMsgId=client_msg_id)
    assert (reply["type"], reply["code"]) == ("error", "invalid_client_msg_id")


async def test_rejoin_replays_missed_messages(chat, keys):
    alice = await (await chat.client()).log_in("alice", keys[0], "lobby")
    posted = [await alice.ask(type="chat_message", content=str(n)) for n in range(5)]
    bob = await (await chat.client()).log_in("bob", keys[1])
    joined = await bob.ask(type="join", userId="bob", roomId="lobby", since=posted[1]["seq"])
    assert joined == {
        "type": "joined",
        "roomId": "lobby",
        "userId": "bob",
        "message": "Joined room: lobby",
        "seq": posted[4]["seq"],
        "recovered": True,
        "missed": 3,
    }
    assert [await bob.receive() for _ in range(3)] == posted[2:]
    await alice.receive()
    live = await alice.ask(type="chat_message", content="live")
    assert await bob.receive() == live


async def test_history_equals_the_delivered_messages(chat, keys):
    alice = await (await chat.client()).log_in("alice", keys[0], "lobby")
    posted = [await alice.ask(type="chat_message", content=f"{n} \u202e<b>\U0001f600") for n in range(5)]
    assert await alice.ask(type="history", limit=3) == {
        "type": "history",
        "roomId": "lobby",
        "messages": posted[2:],
        "first": posted[2]["seq"],
        "last": posted[4]["seq"],
        "more": True,
    }
    assert (await alice.ask(type="history", before=posted[0]["seq"]))["messages"] == []


async def test_part_one_client_sees_no_additions(chat, keys):
    """Every message has the keys of part 1; `seq` and `code` are the only added fields."""
    alice = await (await chat.client()).log_in("alice", keys[0])
    assert set(await alice.ask(type="join", userId="alice", roomId="lobby")) == {"type", "roomId", "userId", "message"}
    message = await alice.ask(type="chat_message", content="hello")
    assert set(message) == {"type", "userId", "roomId", "content", "timestamp", "seq"}
    assert set(await alice.ask(type="chat_message")) == {"type", "message", "code"}
    await alice.receives_nothing()


async def test_restarted_server_has_all_messages(protocol, limits, keys, tmp_path):
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
