"""The session: backpressure from a slow room, pipelined commands, and the limit for logging in."""

import anyio
import msgspec
import pytest

from chat_actors.chat import Admit, CountSessions, Frame, Limits, Peer, QueueOutbox, events
from chat_actors.chat.room_messages import PostToRoom
from chat_actors.client import public_pem
from chat_actors.identity import sign
from chat_actors.kernel import handles
from chat_actors.kernel.testing import RunningSystem, settle
from chat_actors.protocol import CloseCode, messages
from tests.chat.rig import KEY, NO_LIMITS, Boom, FragileRoom, MemoryChat, errors, room_of, summaries

pytestmark = pytest.mark.anyio


class TightRoom(FragileRoom):
    """A room with a mailbox of 4 messages, which takes 10 s to handle the message "hold"."""

    mailbox_capacity = 4

    @handles
    async def post(self, message: PostToRoom) -> None:
        if message.content == "hold":
            await anyio.sleep(10)
        await super().post(message)

    def on_delivery(self, message):
        self.context.self_ref.send_nowait(message)


async def test_full_room_pauses_reading():
    """No frame is lost or reordered."""
    async with RunningSystem() as system:
        chat = MemoryChat(system, room=TightRoom)
        ann, ben, cyd = [await chat.log_in(name, "red") for name in ("ann", "ben", "cyd")]
        ann.hear()
        ann.deliver(type="chat_message", content="hold")
        await anyio.sleep(1)
        for n in range(20):
            ann.deliver(type="chat_message", content=f"ann {n}")
            ben.deliver(type="chat_message", content=f"ben {n}")
        await anyio.sleep(1)
        assert room_of(ann).waiting <= 4 + 2, "the mailbox is full, and two sessions hold one message each"
        assert not ann.session.deliver_nowait(Frame("{}"))
        assert len(ann.unread) > 10
        await settle(system)
        received = [[message.content for message in client.hear()[-41:]] for client in (ann, ben, cyd)]
        assert received == [received[0]] * 3
        for name in ("ann", "ben"):
            assert [text for text in received[0] if text.startswith(name)] == [f"{name} {n}" for n in range(20)]
        assert not ann.unread


async def test_pipelined_commands_are_handled_in_order():
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        ann = await chat.connect()
        await settle(system)
        ann.deliver(type="register", userId="ann", publicKey=public_pem(KEY))
        ann.deliver(type="get_challenge")
        ann.deliver(type="nonsense")
        assert len(ann.unread) == 2, "frames after a slow command are not read"
        await settle(system)
        registered, challenge, error = ann.hear()
        assert type(registered) is messages.Registered
        assert type(error) is messages.Error
        ann.deliver(type="authenticate", userId="ann", signature=sign(KEY, challenge.challenge))
        for room in ("red", "blue", "red"):
            ann.deliver(type="join", userId="ann", roomId=room)
            ann.deliver(type="chat_message", content=f"in {room}")
        await settle(system)
        assert [getattr(message, "content", type(message).__name__) for message in ann.hear()] == [
            "Authenticated",
            *("Joined", "in red"),
            *("Joined", "in blue"),
            *("Joined", "in red"),
        ]


async def test_frames_before_a_disconnect_are_handled():
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        ann, ben = await chat.log_in("ann", "red"), await chat.log_in("ben", "blue")
        ben.hear()
        ann.deliver(type="switch_room", roomId="blue")
        ann.deliver(type="chat_message", content="bye")
        ann.disconnect()
        assert ann.unread, "the frames have not been read yet"
        await settle(system)
        assert [getattr(message, "content", type(message).__name__) for message in ben.hear()] == [
            "UserJoined",
            "bye",
            "UserLeft",
        ]


async def test_session_stopped_before_its_run_is_not_counted():
    """The gate stops counting it, and running it afterwards has no effect."""
    async with RunningSystem() as system:
        opened = []
        system.events.listen(events.SessionOpened, opened.append)
        chat = MemoryChat(system)
        session = await chat.chat.gate.ask(Admit(Peer("192.0.2.1", QueueOutbox(0))), timeout=1)
        assert await chat.chat.gate.ask(CountSessions(), timeout=1) == 1
        session.ref.stop()
        assert await chat.chat.gate.ask(CountSessions(), timeout=1) == 0
        await session.run()
        assert opened == []


async def test_gate_does_not_admit_a_closed_connection():
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        outbox = QueueOutbox(0)
        outbox.close(CloseCode.TRY_AGAIN_LATER, "waited too long")
        assert await chat.chat.gate.ask(Admit(Peer("192.0.2.1", outbox)), timeout=1) == outbox.closing
        assert await chat.chat.gate.ask(CountSessions(), timeout=1) == 0


async def test_login_or_stop_cancels_the_login_timer():
    async with RunningSystem() as system:
        chat = MemoryChat(system, Limits(unauthenticated_seconds=300))
        before = system.statistics().timers
        ann = await chat.connect()
        await settle(system)
        assert system.statistics().timers == before + 1
        ann.session.stop()
        await settle(system)
        assert system.statistics().timers == before
        ben = await chat.log_in("ben")
        assert system.statistics().timers == before
        await anyio.sleep(301)
        assert ben.outbox.closing is None


async def test_login_that_starts_in_time_may_end_late():
    async with RunningSystem() as system:
        chat = MemoryChat(system, Limits(unauthenticated_seconds=300))
        ann = await chat.connect()
        await anyio.sleep(297)
        ann.deliver(type="register", userId="ann", publicKey=public_pem(KEY))
        ann.deliver(type="get_challenge")
        await settle(system)
        challenge = ann.hear()[-1].challenge
        key_of = chat.accounts.key_of

        async def slow_key_of(user_id):
            await anyio.sleep(5)
            return await key_of(user_id)

        chat.accounts.key_of = slow_key_of
        ann.deliver(type="authenticate", userId="ann", signature=sign(KEY, challenge))
        await settle(system)
        assert [type(message) for message in ann.hear()] == [messages.Authenticated]
        assert ann.outbox.closing is None


async def test_answers_carry_the_request_id():
    async with RunningSystem() as system:
        ann = await MemoryChat(system).connect()
        ann.deliver(type="register", userId="ann", publicKey=public_pem(KEY), id="r")
        ann.deliver(type="get_challenge", id="g")
        await settle(system)
        signature = sign(KEY, ann.hear()[-1].challenge)
        ann.deliver(type="authenticate", userId="ann", signature=signature, id="a")
        ann.deliver(type="join", userId="ann", id="j")
        await settle(system)
        ann.deliver(type="ping", id="p")
        ann.deliver(type="leave", id="l")
        await settle(system)
        ann.hear()
        assert [message.request_id for message in ann.received] == ["r", "g", "a", "j", "p", "l"]


async def test_content_limit_counts_characters():
    async with RunningSystem() as system:
        chat = MemoryChat(system, msgspec.structs.replace(NO_LIMITS, content_chars=5))
        ann = await chat.log_in("ann", "red")
        for content in ("é" * 5, "é" * 6):
            ann.deliver(type="chat_message", content=content, id="q")
        await settle(system)
        message, error = ann.hear()
        assert message.content == "é" * 5
        assert (error.code, error.request_id) == ("content_too_long", "q")


async def test_waiting_post_after_the_end_of_its_room():
    """The session is in no room when the post is executed."""
    async with RunningSystem() as system:
        chat = MemoryChat(system, room=TightRoom)
        ann = await chat.log_in("ann", "red")
        ann.deliver(type="chat_message", content="hold")
        await anyio.sleep(1)
        for n in range(5):
            ann.deliver(type="chat_message", content=str(n), id=str(n))
        ann.session._cell.actor._rooms._forget("red")
        await anyio.sleep(1)
        assert errors(ann.hear()) == [("not_in_room", "4")]


async def test_authenticating_again_keeps_the_room():
    async with RunningSystem() as system:
        ann = await MemoryChat(system).log_in("ann", "red")
        ann.deliver(type="get_challenge")
        signature = sign(KEY, ann.hear()[-1].challenge)
        ann.deliver(type="authenticate", userId="ann", signature=signature)
        ann.deliver(type="chat_message", content="still here")
        await settle(system)
        assert summaries(ann.hear()) == ["Authenticated", "still here"]


async def test_failed_authentication_is_published():
    failed = []
    async with RunningSystem() as system:
        system.events.listen(events.AuthenticationFailed, failed.append)
        ann = await MemoryChat(system).connect("192.0.2.7")
        ann.deliver(type="authenticate", userId="ann", signature="AAAA")
        await settle(system)
        assert errors(ann.hear()) == [("user_not_registered", None)]
        assert failed == [
            events.AuthenticationFailed(ann.session.path, "ann", "192.0.2.7", "user_not_registered"),
        ]


async def test_join_as_another_user_is_refused():
    async with RunningSystem() as system:
        ann = await MemoryChat(system).log_in("ann")
        ann.deliver(type="join", userId="ben", roomId="red", id="q")
        await settle(system)
        assert errors(ann.hear()) == [("user_id_mismatch", "q")]


@pytest.mark.parametrize("end", ["disconnect", "stop", "crash", "overdue"])
async def test_only_slow_clients_are_published_as_evicted(end):
    evicted, codes = [], {"disconnect": 1012, "stop": 1012, "crash": 1011, "overdue": 4001}
    async with RunningSystem() as system:
        system.events.listen(events.ClientEvicted, evicted.append)
        ann = await MemoryChat(system, Limits(unauthenticated_seconds=10)).connect()
        await settle(system)
        match end:
            case "disconnect":
                ann.disconnect()
            case "stop":
                await system.stop(within=5)
            case "crash":
                ann.session.tell(Boom())
            case "overdue":
                await anyio.sleep(11)
        await anyio.sleep(1)
        assert ann.session.is_stopped
        assert ann.outbox.closing.code == codes[end]
        assert ann.outbox.closing.code != 1012 or ann.outbox.closing.reason == "retry after 0"
        assert evicted == []
