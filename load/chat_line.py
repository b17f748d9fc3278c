"""One user's connection: logged in, asking, saying, hearing; each exchange is timed and everything heard is checked."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from chat_actors.client import ClientSession, Refused, Step, UnknownMessage
from chat_actors.protocol import AnyMessage, Command, Join, Leave, Ping, Post, ReadHistory, SwitchRoom, messages
from load import exchanges
from load.deliveries import Listener, Mark, Marker
from load.wire import Closed, WebSocket

ANSWER_WITHIN = 30.0
"""Seconds, for any exchange."""

OVERDUE = 1.0
"""Seconds, for an exchange that is still under way when the test ends."""

Answer = TypeVar("Answer", bound=AnyMessage)

_STEPS = {
    Step.CHALLENGE: exchanges.CHALLENGE,
    Step.AUTHENTICATION: exchanges.AUTHENTICATE,
    Step.REGISTRATION: exchanges.REGISTER,
}


class Report(Protocol):
    """Where it is written down how exchanges went."""

    def done(self, name: str, ms: float) -> None:
        """It went well and took so many milliseconds."""

    def failed(self, name: str, error: Exception) -> None:
        """It went wrong."""


class Rejected(Exception):
    """The server answered with an error."""

    def __init__(self, code: str | None, text: str) -> None:
        self.code = code
        self.text = text

    def __str__(self) -> str:
        return f"error {self.code or self.text}"


class NoAnswer(Exception):
    """Nothing came in time."""

    def __init__(self, within: float) -> None:
        self.within = within

    def __str__(self) -> str:
        return "no answer in time"


class Wrong(Exception):
    """What came is not what the server promises."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __str__(self) -> str:
        return self.what


class ChatLine:
    """Blocks its caller, and reads only when asked to: with `listen` while there is nothing to do.

    An exchange that fails is reported and raises; `Closed` and `NoAnswer` mean that the line is of no more use.
    """

    def __init__(
        self, socket: WebSocket, user_id: str, key: RSAPrivateKey, report: Report, listener: Listener, marker: Marker
    ) -> None:
        """`listener` and `marker` are the user's own, over all connections."""
        self.user_id = user_id
        self.room_id: str | None = None
        self._socket = socket
        self._session = ClientSession(user_id, key)
        self._report = report
        self._listener = listener
        self._marker = marker
        self._ids = itertools.count()
        self._own: Mark | None = None  # the last of our own that was heard
        self._under_way: tuple[str, float] | None = None

    # -- exchanges -----------------------------------------------------------------------------------------------------

    def log_in(self) -> None:
        """Log in, registering the user if the server does not know them. Raises `Refused`, `Closed`, `NoAnswer`."""
        while not self._session.is_ready:
            step = self._session.step
            began = self._begin(_STEPS[step])
            try:
                self._send_all()
                self._session.receive(self._receive(ANSWER_WITHIN))
            except Refused as error:
                self._fail(_STEPS[step], Rejected(error.code, error.text))  # its own text names the user
                raise
            except (Closed, NoAnswer) as error:
                self._fail(_STEPS[step], error)
                raise
            if self._session.step is not Step.REGISTRATION:  # that was a try, to find out who is unknown
                self._done(_STEPS[step], began)

    def join(self, room_id: str) -> messages.Joined:
        """Enter a room, leaving the one before. Raises `Rejected`, `Closed`, `NoAnswer`."""
        return self._enter(
            exchanges.JOIN, room_id, lambda request_id: Join(self.user_id, room_id, request_id=request_id)
        )

    def switch(self, room_id: str) -> messages.Joined:
        """Go over to another room. Raises as `join`."""
        return self._enter(exchanges.SWITCH, room_id, lambda request_id: SwitchRoom(room_id, request_id=request_id))

    def recover(self, room_id: str) -> messages.Joined:
        """Come back to a room and hear all that was missed. Raises as `join`, and `Wrong` if some is not to be had."""
        since = self._listener.last_seq
        if since is None:
            return self.join(room_id)
        request_id = self._next_id()
        began = self._begin(exchanges.RECOVER)
        try:
            self._send(Join(self.user_id, room_id, since, request_id=request_id))
            joined = self._answer(messages.Joined, request_id)
            self.room_id = room_id
            self._marker.begin_stay()
            if not joined.recovered:
                raise Wrong("not recovered")
            while (self._listener.last_seq or 0) < (joined.seq or 0):
                self._hear(self._next(began + ANSWER_WITHIN - time.perf_counter()), is_live=False)
        except (Closed, NoAnswer, Rejected, Wrong) as error:
            self._fail(exchanges.RECOVER, error)
            raise
        self._done(exchanges.RECOVER, began)
        return joined

    def leave(self) -> None:
        """Leave the room. Raises as `join`."""
        self._ask(exchanges.LEAVE, messages.Left, lambda request_id: Leave(request_id=request_id))
        self.room_id = None

    def read_history(self, before: int | None = None, limit: int = 50) -> messages.History:
        """A page of the room's messages. Raises as `join`, and `Wrong` if they are out of order."""
        page = self._ask(
            exchanges.HISTORY,
            messages.History,
            lambda request_id: ReadHistory(before=before, limit=limit, request_id=request_id),
        )
        seqs = [message.seq for message in page.messages]
        if seqs != sorted(set(seqs)) or len(seqs) > limit:
            error = Wrong("a page that is out of order or too long")
            self._report.failed(exchanges.HISTORY, error)
            raise error
        return page

    def say(self, chars: int = 0) -> None:
        """Say something of at least so many characters, and wait until it comes back. Raises as `join`."""
        began = self._begin(exchanges.ECHO)
        try:
            mark = self._marker.next(time.time_ns())
            self._send(Post(mark.as_content(chars)))
            until = began + ANSWER_WITHIN
            while self._own != mark:
                message = self._next(until - time.perf_counter())
                if isinstance(message, messages.Error):
                    raise Rejected(message.code, message.message)
                self._hear(message)
        except (Closed, NoAnswer, Rejected) as error:
            self._marker.begin_stay()  # nobody knows whether it was heard
            self._fail(exchanges.ECHO, error)
            raise
        self._done(exchanges.ECHO, began)

    def say_nowait(self, chars: int = 0) -> None:
        """Say something and wait for nothing, be it heard or refused. Raises `Closed`.

        It bears no mark: nobody misses it, and how long it takes is nobody's measure.
        """
        self._send(Post("x" * max(1, chars)))

    # -- listening -----------------------------------------------------------------------------------------------------

    def listen(self, seconds: float) -> None:
        """Hear whatever comes for so long. Raises `Closed`."""
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            try:
                self._hear(self._next(left))
            except NoAnswer:
                return

    def end_without_reading(self) -> Closed | None:
        """How the server has ended the connection, if it has, found out without reading before it has."""
        try:
            self._send(Ping())
        except Closed as end:
            return end
        return None

    def send_text(self, text: str) -> None:
        """Send any text, be it a command or not. Raises `Closed`."""
        self._socket.send(text)

    def listen_through_errors(self, seconds: float) -> None:
        """Hear whatever comes for so long; errors are no news. Raises `Closed`."""
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            self.listen_for_error(left)

    def listen_for_error(self, seconds: float) -> str | None:
        """Hear whatever comes, until an error does: its code. None if none comes in so long. Raises `Closed`."""
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            try:
                message = self._next(left)
            except NoAnswer:
                return None
            if isinstance(message, messages.Error):
                return message.code
            self._hear(message)
        return None

    def give_up(self) -> None:
        """Nobody waits any longer: an exchange that has been under way for `OVERDUE` seconds has failed.

        Without this, a server that hangs would only be noticed after `ANSWER_WITHIN`, and a shorter test would pass.
        """
        if self._under_way is not None:
            name, began = self._under_way
            if (waited := time.perf_counter() - began) >= OVERDUE:
                self._report.failed(name, NoAnswer(waited))

    def close(self) -> None:
        """Say goodbye and go."""
        self._socket.close()

    def drop(self) -> None:
        """Go without a word."""
        self._socket.drop()

    # -- inside --------------------------------------------------------------------------------------------------------

    def _enter(self, name: str, room_id: str, make: Callable[[str], Command]) -> messages.Joined:
        def entered() -> None:
            self._listener.enter()
            self._marker.begin_stay()
            self.room_id = room_id

        return self._ask(name, messages.Joined, make, entered)

    def _ask(
        self,
        name: str,
        kind: type[Answer],
        make: Callable[[str], Command],
        then: Callable[[], None] = lambda: None,
    ) -> Answer:
        request_id = self._next_id()
        began = self._begin(name)
        try:
            self._send(make(request_id))
            answer = self._answer(kind, request_id)
        except (Closed, NoAnswer, Rejected) as error:
            self._fail(name, error)
            raise
        self._done(name, began)
        then()
        return answer

    def _answer(self, kind: type[Answer], request_id: str) -> Answer:
        until = time.perf_counter() + ANSWER_WITHIN
        while True:
            message = self._next(until - time.perf_counter())
            if isinstance(message, kind) and getattr(message, "request_id", None) == request_id:
                return message
            if isinstance(message, messages.Error) and message.request_id in (request_id, None):
                raise Rejected(message.code, message.message)
            self._hear(message)

    def _next_id(self) -> str:
        return f"r{next(self._ids)}"

    def _send(self, command: Command) -> None:
        self._session.send(command)
        self._send_all()

    def _send_all(self) -> None:
        for text in self._session.to_send():
            self._socket.send(text)

    def _receive(self, within: float) -> bytes:
        try:
            return self._socket.receive(within)
        except TimeoutError:
            raise NoAnswer(ANSWER_WITHIN) from None

    def _next(self, within: float) -> AnyMessage:
        until = time.perf_counter() + within
        while True:
            message = self._session.receive(self._receive(until - time.perf_counter()))
            if message is not None and not isinstance(message, UnknownMessage):
                return message

    def _hear(self, message: AnyMessage, *, is_live: bool = True) -> None:
        match message:
            case messages.ChatMessage() if message.room_id == self.room_id:
                mark = Mark.of(message.content)
                if (wrong := self._listener.hear(message.seq, mark)) is not None:
                    self._report.failed(exchanges.DELIVERY, Wrong(wrong))
                elif mark is not None and mark.sender != self.user_id and is_live:
                    self._report.done(exchanges.DELIVERY, (time.time_ns() - mark.sent_ns) / 1e6)
                if mark is not None and mark.sender == self.user_id:
                    self._own = mark
            case messages.Error():
                self._report.failed(exchanges.LISTEN, Rejected(message.code, message.message))
            case _:
                pass

    def _begin(self, name: str) -> float:
        began = time.perf_counter()
        self._under_way = name, began
        return began

    def _fail(self, name: str, error: Exception) -> None:
        self._under_way = None
        self._report.failed(name, error)

    def _done(self, name: str, began: float) -> None:
        self._under_way = None
        self._report.done(name, (time.perf_counter() - began) * 1e3)
