import anyio
import msgspec
import pytest

from chat_actors.chat import ROOMS, CountRooms, CountSessions, Drain, Limits, events
from chat_actors.chat.room_joins import JoinRequest
from chat_actors.kernel import Terminated, handles
from chat_actors.kernel.testing import RunningSystem, settle
from chat_actors.protocol import CloseCode, messages
from tests.chat.rig import NO_LIMITS, START, Boom, FragileRoom, MemoryChat, room_of

pytestmark = pytest.mark.anyio


async def test_crashed_room_restarts_with_its_members():
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        alice, bob = await chat.log_in("alice", "general"), await chat.log_in("bob", "general")
        alice.hear()
        await alice.send(type="chat_message", content="before")
        await settle(system)
        room_of(alice).tell(Boom())
        await alice.send(type="chat_message", content="after")
        await settle(system)
        for client in (alice, bob):
            posted = client.hear()
            assert [message.content for message in posted] == ["before", "after"]
            assert posted[0].seq < posted[1].seq
        assert system.statistics().restarts == 1


async def test_crashed_session_ends_alone():
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        alice, bob = await chat.log_in("alice", "general"), await chat.log_in("bob", "general")
        alice.hear()
        bob.session.tell(Boom())
        await settle(system)
        assert bob.outbox.closing.code is CloseCode.INTERNAL_ERROR
        assert alice.hear() == [messages.user_left("bob", "general")]
        await alice.send(type="chat_message", content="still here")
        await settle(system)
        assert alice.hear()[0].content == "still here"
        assert await chat.chat.gate.ask(CountSessions(), timeout=1) == 1


async def test_failed_room_notifies_members_and_reopens():
    """A room that exceeds its restarts sends its members an error, and they can join it again."""
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        alice = await chat.log_in("alice", "general")
        room = room_of(alice)
        for _ in range(6):
            room.tell(Boom())
        await room.wait_stopped()
        await settle(system)
        assert [type(message) for message in alice.hear()] == [messages.Error]
        await alice.send(type="join", userId="alice", roomId="general")
        await alice.send(type="chat_message", content="again")
        await settle(system)
        assert [type(message) for message in alice.hear()] == [messages.Joined, messages.ChatMessage]


async def test_empty_room_closes():
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        alice = await chat.log_in("alice", "general")
        assert await chat.chat.directory.ask(CountRooms(), timeout=1) == 1
        await alice.send(type="switch_room", roomId="other")
        await settle(system)
        assert await chat.chat.directory.ask(CountRooms(), timeout=1) == 1
        alice.session.stop()
        await settle(system)
        assert await chat.chat.directory.ask(CountRooms(), timeout=1) == 0


async def test_client_that_does_not_read_is_evicted():
    """The other members receive every message."""
    evicted = []
    async with RunningSystem() as system:
        system.events.listen(events.ClientEvicted, evicted.append)
        chat = MemoryChat(system, msgspec.structs.replace(NO_LIMITS, backlog_bytes=5000))
        alice, slow = await chat.log_in("alice", "general"), await chat.log_in("slow", "general")
        for n in range(100):
            await alice.send(type="chat_message", content=f"{n:>100}")
            await settle(system)
            alice.hear()
        assert slow.outbox.closing.code is CloseCode.TOO_SLOW
        assert slow.outbox.backlog == 0
        posted = [int(m.content) for m in alice.received if isinstance(m, messages.ChatMessage)]
        assert posted == list(range(100))
        slow.session.stop()
        await settle(system)
        assert [event.user_id for event in evicted] == ["slow"]


async def test_unauthenticated_connection_is_closed():
    async with RunningSystem() as system:
        chat = MemoryChat(system, Limits(unauthenticated_seconds=300))
        silent, alice = await chat.connect(), await chat.log_in("alice")
        await anyio.sleep(299)
        assert silent.outbox.closing is None
        await anyio.sleep(2)
        assert silent.outbox.closing.code is CloseCode.NOT_AUTHENTICATED
        assert alice.outbox.closing is None


async def test_connections_over_the_limits_are_refused():
    """After another connection ends, a new one is admitted."""
    async with RunningSystem() as system:
        chat = MemoryChat(system, Limits(connections_per_ip=2, connections=3))
        first, _ = await chat.connect(), await chat.connect()
        assert (await chat.connect()).code is CloseCode.POLICY_VIOLATION
        await chat.connect("192.0.2.2")
        assert (await chat.connect("192.0.2.3")).code is CloseCode.TRY_AGAIN_LATER
        first.session.stop()
        await settle(system)
        assert not hasattr(await chat.connect(), "code")


async def test_draining_gate_refuses_connections():
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        await chat.chat.gate.ask(Drain(reconnect_within=1), timeout=1)
        assert (await chat.connect()).code is CloseCode.SERVICE_RESTART


async def test_challenge_expires_after_five_minutes():
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        alice = await chat.log_in("alice")
        await alice.send(type="get_challenge")
        await anyio.sleep(301)
        await alice.send(type="authenticate", userId="alice", signature="AAAA")
        await settle(system)
        assert alice.hear()[-1].message == "Challenge expired. Request a new challenge."


async def test_registration_limit_resets_after_its_window():
    async with RunningSystem() as system:
        chat = MemoryChat(system, Limits(registrations=1, unauthenticated_seconds=0))
        await chat.log_in("alice")
        other = await chat.connect()
        await other.send(type="register", userId="x", publicKey="")
        await settle(system)
        assert other.hear()[0].message.startswith("Too many registration attempts")
        await anyio.sleep(901)
        await other.send(type="register", userId="x", publicKey="")
        await settle(system)
        assert other.hear()[0].message == "User ID must be 3-32 alphanumeric characters"


async def test_authenticating_as_another_user_leaves_room():
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        await chat.log_in("carol")
        bob, alice = await chat.log_in("bob", "general"), await chat.log_in("alice", "general")
        bob.hear()
        from chat_actors.identity import sign
        from tests.chat.rig import KEY

        await alice.send(type="get_challenge")
        await settle(system)
        challenge = alice.hear()[0].challenge
        await alice.send(type="authenticate", userId="carol", signature=sign(KEY, challenge))
        await alice.send(type="chat_message", content="x")
        await settle(system)
        assert bob.hear() == [messages.user_left("alice", "general")]
        assert alice.hear()[-1].message == "Not connected to any room"


async def test_events_of_a_visit_are_published_in_order():
    seen = []
    async with RunningSystem() as system:
        for event_type in (
            events.SessionOpened,
            events.UserRegistered,
            events.UserAuthenticated,
            events.RoomOpened,
            events.UserJoined,
            events.MessagePosted,
            events.UserLeft,
            events.RoomClosed,
            events.SessionClosed,
        ):
            system.events.listen(event_type, lambda event: seen.append(type(event).__name__))
        chat = MemoryChat(system)
        alice = await chat.log_in("alice", "general")
        await alice.send(type="chat_message", content="hello")
        await settle(system)
        alice.session.stop()
        await settle(system)
    assert seen[:6] == [
        "SessionOpened",
        "UserRegistered",
        "UserAuthenticated",
        "RoomOpened",
        "UserJoined",
        "MessagePosted",
    ]
    assert sorted(seen[6:]) == ["RoomClosed", "SessionClosed", "UserLeft"]


async def test_unjournaled_numbers_start_at_the_clock():
    """A room that is opened again continues above its earlier numbers."""
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        await anyio.sleep(1 - anyio.current_time() % 1)
        seconds = int(START.timestamp() + anyio.current_time() % 1e6)
        found = []
        for _ in range(2):
            alice = await chat.log_in("alice", "general")
            alice.deliver(type="chat_message", content="hello")
            await settle(system)
            found += [message.seq for message in alice.hear()]
            alice.session.stop()
            await anyio.sleep(1)
        assert [seq // 1_000_000 - seconds for seq in found] == [0, 1]


async def test_system_stop_closes_clients_and_accounts():
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        alice = await chat.log_in("alice", "general")
        assert await system.stop(within=5) == ()
        assert alice.outbox.closing.code is CloseCode.SERVICE_RESTART
        with pytest.raises(Exception, match="closed"):
            await chat.accounts.key_of("alice")


async def test_join_queued_before_a_room_failure_is_kept():
    """The session is a member of the new room only."""
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        alice, bob = await chat.log_in("alice", "red"), await chat.log_in("bob")
        alice.hear()
        for _ in range(6):
            room_of(alice).tell(Boom())
        await room_of(alice).wait_stopped()
        # The join precedes the end of the old room in the session's mailbox.
        room = system.get_or_spawn(ROOMS, "red")
        actor = alice.session._cell.actor
        await actor._rooms.join(JoinRequest("red", "alice"), actor._rates)
        await settle(system)
        assert room_of(alice) is room
        await alice.send(type="switch_room", roomId="blue")
        await settle(system)
        await bob.send(type="join", userId="bob", roomId="red")
        await bob.send(type="chat_message", content="in red")
        await settle(system)
        assert all(message.room_id == "blue" for message in alice.hear()[-1:])
        assert not any(isinstance(message, messages.ChatMessage) for message in alice.received)


async def test_room_crash_on_session_end_announces_the_leave():
    has_crashed = []

    class CrashesOnce(FragileRoom):
        @handles
        def session_ended(self, message: Terminated) -> None:
            if not has_crashed:
                has_crashed.append(True)
                raise ValueError("crashed on the end of a session")
            super().session_ended(message)

    async with RunningSystem() as system:
        chat = MemoryChat(system, room=CrashesOnce)
        alice, bob = await chat.log_in("alice", "red"), await chat.log_in("bob", "red")
        alice.hear()
        bob.session.stop()
        await settle(system)
        assert alice.hear() == [messages.user_left("bob", "red")]
