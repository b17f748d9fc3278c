"""The gate: lets connections in, as many as the limits allow, and is the parent of every session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

import msgspec
from anyio.lowlevel import checkpoint

from chat_actors.chat import events
from chat_actors.chat.limits import Limits
from chat_actors.chat.outbox import Closing
from chat_actors.chat.session import SessionActor
from chat_actors.chat.session_messages import Peer, SessionMessage
from chat_actors.identity import network_of
from chat_actors.kernel import Actor, AnyRef, Escalate, Hosted, Request, Restart, Terminated, handles
from chat_actors.protocol import CloseCode, retry_after

DRAIN_BATCH = 100
"""Sessions that are told to go in one turn, before the others get theirs."""


RETRY_SPACING_MS = 100
"""Milliseconds between the times at which two clients are told to come back, at most."""


class Admit(Request["Hosted[SessionMessage] | Closing"], msgspec.Struct, frozen=True):
    """Open a session for a new connection. The answer is the session, to be run in the connection's task, or how to
    close the connection.
    """

    peer: Peer


class CountSessions(Request[int], msgspec.Struct, frozen=True):
    """How many sessions are open."""


class Drain(Request[None], msgspec.Struct, frozen=True):
    """Let nobody in any more, and send sessions away. Answered when all have been told."""

    reconnect_within: float
    """Seconds over which they are spread: each is told a time of its own."""


GateMessage: TypeAlias = Admit | CountSessions | Drain


class GateState:
    """What outlives a crash of the gate: whose sessions are open, so that the counts stay right."""

    def __init__(self) -> None:
        self.peers: dict[AnyRef, Peer] = {}
        self.of_network: Counter[str] = Counter()
        self.draining = False
        self.retry_spacing_ms = RETRY_SPACING_MS
        self._retries_given = 0

    def next_retry(self) -> str:
        """When the next client that is sent away is to come back: no two at the same time."""
        self._retries_given += 1
        return retry_after(self._retries_given * self.retry_spacing_ms)


class Gate(Actor[GateMessage]):
    """Counts sessions by the address that they come from; a session that ends, however it ends, is counted out."""

    mailbox_capacity = 1024
    supervision = Restart(at_most=5, within=60.0, then=Escalate())

    def __init__(
        self,
        state: GateState,
        limits: Limits,
        session: Callable[[Peer], SessionActor],
    ) -> None:
        """`session(peer)` makes the session of a connection."""
        self._state = state
        self._limits = limits
        self._session = session

    @handles
    def admit(self, request: Admit) -> Hosted[SessionMessage] | Closing:
        state, limits = self._state, self._limits
        network = network_of(request.peer.address)
        if request.peer.outbox.closing is not None:
            return request.peer.outbox.closing  # it has waited too long and gone
        if state.draining:
            return Closing(CloseCode.SERVICE_RESTART, state.next_retry())
        if limits.connections and len(state.peers) >= limits.connections:
            return Closing(CloseCode.TRY_AGAIN_LATER, "the server is full; try again later")
        if limits.connections_per_ip and state.of_network[network] >= limits.connections_per_ip:
            return Closing(CloseCode.POLICY_VIOLATION, "too many connections from your address")
        session = self.context.spawn_hosted(self._session, request.peer)
        self.context.watch(session.ref)
        state.peers[session.ref] = request.peer
        state.of_network[network] += 1
        return session

    @handles
    def session_ended(self, message: Terminated) -> None:
        network = network_of(self._state.peers.pop(message.ref).address)
        self._state.of_network[network] -= 1
        if not self._state.of_network[network]:
            del self._state.of_network[network]

    @handles
    def count_sessions(self, request: CountSessions) -> int:
        return len(self._state.peers)

    @handles
    async def drain(self, request: Drain) -> None:
        state = self._state
        if state.draining:
            return
        state.draining = True
        sessions = list(state.peers.items())
        self.context.events.publish(events.Draining(len(sessions)))
        # No two are told the same time, or they would all come back at once; and a few need not wait long.
        state.retry_spacing_ms = max(
            1, min(RETRY_SPACING_MS, int(request.reconnect_within * 1000) // max(1, len(sessions)))
        )
        for n, (session, peer) in enumerate(sessions, start=1):
            peer.outbox.close(CloseCode.SERVICE_RESTART, state.next_retry())
            session.stop()
            if n % DRAIN_BATCH == 0:
                await checkpoint()
