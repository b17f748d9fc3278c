"""Limits over time: the rates hold in the long run, and what they count is forgotten."""

import anyio
import msgspec
import pytest

from chat_actors.chat import Admit, Limits, Peer, QueueOutbox
from chat_actors.chat.gate import Gate, GateState
from chat_actors.chat.registrar import Registrar
from chat_actors.client import public_pem
from chat_actors.kernel import Actor
from chat_actors.kernel.testing import RunningSystem, settle
from chat_actors.protocol import messages
from tests.chat.rig import KEY, NO_LIMITS, MemoryChat, errors, summaries

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
    state = GateState()
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
