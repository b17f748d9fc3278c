"""A virtual user's connection: it times each operation and checks each message that it receives."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from chat_actors.client import AccessRefused, ClientSession, Step, UnknownMessage
from chat_actors.protocol import AnyMessage, Command, Join, Leave, Ping, Post, ReadHistory, SwitchRoom, messages
from load import operations
from load.delivery_checks import DeliveryChecker, MessageStamp, MessageStamper
from load.outcomes import CommandRefused, ProtocolViolation, Reporter, ResponseTimeout
from load.wire import Closed, WebSocket

RESPONSE_TIMEOUT = 30.0
"""Seconds."""

OVERDUE_AFTER = 1.0
"""Seconds after which an operation that is still pending when the test ends has failed."""

ResponseT = TypeVar("ResponseT", bound=AnyMessage)

_STEPS = {
    Step.CHALLENGE: operations.CHALLENGE,
    Step.AUTHENTICATION: operations.AUTHENTICATE,
    Step.REGISTRATION: operations.REGISTER,
}


class ChatConnection:
    """A blocking connection. It reads only during `listen` and while an operation waits for its response.

    Each operation reports its outcome and raises if it fails. After `Closed` or `ResponseTimeout` the connection is
    unusable.
    """

    def __init__(
        self,
        socket: WebSocket,
        user_id: str,
        key: RSAPrivateKey,
        reporter: Reporter,
        checker: DeliveryChecker,
        stamper: MessageStamper,
    ) -> None:
        """`checker` and `stamper` belong to the user and outlive the connection."""
        self.user_id = user_id
        self.room_id: str | None = None
        self._socket = socket
        self._session = ClientSession(user_id, key)
        self._reporter = reporter
        self._checker = checker
        self._stamper = stamper
        self._ids = itertools.count()
        self._last_own: MessageStamp | None = None  # of the user's last message that was delivered to it
        self._pending: tuple[str, float] | None = None

    # -- operations ----------------------------------------------------------------------------------------------------

    def log_in(self) -> None:
        """Log in, and register the user first if necessary. Raises `AccessRefused`, `Closed`, `ResponseTimeout`."""
        while not self._session.is_ready:
            step = self._session.step
            started = self._start(_STEPS[step])
            try:
                self._send_all()
                self._session.receive(self._receive(RESPONSE_TIMEOUT))
            except AccessRefused as error:
                self._fail(_STEPS[step], CommandRefused(error.code, error.text))  # `str(error)` names the user
                raise
            except (Closed, ResponseTimeout) as error:
                self._fail(_STEPS[step], error)
                raise
            if self._session.step is not Step.REGISTRATION:  # else the attempt only found that the user is unknown
                self._succeed(_STEPS[step], started)

    def join(self, room_id: str) -> messages.Joined:
        """Join a room and leave the previous one. Raises `CommandRefused`, `Closed`, `ResponseTimeout`."""
        return self._join_room(
            operations.JOIN, room_id, lambda request_id: Join(self.user_id, room_id, request_id=request_id)
        )

    def switch(self, room_id: str) -> messages.Joined:
        """Switch to another room. Raises as `join`."""
        return self._join_room(
            operations.SWITCH, room_id, lambda request_id: SwitchRoom(room_id, request_id=request_id)
        )

    def recover(self, room_id: str) -> messages.Joined:
        """Rejoin a room and receive every missed message.

        Raises as `join`, and `ProtocolViolation` if the server cannot deliver all of them.
        """
        since = self._checker.last_seq
        if since is None:
            return self.join(room_id)
        request_id = self._next_id()
        started = self._start(operations.RECOVER)
        try:
            self._send(Join(self.user_id, room_id, since, request_id=request_id))
            joined = self._await_response(messages.Joined, request_id)
            self.room_id = room_id
            self._stamper.begin_epoch()
            if not joined.recovered:
                raise ProtocolViolation("not recovered")
            while (self._checker.last_seq or 0) < (joined.seq or 0):
                self._handle(self._next_message(started + RESPONSE_TIMEOUT - time.perf_counter()), is_live=False)
        except (Closed, ResponseTimeout, CommandRefused, ProtocolViolation) as error:
            self._fail(operations.RECOVER, error)
            raise
        self._succeed(operations.RECOVER, started)
        return joined

    def leave(self) -> None:
        """Leave the room. Raises as `join`."""
        self._request(operations.LEAVE, messages.Left, lambda request_id: Leave(request_id=request_id))
        self.room_id = None

    def read_history(self, before: int | None = None, limit: int = 50) -> messages.History:
        """Read a page of the room's history.

        Raises as `join`, and `ProtocolViolation` if the messages are out of order or more than `limit`.
        """
        page = self._request(
            operations.HISTORY,
            messages.History,
            lambda request_id: ReadHistory(before=before, limit=limit, request_id=request_id),
        )
        seqs = [message.seq for message in page.messages]
        if seqs != sorted(set(seqs)) or len(seqs) > limit:
            error = ProtocolViolation("history page out of order or too long")
            self._reporter.report_failure(operations.HISTORY, error)
            raise error
        return page

    def send_message(self, chars: int = 0) -> None:
        """Send a message of at least `chars` characters and wait for its echo. Raises as `join`."""
        started = self._start(operations.ECHO)
        try:
            stamp = self._stamper.next(time.time_ns())
            self._send(Post(stamp.as_content(chars)))
            deadline = started + RESPONSE_TIMEOUT
            while self._last_own != stamp:
                message = self._next_message(deadline - time.perf_counter())
                if isinstance(message, messages.Error):
                    raise CommandRefused(message.code, message.message)
                self._handle(message)
        except (Closed, ResponseTimeout, CommandRefused) as error:
            self._stamper.begin_epoch()  # it is unknown whether the room accepted the message
            self._fail(operations.ECHO, error)
            raise
        self._succeed(operations.ECHO, started)

    def send_message_nowait(self, chars: int = 0) -> None:
        """Send a message without waiting for its echo or for a refusal. Raises `Closed`.

        It has no stamp, so recipients neither time it nor miss it.
        """
        self._send(Post("x" * max(1, chars)))

    # -- receiving -----------------------------------------------------------------------------------------------------

    def listen(self, seconds: float) -> None:
        """Receive and check messages for `seconds`. Raises `Closed`."""
        deadline = time.perf_counter() + seconds
        while (remaining := deadline - time.perf_counter()) > 0:
            try:
                self._handle(self._next_message(remaining))
            except ResponseTimeout:
                return

    def check_closed(self) -> Closed | None:
        """Return how the server closed the connection, or None while it is open. Reads nothing while it is open."""
        try:
            self._send(Ping())
        except Closed as close:
            return close
        return None

    def send_text(self, text: str) -> None:
        """Send a raw text frame, valid or not. Raises `Closed`."""
        self._socket.send(text)

    def listen_ignoring_errors(self, seconds: float) -> None:
        """Like `listen`, but do not report errors from the server. Raises `Closed`."""
        deadline = time.perf_counter() + seconds
        while (remaining := deadline - time.perf_counter()) > 0:
            self.listen_for_error(remaining)

    def listen_for_error(self, seconds: float) -> str | None:
        """Receive until an error arrives and return its code, or None after `seconds`. Raises `Closed`."""
        deadline = time.perf_counter() + seconds
        while (remaining := deadline - time.perf_counter()) > 0:
            try:
                message = self._next_message(remaining)
            except ResponseTimeout:
                return None
            if isinstance(message, messages.Error):
                return message.code
            self._handle(message)
        return None

    def fail_overdue(self) -> None:
        """Report the pending operation as failed if it has waited for `OVERDUE_AFTER` seconds.

        Called when the test ends. Otherwise a test shorter than `RESPONSE_TIMEOUT` would pass on a server that hangs.
        """
        if self._pending is not None:
            name, started = self._pending
            if (waited := time.perf_counter() - started) >= OVERDUE_AFTER:
                self._reporter.report_failure(name, ResponseTimeout(waited))

    def close(self) -> None:
        """Send a close frame and close the connection."""
        self._socket.close()

    def abort(self) -> None:
        """Close the connection without a close frame."""
        self._socket.abort()

    # -- internals -----------------------------------------------------------------------------------------------------

    def _join_room(self, name: str, room_id: str, make_command: Callable[[str], Command]) -> messages.Joined:
        def joined_room() -> None:
            self._checker.reset()
            self._stamper.begin_epoch()
            self.room_id = room_id

        return self._request(name, messages.Joined, make_command, joined_room)

    def _request(
        self,
        name: str,
        response_type: type[ResponseT],
        make_command: Callable[[str], Command],
        on_success: Callable[[], None] = lambda: None,
    ) -> ResponseT:
        request_id = self._next_id()
        started = self._start(name)
        try:
            self._send(make_command(request_id))
            response = self._await_response(response_type, request_id)
        except (Closed, ResponseTimeout, CommandRefused) as error:
            self._fail(name, error)
            raise
        self._succeed(name, started)
        on_success()
        return response

    def _await_response(self, response_type: type[ResponseT], request_id: str) -> ResponseT:
        deadline = time.perf_counter() + RESPONSE_TIMEOUT
        while True:
            message = self._next_message(deadline - time.perf_counter())
            if isinstance(message, response_type) and getattr(message, "request_id", None) == request_id:
                return message
            if isinstance(message, messages.Error) and message.request_id in (request_id, None):
                raise CommandRefused(message.code, message.message)
            self._handle(message)

    def _next_id(self) -> str:
        return f"r{next(self._ids)}"

    def _send(self, command: Command) -> None:
        self._session.send(command)
        self._send_all()

    def _send_all(self) -> None:
        for text in self._session.to_send():
            self._socket.send(text)

    def _receive(self, timeout: float) -> bytes:
        try:
            return self._socket.receive(timeout)
        except TimeoutError:
            raise ResponseTimeout(RESPONSE_TIMEOUT) from None

    def _next_message(self, timeout: float) -> AnyMessage:
        deadline = time.perf_counter() + timeout
        while True:
            message = self._session.receive(self._receive(deadline - time.perf_counter()))
            if message is not None and not isinstance(message, UnknownMessage):
                return message

    def _handle(self, message: AnyMessage, *, is_live: bool = True) -> None:
        match message:
            case messages.ChatMessage() if message.room_id == self.room_id:
                stamp = MessageStamp.parse(message.content)
                if (violation := self._checker.check(message.seq, stamp)) is not None:
                    self._reporter.report_failure(operations.DELIVERY, ProtocolViolation(violation))
                elif stamp is not None and stamp.sender != self.user_id and is_live:
                    self._reporter.report_success(operations.DELIVERY, (time.time_ns() - stamp.sent_ns) / 1e6)
                if stamp is not None and stamp.sender == self.user_id:
                    self._last_own = stamp
            case messages.Error():
                self._reporter.report_failure(
                    operations.UNSOLICITED_ERROR, CommandRefused(message.code, message.message)
                )
            case _:
                pass

    def _start(self, name: str) -> float:
        started = time.perf_counter()
        self._pending = name, started
        return started

    def _fail(self, name: str, error: Exception) -> None:
        self._pending = None
        self._reporter.report_failure(name, error)

    def _succeed(self, name: str, started: float) -> None:
        self._pending = None
        self._reporter.report_success(name, (time.perf_counter() - started) * 1e3)
