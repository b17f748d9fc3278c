"""The session between a socket that is read in turns and rooms and accounts that make it wait."""

import anyio
import pytest

from chat_actors.chat import Admit, CountSessions, Frame, Limits, Peer, QueueOutbox, events
from chat_actors.chat.room_messages import PostToRoom
from chat_actors.client import public_pem
from chat_actors.identity import sign
from chat_actors.kernel import handles
from chat_actors.kernel.testing import RunningSystem, settle
from chat_actors.protocol import CloseCode, messages
from tests.chat.rig import KEY, FragileRoom, MemoryChat
from tests.chat.test_chat import room_of

pytestmark = pytest.mark.anyio


class TightRoom(FragileRoom):
    """Has little room for what waits, and on "hold" takes its time."""

    mailbox_capacity = 4

    @handles
    async def post(self, message: PostToRoom) -> None:
        if message.content == "hold":
            await anyio.sleep(10)
        super().post(message)

    def on_delivery(self, message):
        self.context.self_ref.send_nowait(message)


async def test_a_full_room_makes_a_session_refuse_and_no_frame_is_lost_or_reordered():
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
        assert room_of(ann).waiting <= 4 + 2, "four, and one for each session that waits"
        assert not ann.session.deliver_nowait(Frame("{}"))
        assert len(ann.unread) > 10
        await settle(system)
        heard = [[message.content for message in person.hear()[-41:]] for person in (ann, ben, cyd)]
        assert heard == [heard[0]] * 3
        for name in ("ann", "ben"):
            assert [text for text in heard[0] if text.startswith(name)] == [f"{name} {n}" for n in range(20)]
        assert not ann.unread


async def test_slow_commands_and_what_follows_them_at_once_are_handled_in_the_order_sent():
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        ann = await chat.connect()
        await settle(system)
        ann.deliver(type="register", userId="ann", publicKey=public_pem(KEY))
        ann.deliver(type="get_challenge")
        ann.deliver(type="nonsense")
        assert len(ann.unread) == 2, "what follows a slow command is not read"
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


async def test_what_came_just_before_a_disconnect_is_still_handled():
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        ann, ben = await chat.log_in("ann", "red"), await chat.log_in("ben", "blue")
        ben.hear()
        ann.deliver(type="switch_room", roomId="blue")
        ann.deliver(type="chat_message", content="bye")
        ann.vanish()
        assert ann.unread, "it has not been read yet"
        await settle(system)
        assert [getattr(message, "content", type(message).__name__) for message in ben.hear()] == [
            "UserJoined",
            "bye",
            "UserLeft",
        ]


async def test_a_session_that_is_stopped_before_it_runs_is_counted_out_and_runs_to_no_effect():
    async with RunningSystem() as system:
        opened = []
        system.events.listen(events.SessionOpened, opened.append)
        chat = MemoryChat(system)
        hosted = await chat.chat.gate.ask(Admit(Peer("192.0.2.1", QueueOutbox(0))), timeout=1)
        assert await chat.chat.gate.ask(CountSessions(), timeout=1) == 1
        hosted.ref.stop()
        assert await chat.chat.gate.ask(CountSessions(), timeout=1) == 0
        await hosted.run()
        assert opened == []


async def test_nobody_is_let_in_whose_connection_has_closed_while_it_waited():
    async with RunningSystem() as system:
        chat = MemoryChat(system)
        outbox = QueueOutbox(0)
        outbox.close(CloseCode.TRY_AGAIN_LATER, "waited too long")
        assert await chat.chat.gate.ask(Admit(Peer("192.0.2.1", outbox)), timeout=1) == outbox.closing
        assert await chat.chat.gate.ask(CountSessions(), timeout=1) == 0


async def test_a_login_cancels_the_timer_of_those_who_do_not_authenticate():
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


async def test_a_login_just_before_the_deadline_is_in_time():
    async with RunningSystem() as system:
        chat = MemoryChat(system, Limits(unauthenticated_seconds=300))
        ann = await chat.connect()
        await anyio.sleep(297)
        ann.deliver(type="register", userId="ann", publicKey=public_pem(KEY))
        ann.deliver(type="get_challenge")
        await settle(system)
        challenge = ann.hear()[-1].challenge
        find_key = chat.accounts.key_of

        async def take_long(user_id):
            await anyio.sleep(5)
            return await find_key(user_id)

        chat.accounts.key_of = take_long
        ann.deliver(type="authenticate", userId="ann", signature=sign(KEY, challenge))
        await settle(system)
        assert [type(message) for message in ann.hear()] == [messages.Authenticated]
        assert ann.outbox.closing is None
