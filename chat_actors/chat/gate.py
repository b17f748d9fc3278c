"""The gate: lets connections in, as many as the limits allow, and is the parent of every session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from chat_actors.chat import events
from chat_actors.chat.limits import Limits
from chat_actors.chat.outbox import Closing
from chat_actors.chat.registrar import RegistrarMessage
from chat_actors.chat.session import Peer, SessionActor, SessionMessage
from chat_actors.identity import network_of
from chat_actors.kernel import Actor, AnyRef, Escalate, Ref, Request, Restart, Terminated, handles
from chat_actors.protocol import CloseCode

SessionFactory = Callable[[Peer, Limits, Ref[RegistrarMessage], Callable[[int], bytes]], SessionActor]


class Admit(Request["Ref[SessionMessage] | Closing"], msgspec.Struct, frozen=True):
    """Open a session for a new connection. The answer is its ref, or how to close the connection."""

    peer: Peer


class CountSessions(Request[int], msgspec.Struct, frozen=True):
    """How many sessions are open."""


class Drain(msgspec.Struct, frozen=True):
    """Let nobody in any more."""


GateMessage: TypeAlias = Admit | CountSessions | Drain


class GateState:
    """What outlives a crash of the gate: whose sessions are open, so that the counts stay right."""

    def __init__(self) -> None:
        self.networks: dict[AnyRef, str] = {}
        self.of_network: Counter[str] = Counter()
        self.draining = False


class Gate(Actor[GateMessage]):
    """Counts sessions by the address that they come from; a session that ends, however it ends, is counted out."""

    mailbox_capacity = 1024
    supervision = Restart(at_most=5, within=60.0, then=Escalate())

    def __init__(
        self,
        state: GateState,
        limits: Limits,
        accounts: Ref[RegistrarMessage],
        random_bytes: Callable[[int], bytes],
        session: SessionFactory = SessionActor,
    ) -> None:
        self._state = state
        self._limits = limits
        self._accounts = accounts
        self._random_bytes = random_bytes
        self._session = session

    @handles
    def admit(self, request: Admit) -> Ref[SessionMessage] | Closing:
        state, limits = self._state, self._limits
        network = network_of(request.peer.address)
        if request.peer.outbox.closing is not None:
            return request.peer.outbox.closing  # it has waited too long and gone
        if state.draining:
            return Closing(CloseCode.SERVICE_RESTART, "the server is stopping; reconnect")
        if limits.connections and len(state.networks) >= limits.connections:
            return Closing(CloseCode.TRY_AGAIN_LATER, "the server is full; try again later")
        if limits.connections_per_ip and state.of_network[network] >= limits.connections_per_ip:
            return Closing(CloseCode.POLICY_VIOLATION, "too many connections from your address")
        session = self.context.spawn(self._session, request.peer, limits, self._accounts, self._random_bytes)
        self.context.watch(session)
        state.networks[session] = network
        state.of_network[network] += 1
        return session

    @handles
    def session_ended(self, message: Terminated) -> None:
        network = self._state.networks.pop(message.ref)
        self._state.of_network[network] -= 1
        if not self._state.of_network[network]:
            del self._state.of_network[network]

    @handles
    def count_sessions(self, request: CountSessions) -> int:
        return len(self._state.networks)

    @handles
    def drain(self, message: Drain) -> None:
        if not self._state.draining:
            self._state.draining = True
            self.context.events.publish(events.Draining(len(self._state.networks)))
