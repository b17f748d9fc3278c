"""Private rooms: joining, reading, and invitations."""

import pytest

from chat_actors import RoomHandle
from chat_actors.chat import Enabled, Extensions
from chat_actors.extensions.moderation import extension as moderation
from chat_actors.extensions.polls import extension as polls
from chat_actors.extensions.private_rooms import extension
from chat_actors.testing import MemoryServer, on_virtual_time


def errors(client):
    return [message["code"] for message in client.hear() if message["type"] == "error"]


@on_virtual_time
async def test_private_room_refuses_uninvited_users():
    """The first member owns the room; other users can neither join nor read it."""
    async with MemoryServer(extension) as server:
        ann = await server.connect("ann", room="private-den")
        await ann.say("a secret")
        for _ in range(2):
            eve = await server.connect("eve", room="cafe")
            for command, fields in (
                ("join", {"userId": "eve"}),
                ("join", {"userId": "eve", "since": 0}),
                ("switch_room", {}),
                ("history", {}),
                ("members", {}),
            ):
                await eve.send(command, roomId="private-den", **fields)
                assert errors(eve) == ["private_room"]
            await server.restart()


@on_virtual_time
async def test_invitation_admits_also_after_restart():
    async with MemoryServer(extension) as server:
        ann, ben = await server.connect("ann", room="private-den"), await server.connect("ben")
        await ben.send("invitations")
        assert ben.expect("invitations")["invitations"] == []
        await ann.send("invite", userId="ben")
        assert ann.expect("guests")["invited"] == ["ben"]
        assert ben.expect("invited") == {"type": "invited", "roomId": "private-den", "invitedBy": "ann"}
        await server.restart()
        ben = await server.connect("ben")
        await ben.send("invitations")
        assert ben.expect("invitations")["invitations"] == [{"roomId": "private-den", "invitedBy": "ann"}]
        await ben.join("private-den")
        assert ben.expect("joined")["state"]["private_rooms"] == {"private": True, "owner": "ann"}


@on_virtual_time
async def test_invited_is_sent_to_subscribers_only():
    async with MemoryServer(extension) as server:
        ann, ben = await server.connect("ann", room="private-den"), await server.connect("ben")
        await ann.send("invite", userId="ben")
        assert ben.hear() == []


@on_virtual_time
async def test_uninvited_user_is_removed_and_stays_out():
    async with MemoryServer(extension) as server:
        ann, ben = await server.connect("ann", room="private-den"), await server.connect("ben")
        await ann.send("invite", userId="ben")
        await ben.join("private-den")
        ben.hear()
        await ben.send("uninvite", userId="ann")
        assert errors(ben) == ["not_owner"]
        await ann.send("uninvite", userId="ben")
        assert errors(ben) == ["uninvited"]
        await ben.join("private-den")
        assert errors(ben) == ["private_room"]
        await ben.send("invitations")
        assert ben.expect("invitations")["invitations"] == []


@on_virtual_time
async def test_uninvited_user_is_removed_after_a_crash(monkeypatch):
    """The room crashes between the change of its guests and the removal."""

    def crash(room, *arguments):
        monkeypatch.undo()
        raise ValueError("asked to crash")

    async with MemoryServer(extension) as server:
        ann, ben = await server.connect("ann", room="private-den"), await server.connect("ben")
        await ann.send("invite", userId="ben")
        await ben.join("private-den")
        monkeypatch.setattr(RoomHandle, "remove", crash)
        await ann.send("uninvite", userId="ben")
        await server.advance(1)
        await ann.say("a secret")
        assert [message["type"] for message in ben.hear()][-1] == "error"


@on_virtual_time
async def test_room_of_any_name_can_be_created_private():
    async with MemoryServer(extension) as server:
        ann, eve = await server.connect("ann"), await server.connect("eve")
        await ann.send("create_room", roomId="den", kind="private", id="q")
        assert ann.hear() == [{"type": "room_created", "roomId": "den", "kind": "private", "id": "q"}]
        await server.advance(300)
        await eve.join("den")
        assert errors(eve) == ["private_room"]
        await server.restart()
        eve = await server.connect("eve")
        await eve.join("den")
        assert errors(eve) == ["private_room"]
        ann = await server.connect("ann")
        await ann.join("den")
        assert ann.expect("joined")


@on_virtual_time
async def test_used_room_cannot_be_created_again():
    async with MemoryServer(extension) as server:
        ann, eve = await server.connect("ann", room="cafe"), await server.connect("eve")
        await ann.say("hello")
        await eve.send("create_room", roomId="cafe", kind="private")
        assert errors(eve) == ["room_exists"]
        await ann.send("leave")
        await eve.send("create_room", roomId="cafe", kind="private")
        assert errors(eve) == ["room_exists"]
        await ann.send("create_room", roomId="den", kind="private")
        await eve.send("create_room", roomId="den", kind="private")
        assert errors(eve) == ["room_exists"]
        await eve.send("create_room", roomId="den2", kind="hall")
        assert errors(eve) == ["unknown_kind"]


@on_virtual_time
async def test_moderation_and_private_rooms_combine():
    async with MemoryServer(moderation, extension) as server:
        ann, ben = await server.connect("ann", room="private-den"), await server.connect("ben")
        await ann.send("invite", userId="ben")
        await ben.join("private-den")
        ben.hear()
        await ann.send("mute", userId="ben")
        await ben.say("hello")
        assert errors(ben) == ["muted"]
        await ann.send("ban", userId="ben")
        assert errors(ben) == ["banned"]
        eve = await server.connect("eve")
        await eve.join("private-den")
        assert errors(eve) == ["private_room"]


@pytest.mark.parametrize("enabled", [[], [polls]], ids=["none", "another"])
def test_room_of_a_disabled_kind_stays_closed(enabled):
    """Whatever else is enabled: nobody joins it, lists its members or reads its history."""

    @on_virtual_time
    async def run():
        async with MemoryServer(extension, *enabled) as server:
            ann = await server.connect("ann")
            await ann.send("create_room", roomId="den", kind="private")
            server._extensions = Extensions([Enabled(each, each.settings()) for each in enabled])
            await server.restart()
            ann = await server.connect("ann", room="lobby")
            await ann.join("den")
            await ann.send("members", roomId="den")
            await ann.send("history", roomId="den")
            assert errors(ann) == ["kind_missing"] * 3
            await ann.say("still here")
            assert ann.expect("chat_message")["roomId"] == "lobby"

    run()


@on_virtual_time
async def test_user_cannot_be_locked_out_of_own_room():
    async with MemoryServer(extension) as server:
        ann, eve = await server.connect("ann"), await server.connect("eve")
        await eve.send("create_room", roomId="ann", kind="private")
        await eve.join("ann")
        assert errors(eve) == ["private_room"]
        await ann.join("ann")
        await ann.say("mine")
        assert ann.expect("chat_message")["content"] == "mine"


@on_virtual_time
async def test_late_namesake_is_not_admitted():
    """A user who registers under the name of an owned private room stays outside."""
    async with MemoryServer(extension) as server:
        ann = await server.connect("ann", room="private-den")
        await ann.send("create_room", roomId="vault", kind="private")
        for _ in range(2):
            for name in ("private-den", "vault"):
                eve = await server.connect(name)
                await eve.join(name)
                await eve.send("history", roomId=name)
                assert errors(eve) == ["private_room", "private_room"]
            await server.restart()


@on_virtual_time
async def test_unregistered_user_cannot_be_invited():
    async with MemoryServer(extension) as server:
        ann = await server.connect("ann", room="private-den")
        await ann.send("invite", userId="eve")
        assert errors(ann) == ["no_such_user"]
        eve = await server.connect("eve")
        await eve.join("private-den")
        assert errors(eve) == ["private_room"]


async def invitations_of(server, user_id):
    client = await server.connect(user_id)
    await client.send("invitations")
    listed = client.expect("invitations")
    return [(each["roomId"], each["invitedBy"]) for each in listed["invitations"]], listed["lost"]


async def invite_to_rooms(server, client, user_id, names):
    """Returns the codes of the refusals."""
    codes = []
    for name in names:
        await client.send("switch_room", roomId=name)
        client.hear()
        await client.send("invite", userId=user_id)
        codes += [message["code"] for message in client.hear() if message["type"] == "error"]
        await server.advance(1)
    return codes


@on_virtual_time
async def test_stranger_cannot_displace_the_invitations_of_others():
    settings = {"private_rooms": {"invitations_per_sender": 3}}
    async with MemoryServer(extension, settings=settings, users=["ben"]) as server:
        ann, cyd = await server.connect("ann", room="private-a"), await server.connect("cyd", room="private-c")
        assert await invite_to_rooms(server, ann, "ben", ["private-a"]) == []
        codes = await invite_to_rooms(server, cyd, "ben", [f"private-{n}" for n in range(5)])
        assert codes == ["quota_full", "quota_full"]
        await cyd.send("guests")
        assert cyd.expect("guests")["invited"] == []
        expected = [("private-a", "ann"), *[(f"private-{n}", "cyd") for n in range(3)]]
        assert await invitations_of(server, "ben") == (expected, 0)


@on_virtual_time
async def test_accepted_invitations_do_not_count_for_the_quota():
    settings = {"private_rooms": {"invitations_per_sender": 1}}
    async with MemoryServer(extension, settings=settings) as server:
        ann, ben = await server.connect("ann", room="den"), await server.connect("ben", room="den")
        assert await invite_to_rooms(server, ann, "ben", ["private-1", "private-2"]) == ["quota_full"]
        await ben.send("switch_room", roomId="private-1")
        assert await invite_to_rooms(server, ann, "ben", ["private-2", "private-3"]) == ["quota_full"]
        expected = [("private-1", "ann"), ("private-2", "ann")]
        assert await invitations_of(server, "ben") == (expected, 0)


@on_virtual_time
async def test_full_list_deletes_accepted_ones_then_of_the_longest_sender(monkeypatch):
    monkeypatch.setattr("chat_actors.extensions.invitations.MAX_INVITATIONS", 3)
    async with MemoryServer(extension) as server:
        ann, ben, cyd = [await server.connect(name, room="den") for name in ("ann", "ben", "cyd")]
        await invite_to_rooms(server, ann, "ben", ["private-1", "private-2"])
        await ben.send("switch_room", roomId="private-2")
        await invite_to_rooms(server, cyd, "ben", [f"private-{n}" for n in range(3, 7)])
        expected = [("private-1", "ann"), ("private-5", "cyd"), ("private-6", "cyd")]
        assert await invitations_of(server, "ben") == (expected, 3)


@on_virtual_time
async def test_failed_invitation_admits_nobody():
    async with MemoryServer(extension, users=["ben"]) as server:
        ann = await server.connect("ann", room="private-a")
        with server.failing("states"):
            assert await invite_to_rooms(server, ann, "ben", ["private-a"]) == ["internal_failure"]
        await server.advance(5)
        await ann.send("guests")
        assert ann.expect("guests")["invited"] == []


@on_virtual_time
async def test_next_user_of_an_id_inherits_no_private_room():
    async with MemoryServer(extension) as server:
        ann, ben = await server.connect("ann", room="private-a"), await server.connect("ben", room="private-b")
        await ann.say("a secret")
        await invite_to_rooms(server, ben, "ann", ["private-b"])
        await invite_to_rooms(server, ann, "ben", ["private-a"])
        await server.remove_user("ann", release=True)
        ann, ben = await server.connect("ann"), await server.connect("ben")
        assert await invitations_of(server, "ann") == ([], 0)
        for room in ("private-a", "private-b"):
            await ann.join(room)
            assert ann.expect("error")["code"] == "private_room"
            await ann.send("history", roomId=room)
            assert ann.expect("error")["code"] == "private_room"
        await ben.join("private-a")
        assert ben.expect("joined")["state"]["private_rooms"]["owner"] == "removed:user"
        await ben.send("uninvite", userId="ann")
        assert ben.expect("error")["code"] == "not_owner"


@on_virtual_time
async def test_created_room_without_guests_stays_closed_after_a_removal():
    async with MemoryServer(extension) as server:
        ann = await server.connect("ann")
        await ann.send("create_room", roomId="attic", kind="private")
        ann.expect("room_created")
        await server.remove_user("ann", release=True)
        for name in ("ann", "ben"):
            client = await server.connect(name)
            await client.join("attic")
            assert client.expect("error")["code"] == "private_room"
