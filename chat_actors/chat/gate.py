"""The gate: admits connections within the limits, and is the parent of every session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

import anyio
import msgspec
from anyio.lowlevel import checkpoint

from chat_actors.chat import events
from chat_actors.chat.limits import Limits
from chat_actors.chat.outbox import Closing
from chat_actors.chat.session import SessionActor
from chat_actors.chat.session_messages import Peer, SessionMessage
from chat_actors.chat.user_rates import UserRates
from chat_actors.identity import network_of
from chat_actors.kernel import Actor, AnyRef, Escalate, Hosted, Request, Restart, Terminated, handles
from chat_actors.protocol import CloseCode, retry_after

DRAIN_BATCH = 100
"""Sessions that a drain closes before it yields to the event loop."""


RETRY_SPACING_MS = 100
"""Maximum number of milliseconds between the reconnect times of two clients."""


class Admit(Request["Hosted[SessionMessage] | Closing"], msgspec.Struct, frozen=True):
    """Open a session for a new connection.

    Answered with the session, to be run in the connection's task, or with the close code and reason of a refusal.
    """

    peer: Peer


class CountSessions(Request[int], msgspec.Struct, frozen=True):
    """The number of open sessions."""


class Drain(Request[None], msgspec.Struct, frozen=True):
    """Admit no more sessions and close all open ones. Answered once every outbox is closed."""

    reconnect_within: float
    """Seconds over which the reconnects of the clients are spread."""


GateMessage: TypeAlias = Admit | CountSessions | Drain


class GateState:
    """The gate's state that outlives a crash: the open sessions, for correct counts, and the users' rates."""

    def __init__(self, user_rates: UserRates) -> None:
        self.user_rates = user_rates
        self.peers: dict[AnyRef, Peer] = {}
        self.of_network: Counter[str] = Counter()
        self.draining = False
        self.retry_spacing_ms = RETRY_SPACING_MS
        self._retries_given = 0

    def next_retry(self) -> str:
        """The close reason with the next reconnect time. No two clients receive the same time."""
        self._retries_given += 1
        return retry_after(self._retries_given * self.retry_spacing_ms)


class Gate(Actor[GateMessage]):
    """Admits sessions and counts them, in total and by network. It watches them, so each end is counted once."""

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
            return request.peer.outbox.closing  # the connection ended while the request waited
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
        self._state.user_rates.session_ended(message.ref, anyio.current_time())
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
        # Spread the reconnects over the whole time, but no further apart than RETRY_SPACING_MS: few clients wait less.
        state.retry_spacing_ms = max(
            1, min(RETRY_SPACING_MS, int(request.reconnect_within * 1000) // max(1, len(sessions)))
        )
        for n, (session, peer) in enumerate(sessions, start=1):
            peer.outbox.close(CloseCode.SERVICE_RESTART, state.next_retry())
            session.stop()
            if n % DRAIN_BATCH == 0:
                await checkpoint()
