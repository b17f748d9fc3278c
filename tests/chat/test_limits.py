"""Limits over time: the rates hold in the long run, and what they count is forgotten."""

import anyio
import msgspec
import pytest

from chat_actors.chat import Admit, Limits, Peer, QueueOutbox
from chat_actors.chat.gate import Gate, GateState
from chat_actors.chat.registrar import Registrar
from chat_actors.chat.user_rates import UserRates
from chat_actors.client import public_pem
from chat_actors.identity import sign
from chat_actors.kernel import Actor
from chat_actors.kernel.testing import RunningSystem, settle
from chat_actors.protocol import messages
from tests.chat.rig import KEY, NO_LIMITS, MemoryChat, contents, errors, summaries

pytestmark = pytest.mark.anyio


async def test_frames_are_limited_to_rate_and_burst():
    """A client that sends four times its rate for a minute gets its burst and its rate, no more and no less."""
    limits = msgspec.structs.replace(NO_LIMITS, messages_per_second=5, message_burst=10)
    async with RunningSystem() as system:
        client = await MemoryChat(system, limits).connect()
        for _ in range(60 * 20):
            client.deliver(type="ping")
            await anyio.sleep(0.05)
        await settle(system)
        received = client.hear()
        pongs = [message for message in received if isinstance(message, messages.Pong)]
        assert 10 + 60 * 5 - 1 <= len(pongs) <= 10 + 60 * 5
        assert {code for code, _ in errors(received)} == {"too_many_messages"}


async def test_joins_are_limited_to_their_rate():
    limits = msgspec.structs.replace(NO_LIMITS, rooms_per_minute=6)
    async with RunningSystem() as system:
        ann = await MemoryChat(system, limits).log_in("ann")
        for n in range(5 * 60):
            ann.deliver(type="join", userId="ann", roomId=f"room-{n}")
            await anyio.sleep(1)
        await settle(system)
        assert 6 + 5 * 6 - 1 <= summaries(ann.hear()).count("Joined") <= 6 + 5 * 6
        assert {code for code, _ in errors(ann.received)} == {"too_many_rooms"}


FRAMES = msgspec.structs.replace(NO_LIMITS, messages_per_second=1, message_burst=10)


async def test_connections_of_a_user_share_its_rate():
    """Eight connections of one user post no faster than one."""
    async with RunningSystem() as system:
        chat = MemoryChat(system, FRAMES)
        clients = [await chat.log_in("ann", "red") for _ in range(8)]
        await anyio.sleep(60)
        for _ in range(60):
            for client in clients:
                await client.send(type="chat_message", content="x")
            await anyio.sleep(1)
        await settle(system)
        assert 10 + 60 - 2 <= len(contents(clients[0].hear())) <= 10 + 60


async def test_reconnect_refills_no_frames():
    async with RunningSystem() as system:
        chat = MemoryChat(system, FRAMES)
        pongs = 0
        for _ in range(5):
            ann = await chat.log_in("ann")
            for _ in range(20):
                ann.deliver(type="ping")
            await settle(system)
            pongs += summaries(ann.hear()).count("Pong")
            ann.disconnect()
            await settle(system)
        assert pongs == 10


async def test_reconnect_refills_no_room_changes():
    limits = msgspec.structs.replace(NO_LIMITS, rooms_per_minute=6)
    async with RunningSystem() as system:
        chat = MemoryChat(system, limits)
        joined = 0
        for n in range(20):
            ann = await chat.log_in("ann")
            await ann.send(type="join", userId="ann", roomId=f"room-{n}")
            await settle(system)
            joined += summaries(ann.hear()).count("Joined")
            ann.session.stop()
            await settle(system)
        assert joined == 6


async def test_login_as_another_user_uses_its_rate():
    async with RunningSystem() as system:
        chat = MemoryChat(system, FRAMES)
        await chat.log_in("ben")
        client = await chat.log_in("ann")
        for _ in range(8):
            client.deliver(type="ping")
        await log_in_again(chat, client, "ben")
        for _ in range(20):
            client.deliver(type="ping")
        await settle(system)
        client.hear()
        assert summaries(client.received).count("Pong") == 8 + 10


async def log_in_again(chat, client, user_id):
    client.deliver(type="get_challenge")
    await settle(chat.system)
    challenge = client.hear()[-1].challenge
    client.deliver(type="authenticate", userId=user_id, signature=sign(KEY, challenge))


def test_full_buckets_of_offline_users_are_dropped():
    rates = UserRates(FRAMES)
    for n in range(100):
        assert rates.log_in(f"session-{n}", f"user-{n}", 0).frames.take(0)
        rates.session_ended(f"session-{n}", 0)
    assert len(rates) == 100
    for n in range(102):
        rates.log_in("last", f"later-{n}", 1)
    assert len(rates) == 1


def test_buckets_that_are_not_full_are_kept():
    rates = UserRates(FRAMES)
    spent = rates.log_in("session", "ann", 0)
    while spent.frames.take(0):
        pass
    rates.session_ended("session", 0)
    for n in range(100):
        rates.log_in("other", f"user-{n}", 9.9)
    assert rates.log_in("session", "ann", 9.9) is spent
    rates.session_ended("session", 9.9)
    for n in range(4):
        rates.log_in("other", f"user-{n}", 10)
    assert len(rates) == 1


def test_buckets_with_a_session_are_kept():
    """A second session of an idle user must share the buckets of the first."""
    rates = UserRates(FRAMES)
    first = rates.log_in("first", "ann", 0)
    for n in range(10):
        rates.log_in("other", f"user-{n}", 1000)
    assert rates.log_in("second", "ann", 1000) is first
    rates.session_ended("second", 1000)
    rates.session_ended("second", 1000)
    assert rates.log_in("third", "ann", 1000) is first


async def test_registrations_are_possible_after_the_window():
    """Refused attempts do not lengthen it."""
    limits = msgspec.structs.replace(NO_LIMITS, registrations=2, registration_window=100)
    async with RunningSystem() as system:
        client = await MemoryChat(system, limits).connect()
        answers = []
        for n in range(21):
            client.deliver(type="register", userId=f"user-{n}", publicKey=public_pem(KEY))
            await settle(system)
            answers += ["Registered" if not errors([received]) else "refused" for received in client.hear()]
            await anyio.sleep(10)
        assert [n for n, answer in enumerate(answers) if answer == "Registered"] == [0, 1, 10, 11, 20]


def test_registrar_forgets_old_attempts():
    attempts = Registrar.attempts(Limits(registrations=5, registration_window=100))
    for n in range(1000):
        assert attempts.allow(f"network-{n}", 0)
    for n in range(501):
        attempts.allow("later", 100 + n)
    assert len(attempts) == 1


class Idle(Actor[None]):
    """A session that does nothing."""


async def test_gate_forgets_networks_without_sessions():
    state = GateState(UserRates(NO_LIMITS))
    async with RunningSystem() as system:
        gate = system.spawn_named("gate", Gate, state, NO_LIMITS, lambda _: Idle())
        sessions = []
        for n in range(20):
            peer = Peer(f"192.0.2.{n % 10}", QueueOutbox(0), lambda: None)
            sessions.append(await gate.ask(Admit(peer), timeout=5))
            system.start_task(sessions[-1].run)
        await settle(system)
        assert set(state.of_network.values()) == {2}
        for session in sessions[:10]:
            session.ref.stop()
        await settle(system)
        assert set(state.of_network.values()) == {1}
        for session in sessions[10:]:
            session.ref.stop()
        await settle(system)
        assert (len(state.of_network), len(state.peers)) == (0, 0)
