"""Part 3 of the protocol, over real sockets: `hello`, and several rooms on one connection."""

import re

import pytest

from chat_actors import __version__
from chat_actors.chat import Limits

pytestmark = pytest.mark.anyio

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
def limits():
    return Limits(registrations=0, rooms_per_connection=3)


async def additional(client, user_id, room_id, **more):
    return await client.ask(type="join", userId=user_id, roomId=room_id, additional=True, **more)


def joined(user_id, room_id, **more):
    return {"type": "joined", "roomId": room_id, "userId": user_id, "message": f"Joined room: {room_id}", **more}


def error(code, message, **more):
    return {"type": "error", "message": message, "code": code, **more}


def user_event(kind, user_id, room_id):
    verb = kind.removeprefix("user_")
    return {"type": kind, "userId": user_id, "roomId": room_id, "message": f"{user_id} {verb} the room"}


NO_CURRENT_ROOM = "There is no current room. Name a roomId."
NOT_JOINED = "This connection is not in that room. Join it first."


async def test_hello_is_answered_in_any_state(chat, keys):
    client = await chat.client()
    welcome = await client.ask(type="hello", protocol=3, features=["rooms", "telepathy"], client="test/1", id="h")
    assert TIMESTAMP.fullmatch(welcome.pop("time"))
    assert welcome == {
        "type": "welcome",
        "id": "h",
        "server": "chat_actors",
        "version": __version__,
        "protocol": 3,
        "features": ["rooms"],
        "limits": {
            "frameBytes": 65536,
            "contentChars": 4000,
            "messagesPerSecond": 20,
            "messageBurst": 60,
            "roomsPerConnection": 3,
            "pageSize": 200,
        },
    }
    await client.log_in("alice", keys[0], "lobby")
    again = await client.ask(type="hello", protocol=2, features=[])
    assert (again["type"], again["protocol"], "id" in again) == ("welcome", 2, False)
    assert (await client.ask(type="chat_message", content="still here"))["roomId"] == "lobby"


@pytest.mark.parametrize(
    ("field", "value"), [("protocol", "3"), ("protocol", 0), ("features", "rooms"), ("features", [7]), ("client", 7)]
)
async def test_hello_with_an_invalid_field_is_refused(chat, field, value):
    answer = await (await chat.client()).ask(type="hello", id="h", **{field: value})
    assert answer == error("invalid_field", f"{field} is not valid", field=field, id="h")


async def test_dialogue_of_several_rooms(chat, keys):
    """Each answer and event, field by field; `bob` speaks only part 1 and sees nothing new."""
    alice, bob = await chat.client(), await chat.client()
    await bob.log_in("bob", keys[1], "red")
    await alice.log_in("alice", keys[0])

    refused = error("not_in_room", "Not connected to any room", id="1")
    assert await alice.ask(type="chat_message", content="where?", id="1") == refused
    assert await additional(alice, "alice", "red") == joined("alice", "red", seq=0, additional=True)
    assert await bob.receive() == user_event("user_joined", "alice", "red")
    for command in ({"type": "chat_message", "content": "where?"}, {"type": "leave"}, {"type": "members"}):
        assert await alice.ask(**command, id="2") == error("no_current_room", NO_CURRENT_ROOM, id="2")
    assert await alice.ask(type="history", id="3") == error("no_current_room", NO_CURRENT_ROOM, id="3")

    assert await alice.ask(type="join", userId="alice", roomId="home") == joined("alice", "home")
    answer = joined("alice", "blue", seq=0, additional=True, id="4")
    assert await additional(alice, "alice", "blue", id="4") == answer
    too_many = error("room_limit", "At most 3 rooms on one connection. Leave one first.", id="5")
    assert await additional(alice, "alice", "green", id="5") == too_many
    assert await alice.ask(type="chat_message", content="hi", roomId="green", id="6") == error(
        "not_joined", NOT_JOINED, id="6"
    )
    assert await alice.ask(type="leave", roomId="green", id="7") == error("not_joined", NOT_JOINED, id="7")

    said = await alice.ask(type="chat_message", content="to red", roomId="red")
    assert TIMESTAMP.fullmatch(said.pop("timestamp"))
    assert said == {"type": "chat_message", "userId": "alice", "roomId": "red", "content": "to red", "seq": 1}
    heard = await bob.receive()
    assert list(heard) == ["type", "userId", "roomId", "content", "timestamp", "seq"]
    assert (await alice.ask(type="chat_message", content="at home"))["roomId"] == "home"
    await alice.send(type="chat_message", content="to blue", roomId="blue", clientMsgId="m1", id="8")
    answers = {message["type"]: message for message in [await alice.receive(), await alice.receive()]}
    assert answers["chat_message"]["roomId"] == "blue"
    assert (answers["accepted"]["id"], answers["accepted"]["seq"]) == ("8", 1)
    members = {"type": "members", "roomId": "red", "members": ["bob", "alice"], "count": 2, "id": "9"}
    assert await alice.ask(type="members", roomId="red", id="9") == members

    assert await alice.ask(type="leave", roomId="red", id="10") == {"type": "left", "roomId": "red", "id": "10"}
    assert await bob.receive() == user_event("user_left", "alice", "red")
    assert await alice.ask(type="leave", id="11") == {"type": "left", "roomId": "home", "id": "11"}
    assert await alice.ask(type="leave", id="12") == error("no_current_room", NO_CURRENT_ROOM, id="12")
    assert (await alice.ask(type="chat_message", content="still", roomId="blue"))["seq"] == 2
    await alice.receives_nothing()
    await bob.receives_nothing()


async def test_plain_join_and_switch_leave_only_the_current_room(chat, keys):
    alice = await (await chat.client()).log_in("alice", keys[0], "red")
    bob = await (await chat.client()).log_in("bob", keys[1], "red")
    await alice.receive()
    await additional(alice, "alice", "blue")
    await additional(bob, "bob", "blue")
    await alice.receive()

    assert await alice.ask(type="switch_room", roomId="blue", id="s") == joined("alice", "blue", seq=0, id="s")
    assert await bob.receive() == user_event("user_left", "alice", "red")
    assert (await alice.ask(type="chat_message", content="now current"))["roomId"] == "blue"
    assert (await bob.receive())["content"] == "now current"
    assert await additional(alice, "alice", "blue", id="a") == joined("alice", "blue", seq=1, id="a")
    assert await alice.ask(type="join", userId="alice", roomId="red") == joined("alice", "red")
    assert await bob.receive() == user_event("user_left", "alice", "blue")
    assert await bob.receive() == user_event("user_joined", "alice", "red")
    await bob.receives_nothing()


async def test_rejoin_of_an_additional_room_replays_again(chat, keys):
    alice = await (await chat.client()).log_in("alice", keys[0], "home")
    bob = await (await chat.client()).log_in("bob", keys[1], "red")
    posted = [await bob.ask(type="chat_message", content=str(n)) for n in range(3)]
    counts = {"seq": 3, "additional": True, "recovered": True}
    assert await additional(alice, "alice", "red", since=1, id="r") == joined(
        "alice", "red", missed=2, id="r", **counts
    )
    assert [await alice.receive() for _ in range(2)] == posted[1:]
    assert await bob.receive() == user_event("user_joined", "alice", "red")
    assert await additional(alice, "alice", "red", since=2) == joined("alice", "red", missed=1, **counts)
    assert await alice.receive() == posted[2]
    assert await additional(alice, "alice", "red") == joined("alice", "red", seq=3, additional=True)
    live = await bob.ask(type="chat_message", content="live")
    assert await alice.receive() == live
    await alice.receives_nothing()
    await bob.receives_nothing()


async def test_login_under_another_name_leaves_all_rooms(chat, keys):
    bob = await (await chat.client()).log_in("bob", keys[1], "red")
    await additional(bob, "bob", "blue")
    alice = await (await chat.client()).log_in("alice", keys[0], "red")
    await additional(alice, "alice", "blue")
    rooms = ("red", "blue")
    assert [await bob.receive() for _ in rooms] == [user_event("user_joined", "alice", room) for room in rooms]
    await alice.log_in("carol", keys[0])
    left = [await bob.receive() for _ in rooms]
    assert sorted(left, key=str) == sorted((user_event("user_left", "alice", room) for room in rooms), key=str)
    answer = await alice.ask(type="chat_message", content="hi", roomId="blue", id="q")
    assert answer == error("not_joined", NOT_JOINED, id="q")


@pytest.mark.parametrize(
    ("field", "value"),
    [("since", "1"), ("since", 1.5), ("since", -1), ("additional", 1), ("additional", "true"), ("roomId", 7)],
)
async def test_join_with_an_invalid_field_is_refused(chat, keys, field, value):
    alice = await (await chat.client()).log_in("alice", keys[0])
    answer = await alice.ask(**{"type": "join", "userId": "alice", "roomId": "red", "id": "q", field: value})
    assert answer == error("invalid_field", f"{field} is not valid", field=field, id="q")
    assert await alice.ask(type="leave") == error("not_in_room", "Not connected to any room")


async def test_optional_fields_with_a_plain_meaning_are_accepted(chat, keys):
    alice = await (await chat.client()).log_in("alice", keys[0])
    fields = {"since": 0.0, "additional": None, "id": None}
    answer = joined("alice", "red", seq=0, recovered=True, missed=0)
    assert await alice.ask(type="join", userId="alice", roomId="red", **fields) == answer
    assert await alice.ask(type="join", userId="alice", roomId=7) == joined("alice", "alice")  # as in part 1
