"""One accepted WebSocket: checks the client's frames by RFC 6455 and our bounds, and writes frames to the client.

Theory of operation. Nothing here waits, so no client delays another. States:

* open: whole texts of the `FrameSplitter` go to the receiver, all other frames through wsproto. If the receiver refuses
  a message, it stays in `_refused`, `is_paused` is set, and the carrier stops reading; `resume` delivers it again.
  After `PIECES_PER_TURN` frames, the rest waits for the next turn of the event loop, paused too. If the connection is
  lost while paused (`_is_lost`), complete messages are still delivered.
* `_is_closing`: our Close is sent. Messages are dropped; the client has `LINGER` seconds for its own Close.
* `is_over`: `Receiver.ended` has been called, once and as the last call. Input is read and dropped.
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
"""Bytes waiting for a client from which on its pings are not answered: RFC 6455, section 5.5.3, only wants the last."""

PING = b"\x89\x00"
"""A Ping without payload (RFC 6455, section 5.5.2)."""

PIECES_PER_TURN = 64
"""Frames of one client that are handled in one turn of the event loop."""

LOSS_CHECK_INTERVAL = 4
"""Frames after which to check for a lost connection: asyncio logs a warning at the fifth write after the loss."""

MISSED_PONGS = 2
"""Pings in a row that a client may leave unanswered."""


class WebSocketProtocol:
    """Implements `FrameWriter` for the app, and `Sink` for the carrier."""

    __slots__ = (
        "_bounds", "_carrier", "_deflate", "_end_code", "_is_attached", "_is_closing", "_is_lost",
        "_is_overflowing", "_next_turn", "_parser", "_partial", "_peer_has_ended", "_ping_timer", "_receiver",
        "_refused", "_splitter", "_unanswered_pings", "is_over", "is_paused", "peer_close_code", "write",
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
        self._refused: str | bytes | None = None  # a message that the receiver could not handle yet
        self._is_closing = False  # our Close is sent: messages are dropped
        self._is_overflowing = False
        self._peer_has_ended = False
        self._is_lost = False
        self._unanswered_pings = 0
        self._ping_timer: asyncio.Handle | None = None
        self._next_turn: asyncio.Handle | None = None  # scheduled if frames were left over
        self._end_code = int(CloseReason.ABNORMAL_CLOSURE)
        self.is_over = False
        """Input is dropped, and output of the app too."""
        self.is_paused = False
        """Whether input waits for the receiver. When more arrives, the carrier stops reading."""
        self.peer_close_code: int | None = None
        self.write = carrier.write
        if bounds.ping_seconds:
            self._schedule_ping()

    def attach(self, receiver: Receiver) -> None:
        """Deliver to `receiver` from now on. If the WebSocket has ended already, the receiver is notified at once."""
        self._receiver = receiver
        self._is_attached = True
        if self.is_over:
            self._notify_ended()
            return
        if self._is_lost:
            self._guard(receiver.unreachable)
        self._carrier.bound(self._bounds.backlog_bytes)
        self.resume()

    # -- input ---------------------------------------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        if not self.is_over:
            self._splitter.feed(data)
            if self.is_paused:
                self._carrier.pause()  # not earlier: a socket that is not read does not report its end either
            else:
                self._guard(self._parse)

    def peer_ended(self) -> None:
        self._peer_has_ended = True
        if not self.is_paused:
            self._end(CloseReason.ABNORMAL_CLOSURE)
            self._carrier.finish(peer_is_done=True)

    def lost(self) -> None:
        """The connection is lost. Complete messages that wait are still delivered."""
        if self.is_paused:
            self._notify_unreachable()
        else:
            self._peer_has_ended = True
            self._end(CloseReason.ABNORMAL_CLOSURE)

    def _notify_unreachable(self) -> None:
        if not self._is_lost and not self.is_over:
            self._peer_has_ended = self._is_lost = True
            self._guard(self._receiver.unreachable)

    def overflowed(self) -> None:
        if not self._is_overflowing and not self.is_over:
            self._is_overflowing = True
            self._guard(self._receiver.overflowed)

    def resume(self) -> None:
        if self.is_paused and self._next_turn is None:
            self._guard(self._parse)

    def _take_turn(self) -> None:
        self._next_turn = None
        self.resume()

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:
            # Propagated, it would end the other streams of an HTTP/2 connection as well.
            logger.exception("a WebSocket has failed and is aborted")
            self.abort()

    def _parse(self) -> None:
        self.is_paused = False  # first of all: a receiver may call `resume` from within a delivery
        if self._refused is not None:
            refused, self._refused = self._refused, None
            if not self._deliver(refused):
                return
        pieces = 0
        while (piece := self._splitter.next()) is not None:
            if isinstance(piece, str):
                if not self._deliver(piece):
                    return
            elif piece == PONG:
                self._unanswered_pings = 0
            elif not self._parse_piece(piece):
                return
            if self.is_over:
                return
            pieces += 1
            if pieces % LOSS_CHECK_INTERVAL == 0 and self._carrier.is_closing():
                self._notify_unreachable()
            if pieces == PIECES_PER_TURN and len(self._splitter):
                self.is_paused = True
                self._next_turn = asyncio.get_running_loop().call_soon(self._take_turn, context=self._carrier.context)
                return
        self._carrier.resume()
        if self._peer_has_ended:
            self._end(CloseReason.ABNORMAL_CLOSURE)
            self._carrier.finish(peer_is_done=True)

    def _deliver(self, message: str | bytes) -> bool:
        """Deliver a message. Returns False if the receiver cannot handle it now."""
        if self._is_closing:
            return True  # dropped: the client sent it before it received our Close
        taken = self._receiver.text(message) if isinstance(message, str) else self._receiver.binary(message)
        if not taken:
            self._refused = message
            self.is_paused = True
        return taken

    def _wsproto(self) -> Connection:
        if self._parser is None:
            self._parser = Connection(ConnectionType.SERVER, [] if self._deflate is None else [self._deflate])
        return self._parser

    def _release_parser(self) -> None:
        """Drop a parser without state: it takes 3 kB for each idle client."""
        is_open = self._parser is not None and self._parser.state is ConnectionState.OPEN
        if is_open and self._is_attached and self._splitter.is_between_messages:
            self._parser = None

    def _parse_piece(self, piece: bytes) -> bool:
        """Pass part of a frame through wsproto. Returns False if the receiver cannot handle a message now."""
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
                    self._unanswered_pings = 0
                case CloseConnection():
                    self._close_received(event)
            if self.is_over:
                break
        self._release_parser()
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
                # Not a Close of the client: wsproto could not parse the input, and names the code to close with.
                self._fail(CloseReason(event.code), event.reason or "malformed frame")
            case ConnectionState.REMOTE_CLOSING | ConnectionState.CLOSED:
                self.peer_close_code = int(event.code)
                if self._wsproto().state is ConnectionState.REMOTE_CLOSING:
                    self._send(event.response())
                self._end(self.peer_close_code)
                self._carrier.finish(peer_is_done=True)
            case _:
                self._end(CloseReason.ABNORMAL_CLOSURE)  # malformed input after our Close

    @property
    def is_compressed(self) -> bool:
        return self._deflate is not None

    # -- output --------------------------------------------------------------------------------------------------------

    def backlog(self) -> int:
        return self._carrier.backlog()

    def frame(self, event: FrameEvent) -> bytes:
        """The bytes of a frame; none after a Close, or once the client has disconnected."""
        if self._peer_has_ended:
            return b""
        try:
            return bytes(self._wsproto().send(event))
        except LocalProtocolError:
            return b""
        finally:
            self._release_parser()

    def _send(self, event: FrameEvent) -> None:
        if not self._carrier.is_closing() and (data := self.frame(event)):
            self.write(data)

    def close(self, code: int, reason: str = "") -> None:
        if not self._is_closing and not self.is_over:
            self._send(CloseConnection(code, reason[:120].encode()[:123].decode(errors="ignore")))
            self._is_closing = True
            self._carrier.finish(peer_is_done=False)
            self.resume()  # drop the messages that wait in front of the client's Close

    def abort(self) -> None:
        """Disconnect the client now."""
        self._carrier.abort()
        self._end(CloseReason.ABNORMAL_CLOSURE)

    def detach(self) -> None:
        """The receiver has ended: drop further messages, up to the client's Close."""
        self._is_closing = True
        self.resume()

    # -- the end -------------------------------------------------------------------------------------------------------

    def _fail(self, code: CloseReason, reason: str) -> None:
        """Close because of the client's input: send the reason, notify the app, and drop further input."""
        self.close(code, reason)
        self._end(code)

    def _end(self, code: int) -> None:
        if self.is_over:
            return
        self.is_over = True
        self.is_paused = False
        self._refused = self._partial = None
        self._splitter.clear()
        for handle in (self._ping_timer, self._next_turn):
            if handle is not None:
                handle.cancel()
        self._carrier.resume()  # read on and drop, or the client's Close would stay behind unread bytes
        self._end_code = int(code)
        self._notify_ended()

    def _notify_ended(self) -> None:
        try:
            self._receiver.ended(self._end_code)
        except Exception:
            logger.exception("an app has failed at the end of its WebSocket")

    # -- pings ---------------------------------------------------------------------------------------------------------

    def _schedule_ping(self) -> None:
        loop, context = asyncio.get_running_loop(), self._carrier.context
        self._ping_timer = loop.call_later(self._bounds.ping_seconds, self._guard, self._ping, context=context)

    def _ping(self) -> None:
        if self._is_closing or self.is_over:
            return
        if not self.is_paused:  # while paused, pongs are not read either
            if self._unanswered_pings == MISSED_PONGS:
                self._fail(CloseReason.POLICY_VIOLATION, f"{MISSED_PONGS} pings were not answered")
                return
            self._unanswered_pings += 1
            if not self._peer_has_ended and self.backlog() < CONTROL_BACKLOG:
                self.write(PING)
        self._schedule_ping()
