"""One accepted WebSocket: what its client sends, judged by RFC 6455 and by our bounds, and what it is sent.

Nothing here waits: what the client's frames call for is written at once, and when the receiver cannot take a message
the reading stops with that message in hand. So nothing that a client sends or does not read can hold up anybody else.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from typing import Any

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Message, Ping, Pong
from wsproto.events import Event as FrameEvent
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError

from chat_actors.server.transport.carrier import Carrier
from chat_actors.server.transport.control import Bounds, Receiver
from chat_actors.server.transport.deflate import BoundedDeflate
from chat_actors.server.transport.partial_message import PartialMessage
from chat_actors.server.transport.splitter import PONG, FrameSplitter

logger = logging.getLogger(__name__)

CONTROL_BACKLOG = 65536
"""Bytes that may wait for a client before its pings go unanswered (RFC 6455, section 5.5.3, asks for the last only)."""

PING = b"\x89\x00"
"""A Ping without payload (RFC 6455, section 5.5.2)."""

PIECES_IN_A_TURN = 64
"""Frames of one client that are handled before the others get their turn."""

WRITES_INTO_THE_VOID = 4
"""Answers in one turn to a client that has been lost meanwhile. The socket tells later, and complains of the fifth."""

MISSED_PONGS = 2
"""Pings in a row that a client may leave unanswered."""


class WebSocketProtocol:
    """Implements `Line` for the app, and `Sink` for the carrier."""

    __slots__ = (
        "_bounds", "_carrier", "_deflate", "_end_code", "_held", "_is_attached", "_is_closing", "_is_lost",
        "_is_overflowing", "_parser", "_partial", "_peer_has_ended", "_receiver", "_splitter", "_timer",
        "_turn", "_unanswered", "is_over", "is_paused", "peer_close_code", "write",
    )  # fmt: skip

    def __init__(
        self, carrier: Carrier, bounds: Bounds, receiver: Receiver, deflate: BoundedDeflate | None = None
    ) -> None:
        self._carrier = carrier
        self._deflate = deflate
        self._parser: Connection | None = None
        self._is_attached = False
        self._bounds = bounds
        self._receiver = receiver
        self._splitter = FrameSplitter(bounds.frame_bytes or sys.maxsize)
        self._partial: PartialMessage | None = None
        self._held: str | bytes | None = None  # a message that the receiver could not take
        self._is_closing = False  # our Close is on its way: messages do not matter any more
        self._is_overflowing = False
        self._peer_has_ended = False
        self._is_lost = False
        self._unanswered = 0
        self._timer: asyncio.Handle | None = None
        self._turn: asyncio.Handle | None = None  # the next one, if there is more than fits into one
        self._end_code = int(CloseReason.ABNORMAL_CLOSURE)
        self.is_over = False
        """Nothing that still comes matters, and nothing more of the app's is sent."""
        self.is_paused = False
        """Whether something waits for the receiver; if more comes, the client is not read any more."""
        self.peer_close_code: int | None = None
        self.write = carrier.write
        if bounds.ping_seconds:
            self._beat_later()

    def attach(self, receiver: Receiver) -> None:
        """From here on `receiver` gets what comes, and hears of an overflow, and of the end even if that has been."""
        self._receiver = receiver
        self._is_attached = True
        if self.is_over:
            self._tell_end()
            return
        if self._is_lost:
            self._guard(receiver.unreachable)
        self._carrier.bound(self._bounds.backlog_bytes)
        self.resume()

    # -- what comes in -------------------------------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        if not self.is_over:
            self._splitter.feed(data)
            if self.is_paused:
                self._carrier.pause()  # and no sooner, for who is not read is not seen to go either
            else:
                self._guard(self._parse)

    def peer_ended(self) -> None:
        self._peer_has_ended = True
        if not self.is_paused:
            self._end(CloseReason.ABNORMAL_CLOSURE)
            self._carrier.finish(peer_is_done=True)

    def lost(self) -> None:
        """What had come whole before is still for the receiver."""
        if self.is_paused:
            self._tell_lost()
        else:
            self._peer_has_ended = True
            self._end(CloseReason.ABNORMAL_CLOSURE)

    def _tell_lost(self) -> None:
        if not self._is_lost and not self.is_over:
            self._peer_has_ended = self._is_lost = True
            self._guard(self._receiver.unreachable)

    def overflowed(self) -> None:
        if not self._is_overflowing and not self.is_over:
            self._is_overflowing = True
            self._guard(self._receiver.overflowed)

    def resume(self) -> None:
        if self.is_paused and self._turn is None:
            self._guard(self._parse)

    def _take_turn(self) -> None:
        self._turn = None
        self.resume()

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:
            # Let through, it would end the siblings on HTTP/2 as well.
            logger.exception("a WebSocket has failed and is cut")
            self.abort()

    def _parse(self) -> None:
        self.is_paused = False  # first of all: a receiver may resume from within what it is called for
        if self._held is not None:
            held, self._held = self._held, None
            if not self._deliver(held):
                return
        pieces = 0
        while (piece := self._splitter.next()) is not None:
            if isinstance(piece, str):
                if not self._deliver(piece):
                    return
            elif piece == PONG:
                self._unanswered = 0
            elif not self._judge(piece):
                return
            if self.is_over:
                return
            pieces += 1
            if pieces % WRITES_INTO_THE_VOID == 0 and self._carrier.is_closing():
                self._tell_lost()
            if pieces == PIECES_IN_A_TURN and len(self._splitter):
                self.is_paused = True
                self._turn = asyncio.get_running_loop().call_soon(self._take_turn, context=self._carrier.context)
                return
        self._carrier.resume()
        if self._peer_has_ended:
            self._end(CloseReason.ABNORMAL_CLOSURE)
            self._carrier.finish(peer_is_done=True)

    def _deliver(self, message: str | bytes) -> bool:
        """Hand a message over; False if the receiver cannot take it now."""
        if self._is_closing:
            return True  # what the client sent before it saw our Close is on the way to its own
        taken = self._receiver.text(message) if isinstance(message, str) else self._receiver.binary(message)
        if not taken:
            self._held = message
            self.is_paused = True
        return taken

    def _wsproto(self) -> Connection:
        if self._parser is None:
            self._parser = Connection(ConnectionType.SERVER, [] if self._deflate is None else [self._deflate])
        return self._parser

    def _rest(self) -> None:
        """Let go of a parser that has nothing under way: an idle client costs 3 kB less."""
        has_nothing = self._parser is not None and self._parser.state is ConnectionState.OPEN
        if has_nothing and self._is_attached and self._splitter.is_between_messages:
            self._parser = None

    def _judge(self, piece: bytes) -> bool:
        taken = True
        parser = self._wsproto()
        parser.receive_data(piece)
        for event in parser.events():
            match event:
                case Message():
                    taken = self._collect(event)
                case Ping() if self.backlog() < CONTROL_BACKLOG:
                    self._send(event.response())
                case Pong():
                    self._unanswered = 0
                case CloseConnection():
                    self._close_received(event)
            if self.is_over:
                break
        self._rest()
        return taken

    def _collect(self, event: Message[Any]) -> bool:
        if self._is_closing:
            return True
        message = self._partial = self._partial or PartialMessage()
        message.add(event.data)
        if self._bounds.frame_bytes and message.size > self._bounds.frame_bytes:
            self._fail(CloseReason.MESSAGE_TOO_BIG, f"a message may have at most {self._bounds.frame_bytes} bytes")
        elif event.message_finished:
            self._partial = None
            return self._deliver(message.binary() if isinstance(event, BytesMessage) else message.text())
        return True

    def _close_received(self, event: CloseConnection) -> None:
        match self._wsproto().state:
            case ConnectionState.OPEN:
                # wsproto could not parse what came, and says with which code to close.
                self._fail(CloseReason(event.code), event.reason or "malformed frame")
            case ConnectionState.REMOTE_CLOSING | ConnectionState.CLOSED:
                self.peer_close_code = int(event.code)
                if self._wsproto().state is ConnectionState.REMOTE_CLOSING:
                    self._send(event.response())
                self._end(self.peer_close_code)
                self._carrier.finish(peer_is_done=True)
            case _:
                self._end(CloseReason.ABNORMAL_CLOSURE)  # malformed, after our Close: the end is under way already

    @property
    def is_compressed(self) -> bool:
        return self._deflate is not None

    # -- what goes out -------------------------------------------------------------------------------------------------

    def backlog(self) -> int:
        return self._carrier.backlog()

    def frame(self, event: FrameEvent) -> bytes:
        """The bytes of a frame; none after a Close, or once nobody is there to read it."""
        if self._peer_has_ended:
            return b""
        try:
            return bytes(self._wsproto().send(event))
        except LocalProtocolError:
            return b""
        finally:
            self._rest()

    def _send(self, event: FrameEvent) -> None:
        if not self._carrier.is_closing() and (data := self.frame(event)):
            self.write(data)

    def close(self, code: int, reason: str = "") -> None:
        if not self._is_closing and not self.is_over:
            self._send(CloseConnection(code, reason[:120].encode()[:123].decode(errors="ignore")))
            self._is_closing = True
            self._carrier.finish(peer_is_done=False)
            self.resume()  # what was held for the receiver is now in the way of the client's Close

    def abort(self) -> None:
        """Drop the client now."""
        self._carrier.abort()
        self._end(CloseReason.ABNORMAL_CLOSURE)

    def abandon(self) -> None:
        """The receiver is gone: what still comes is dropped, up to the client's Close."""
        self._is_closing = True
        self.resume()

    # -- the end -------------------------------------------------------------------------------------------------------

    def _fail(self, code: CloseReason, reason: str) -> None:
        """Close because of what the client did: say why, tell the app, throw away what still comes, then end."""
        self.close(code, reason)
        self._end(code)

    def _end(self, code: int) -> None:
        if self.is_over:
            return
        self.is_over = True
        self.is_paused = False
        self._held = self._partial = None
        self._splitter.clear()
        for handle in (self._timer, self._turn):
            if handle is not None:
                handle.cancel()
        self._carrier.resume()  # what still comes is read, and dropped: the client's Close must not be stuck behind it
        self._end_code = int(code)
        self._tell_end()

    def _tell_end(self) -> None:
        try:
            self._receiver.ended(self._end_code)
        except Exception:
            logger.exception("an app has failed at the end of its WebSocket")

    # -- is it still there? --------------------------------------------------------------------------------------------

    def _beat_later(self) -> None:
        loop, context = asyncio.get_running_loop(), self._carrier.context
        self._timer = loop.call_later(self._bounds.ping_seconds, self._guard, self._beat, context=context)

    def _beat(self) -> None:
        if self._is_closing or self.is_over:
            return
        if not self.is_paused:  # while it is not read, its pongs are not either
            if self._unanswered == MISSED_PONGS:
                self._fail(CloseReason.POLICY_VIOLATION, f"{MISSED_PONGS} pings were not answered")
                return
            self._unanswered += 1
            if not self._peer_has_ended and self.backlog() < CONTROL_BACKLOG:
                self.write(PING)
        self._beat_later()
