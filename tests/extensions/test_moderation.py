"""Moderation: ownership of rooms, the powers of moderators, and their persistence."""

from chat_actors import RoomHandle
from chat_actors.extensions.moderation import extension
from chat_actors.testing import MemoryServer, on_virtual_time


def errors(client):
    return [message["code"] for message in client.hear() if message["type"] == "error"]


def contents(client):
    return [message["content"] for message in client.hear() if message["type"] == "chat_message"]


@on_virtual_time
async def test_first_member_owns_the_room():
    """The state in `joined` names the owner."""
    async with MemoryServer(extension) as server:
        for name in ("ann", "ben"):
            client = await server.connect(name)
            await client.join("den")
            state = client.expect("joined")["state"]["moderation"]
            assert state == {"owner": "ann", "moderator": name == "ann", "slowSeconds": 0.0, "readOnly": False}


@on_virtual_time
async def test_room_named_after_a_user_belongs_to_that_user():
    async with MemoryServer(extension) as server:
        ann = await server.connect("ann")
        await server.connect("ben", room="ann")
        await ann.join("ann")
        await ann.send("kick", userId="ben")
        assert ann.expect("moderation")["owner"] == "ann"


@on_virtual_time
async def test_late_namesake_does_not_take_over_a_room():
    """A user who registers under the name of an owned room gets no power there."""
    async with MemoryServer(extension) as server:
        ann = await server.connect("ann", room="lobby")
        for _ in range(2):
            eve = await server.connect("lobby")
            await eve.join("lobby")
            assert eve.expect("joined")["state"]["moderation"]["owner"] == "ann"
            await eve.send("ban", userId="ann")
            assert errors(eve) == ["not_moderator"]
            await server.restart()
        ann = await server.connect("ann", room="lobby")
        await ann.send("ban", userId="lobby")
        eve = await server.connect("lobby")
        await eve.join("lobby")
        assert errors(eve) == ["banned"]


@on_virtual_time
async def test_kicked_user_may_rejoin():
    async with MemoryServer(extension) as server:
        ann, ben = await server.connect("ann", room="den"), await server.connect("ben", room="den")
        await ann.send("kick", userId="ben", id="q")
        assert ann.expect("moderation")["id"] == "q"
        error = ben.expect("error")
        assert (error["code"], error["roomId"]) == ("kicked", "den")
        await ben.join("den")
        assert ben.expect("joined")


@on_virtual_time
async def test_ban_holds_across_restart_until_it_expires():
    async with MemoryServer(extension) as server:
        ann, ben = await server.connect("ann", room="den"), await server.connect("ben", room="den")
        await ann.send("ban", userId="ben", seconds=3600)
        assert errors(ben) == ["banned"]
        await server.restart()
        ben = await server.connect("ben")
        for command in ("join", "history", "members"):
            await ben.send(command, userId="ben", roomId="den")
            assert errors(ben) == ["banned"]
        await server.advance(3600)
        await ben.join("den")
        assert ben.expect("joined")


@on_virtual_time
async def test_ban_holds_if_the_room_crashes_before_the_removal(monkeypatch):
    def crash(room, *arguments):
        monkeypatch.undo()
        raise ValueError("asked to crash")

    async with MemoryServer(extension) as server:
        ann, ben, cyd = [await server.connect(name, room="den") for name in ("ann", "ben", "cyd")]
        monkeypatch.setattr(RoomHandle, "remove", crash)
        await ann.send("ban", userId="ben")
        await server.advance(1)
        await ann.say("alone?")
        assert errors(ann) == ["internal_failure"]
        assert [message["type"] for message in ben.hear()][-1] == "error"
        assert contents(cyd) == ["alone?"]


@on_virtual_time
async def test_unbanned_user_may_join():
    async with MemoryServer(extension) as server:
        ann, ben = await server.connect("ann", room="den"), await server.connect("ben")
        await ann.send("ban", userId="ben")
        assert ann.expect("moderation")["banned"] == {"ben": None}
        await ann.send("unban", userId="ben")
        assert ann.expect("moderation")["banned"] == {}
        await ben.join("den")
        assert ben.expect("joined")


@on_virtual_time
async def test_mute_expires():
    async with MemoryServer(extension) as server:
        ann, ben = await server.connect("ann", room="den"), await server.connect("ben", room="den")
        await ann.send("mute", userId="ben", seconds=60)
        await ben.say("one")
        assert errors(ben) == ["muted"]
        await server.advance(60)
        await ben.say("two")
        assert contents(ann) == ["two"]


@on_virtual_time
async def test_slow_mode_limits_users_but_not_moderators():
    async with MemoryServer(extension) as server:
        ann, ben = await server.connect("ann", room="den"), await server.connect("ben", room="den")
        await ann.send("slow_mode", seconds=30)
        for content in ("one", "two"):
            await ben.say(content)
            await ann.say(content)
        assert errors(ben) == ["slow_mode"]
        await server.advance(30)
        await ben.say("three")
        assert contents(ann) == ["one", "one", "two", "three"]


@on_virtual_time
async def test_read_only_room_accepts_moderators_only():
    async with MemoryServer(extension) as server:
        ann, ben = await server.connect("ann", room="den"), await server.connect("ben", room="den")
        await ann.send("read_only", on=True)
        await ben.say("one")
        assert errors(ben) == ["read_only"]
        await ann.send("appoint", userId="ben")
        await ben.say("two")
        await ann.send("dismiss", userId="ben")
        await ben.say("three")
        assert errors(ben) == ["read_only"]
        assert contents(ann) == ["two"]


@on_virtual_time
async def test_moderator_powers_are_bounded():
    """Moderators cannot moderate each other or the owner, and cannot appoint moderators."""
    async with MemoryServer(extension) as server:
        ann, ben, cyd = [await server.connect(name, room="den") for name in ("ann", "ben", "cyd")]
        for name in ("ben", "cyd"):
            await ann.send("appoint", userId=name)
        await ben.send("kick", userId="ann")
        await ben.send("ban", userId="cyd")
        await ben.send("appoint", userId="dan")
        assert errors(ben) == ["is_moderator", "is_moderator", "not_owner"]
        assert errors(cyd) == []


@on_virtual_time
async def test_ordinary_member_cannot_moderate():
    async with MemoryServer(extension) as server:
        await server.connect("ann", room="den")
        ben = await server.connect("ben", room="den")
        for command, fields in (
            ("kick", {"userId": "ann"}),
            ("ban", {"userId": "ann"}),
            ("unban", {"userId": "ann"}),
            ("mute", {"userId": "ann"}),
            ("unmute", {"userId": "ann"}),
            ("slow_mode", {"seconds": 1}),
            ("read_only", {"on": True}),
        ):
            await ben.send(command, **fields)
            assert errors(ben) == ["not_moderator"]
        for command in ("appoint", "dismiss", "transfer_room"):
            await ben.send(command, userId="ben")
            assert errors(ben) == ["not_owner"]
        await ben.send("moderation")
        assert "banned" not in ben.expect("moderation")


@on_virtual_time
async def test_room_transfer_notifies_subscribers():
    async with MemoryServer(extension) as server:
        ann, ben, cyd = [await server.connect(name, room="den") for name in ("ann", "ben", "cyd")]
        await cyd.send("moderation")
        cyd.hear()
        ben.hear()
        await ann.send("transfer_room", userId="ben")
        assert cyd.expect("moderation")["owner"] == "ben"
        assert ben.hear() == []
        await ann.send("kick", userId="ben")
        assert errors(ann) == ["not_moderator"]


@on_virtual_time
async def test_admin_has_all_powers_in_moderated_rooms():
    settings = {"moderation": {"admins": ["root"], "rooms": ["public-*"]}}
    async with MemoryServer(extension, settings=settings) as server:
        await server.connect("ann", room="public-den")
        root = await server.connect("root", room="public-den")
        await root.send("transfer_room", userId="root")
        assert root.expect("moderation")["owner"] == "root"
        await root.join("elsewhere")
        root.hear()
        await root.send("kick", userId="ann")
        assert errors(root) == ["not_in_this_room"]


@on_virtual_time
async def test_user_cannot_be_banned_from_own_room():
    async with MemoryServer(extension) as server:
        ann = await server.connect("ann")
        eve = await server.connect("eve", room="ann")
        await eve.send("ban", userId="ann")
        assert errors(eve) == ["not_moderator"]
        await eve.send("read_only", on=True)
        assert errors(eve) == ["not_moderator"]
        await ann.join("ann")
        await ann.say("mine")
        assert contents(ann) == ["mine"]


@on_virtual_time
async def test_moderator_can_be_banned_by_the_owner():
    async with MemoryServer(extension) as server:
        ann, ben = await server.connect("ann", room="den"), await server.connect("ben")
        await ann.send("appoint", userId="ben")
        await ann.send("ban", userId="ben")
        await ben.join("den")
        assert errors(ben) == ["banned"]


@on_virtual_time
async def test_power_is_given_to_registered_users_only():
    async with MemoryServer(extension) as server:
        ann = await server.connect("ann", room="den")
        await ann.send("appoint", userId="eve")
        await ann.send("transfer_room", userId="eve")
        assert errors(ann) == ["no_such_user", "no_such_user"]


@on_virtual_time
async def test_next_user_of_an_id_inherits_no_role_and_no_ban():
    async with MemoryServer(extension, users=["cyd"]) as server:
        ann, _, _ = [await server.connect(name, room="den") for name in ("ann", "ben", "cyd")]
        await ann.send("appoint", userId="ben")
        await ann.send("ban", userId="cyd")
        for user_id in ("ann", "ben", "cyd"):
            await server.remove_user(user_id, release=True)
        for user_id in ("cyd", "ben", "ann"):
            client = await server.connect(user_id)
            await client.join("den")
            state = client.expect("joined")["state"]["moderation"]
            assert (state["owner"], state["moderator"]) == ("removed:user", False)
            await client.send("kick", userId="cyd")
            assert client.expect("error")["code"] == "not_moderator"


@on_virtual_time
async def test_room_named_after_a_removed_user_gets_no_other_owner():
    async with MemoryServer(extension, settings={"moderation": {"admins": ["root"]}}) as server:
        await server.connect("ann", room="ann")
        await server.remove_user("ann", release=True)
        ann, root = await server.connect("ann"), await server.connect("root")
        await ann.join("ann")
        assert ann.expect("joined")["state"]["moderation"]["owner"] == "removed:user"
        await root.join("ann")
        await root.send("transfer_room", userId="ann")
        assert root.expect("moderation")["owner"] == "ann"
