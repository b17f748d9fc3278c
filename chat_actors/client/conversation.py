"""One user's conversation over any number of connections: what to send on each, and what is new in what comes.

Sans I/O: give it each text that comes, send all of `to_send`, and say when a connection begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from chat_actors.client.command_queue import CommandQueue
from chat_actors.client.dialect import Dialect, Unknown
from chat_actors.client.lookups import Lookups
from chat_actors.client.outcomes import Done, Event, NoAnswer, NotDone, Resumed, TooMuchUnsent
from chat_actors.client.session import ClientSession
from chat_actors.client.stay import Stay
from chat_actors.protocol import (
    AnyCommand,
    AnyMessage,
    Command,
    ExtensionCommand,
    ExtensionMessage,
    Join,
    Leave,
    Post,
    encode_command,
    messages,
)

PASSING = frozenset(
    {
        "not_stored",
        "room_failed",
        "too_many_messages",
        "too_many_rooms",
        "internal_failure",
    }
)
"""Codes of errors that a later try may not meet."""


class Conversation:
    """Nothing that was said is lost or said twice, and nothing that is heard is missed or heard twice, or it is told.

    Commands wait in a queue of at most `most_unsent`, as do lookups.
    """

    def __init__(
        self,
        user_id: str,
        key: RSAPrivateKey,
        *,
        new_id: Callable[[], str],
        most_unsent: int = 1000,
        extra: Iterable[type[ExtensionMessage]] = (),
    ) -> None:
        """`new_id()` gives ids that no other client of this user ever used, of at most 64 characters.

        `extra`: the messages of extensions that are to be heard. Raises `ValueError` if two are of the same `type`.
        """
        self.user_id = user_id
        self._dialect = Dialect(extra)
        self._stay = Stay(user_id)
        self._key = key
        self._new_id = new_id
        self._most_unsent = most_unsent
        self._queue = CommandQueue(most_unsent)
        self._lookups = Lookups()
        self._session: ClientSession | None = None
        self._has_begun = False
        self.wants_retry = False
        """Whether something has failed that may go well later: call `retry` after a pause."""

    @property
    def room_id(self) -> str | None:
        """The room that the user is in, or on the way back into."""
        return self._stay.room_id

    @property
    def is_logged_in(self) -> bool:
        return self._session is not None and self._session.is_ready

    @property
    def is_settled(self) -> bool:
        """Whether the user is logged in, and where they want to be."""
        return self.is_logged_in and not self._stay.must_rejoin

    @property
    def unsent(self) -> int:
        """How many commands have not been answered."""
        return len(self._queue)

    # -- the connection ----------------------------------------------------------------------------------------------

    def connected(self) -> None:
        """A new connection begins: first of all the user is logged in."""
        self._session = ClientSession(self.user_id, self._key, self._dialect)
        self._stay.connected()
        self._queue.send_again()
        self.wants_retry = False

    def disconnected(self) -> Sequence[Event]:
        """The connection has ended; what was on its way will be sent again, or has `NoAnswer` if that may not be."""
        lost = self._give_up_ask("the connection broke")
        self._session = None
        self._queue.send_again()
        self.wants_retry = False
        return lost

    def to_send(self) -> Sequence[str]:
        """The texts that are to be sent now, oldest first; each is returned once."""
        return () if self._session is None else self._session.to_send()

    def retry(self) -> None:
        """Try again what has failed. Of no effect on a connection that has ended meanwhile."""
        if self.wants_retry and self._session is not None and self._session.is_ready:
            self.wants_retry = False
            self._go_on(self._session)

    # -- what the user wants -----------------------------------------------------------------------------------------

    def join(self, room_id: str, since: int | None = None) -> str:
        """Enter a room, leaving the one before. The id under which it is `Done`.

        With `since`, the number of the last message that is known, those after it come first, or a `Gap`.
        Raises `TooMuchUnsent`, and `ValueError` for what is no text in UTF-8.
        """
        request_id = self._new_id()
        return self._add(request_id, Join(self.user_id, room_id, since, request_id=request_id))

    def leave(self) -> str:
        """Leave the room. The id under which it is `Done`. Raises `TooMuchUnsent`."""
        request_id = self._new_id()
        return self._add(request_id, Leave(request_id=request_id))

    def post(self, content: str) -> str:
        """Say something. The id under which it is `Done`, once it is stored. Raises as `join`."""
        request_id = self._new_id()
        return self._add(request_id, Post(content, client_msg_id=request_id, request_id=request_id))

    def ask(self, command: ExtensionCommand, answer: type[ExtensionMessage]) -> str:
        """Send a command of an extension, in its turn. The id under which it is `Done`, by an `answer`.

        It is sent at most once. Raises as `join`, and `ValueError` if another class has the `type` of `answer`.
        """
        self._dialect.learn(answer)
        request_id = self._new_id()
        return self._add(request_id, msgspec.structs.replace(command, request_id=request_id))

    def tell(self, command: ExtensionCommand) -> bool:
        """Send a command of an extension that has no answer, out of turn, now or never; whether it could be sent.

        Raises `ValueError` for what is no text in UTF-8.
        """
        if not self.is_settled or self._session is None:
            return False
        self._session.send(command)
        return True

    def _add(self, request_id: str, command: AnyCommand) -> str:
        self._queue.add(request_id, command)
        self._send_next()
        return request_id

    def withdraw(self, request_id: str) -> None:
        """Do not do what was asked for, if it has not been sent yet. Of an `ask`, do not wait for the answer."""
        if self._queue.asked == request_id:
            self._give_up_ask("it was given up")
            self._send_next()
        self._queue.withdraw(request_id)

    def _give_up_ask(self, why: str) -> Sequence[Event]:
        request_id = self._queue.asked
        return () if request_id is None else (NoAnswer(request_id, type(self._queue.end()).__name__, why),)

    def refuse_head(self, error: messages.Error) -> Sequence[Event]:
        """What was sent last ended the connection, and would again: it is `NotDone`, and the rest goes on."""
        request_id = self._queue.head_on_its_way
        if request_id is None:
            return ()
        self._queue.end()
        return (NotDone(request_id, error),)

    def look_up(self, make: Callable[[str], Command]) -> str:
        """Ask for something that changes nothing, so that it may be asked again and out of turn: history, members.

        `make(id)` makes the command with that `id`, which is returned. Raises `TooMuchUnsent`.
        """
        if len(self._lookups) >= self._most_unsent:
            raise TooMuchUnsent(self._most_unsent)
        request_id = self._new_id()
        command = make(request_id)
        encode_command(command)
        self._lookups.add(request_id, command)
        if self.is_settled and self._session is not None:
            self._send_lookups(self._session)
        return request_id

    def _send_lookups(self, session: ClientSession) -> None:
        for command in self._lookups.to_send():
            session.send(command)

    def _end_lookup(self, request_id: str) -> None:
        self._lookups.end(request_id)
        if self.is_settled and self._session is not None and not self.wants_retry:
            self._send_lookups(self._session)

    def forget(self, request_id: str) -> None:
        """The answer to a `look_up` is not wanted any more."""
        if request_id in self._lookups:
            self._end_lookup(request_id)

    # -- what comes --------------------------------------------------------------------------------------------------

    def receive(self, text: str | bytes) -> Sequence[Event]:
        """Take what has come; what is new for the user. Raises `Refused` if the login fails."""
        if self._session is None:
            raise RuntimeError("nothing can come before connected()")
        message = self._session.receive(text)
        match message:
            case None:
                return ()
            case messages.Authenticated():
                return self._logged_in(self._session)
            case messages.Joined(request_id=str(request_id)) if self._stay.is_rejoining(request_id):
                return self._rejoined(self._session, request_id, message)
            case messages.ChatMessage() if message.room_id == self.room_id:
                return (message,) if self._stay.hear(message) else ()
            case messages.Error():
                return self._failed(message)
            case messages.Accepted():
                return self._answered(message.client_msg_id, message)
            case (
                messages.Joined(request_id=str(request_id))
                | messages.Left(request_id=str(request_id))
                | messages.History(request_id=str(request_id))
                | messages.MemberList(request_id=str(request_id))
            ):
                return self._answered(request_id, message)
            case ExtensionMessage(request_id=str(request_id)) | Unknown(request_id=str(request_id)):
                is_awaited = request_id == self._queue.asked or request_id in self._lookups
                return self._answered(request_id, message) if is_awaited else ()
            case Unknown():
                return ()  # from a newer server, or an extension that this client was not told of
            case _:
                return (message,)

    def _logged_in(self, session: ClientSession) -> Sequence[Event]:
        self._go_on(session)
        return () if self._stay.must_rejoin else self._resumed()

    def _go_on(self, session: ClientSession) -> None:
        """Back into the room first, and then everything that waits."""
        if self._stay.must_rejoin:
            session.send(self._stay.way_back(self._new_id()))
        if not self._stay.must_rejoin:
            self._lookups.ask_again()
            self._send_lookups(session)
            self._send_next()

    def _resumed(self) -> Sequence[Event]:
        is_back, self._has_begun = self._has_begun, True
        return (Resumed(),) if is_back else ()

    def _rejoined(self, session: ClientSession, request_id: str, joined: messages.Joined) -> Sequence[Event]:
        was_away = self._stay.must_rejoin
        gaps = self._stay.rejoined(request_id, joined)
        if gaps is None:
            if not self._stay.is_on_the_way:
                self._go_on(session)
            return ()
        if not was_away:
            return gaps
        self._go_on(session)
        return (*self._resumed(), *gaps)

    def _answered(self, request_id: str, answer: AnyMessage | Unknown) -> Sequence[Event]:
        command: AnyCommand | None = None
        if request_id in self._lookups:
            self._end_lookup(request_id)
        else:
            if self._queue.head_id != request_id:
                return ()  # the answer to what was sent again
            command = self._queue.end()
        events: list[Event] = [Done(request_id, answer)]
        match answer:
            case messages.Joined():
                gaps = self._stay.enter(answer, command.since if isinstance(command, Join) else None)
                events += (answer, *gaps)
            case messages.Left():
                self._stay.leave()
                events.append(answer)
            case _:
                pass
        self._send_next()
        return events

    def _failed(self, error: messages.Error) -> Sequence[Event]:
        is_of_lookup = error.request_id in self._lookups
        is_of_head = error.request_id is not None and error.request_id == self._queue.head_id
        has_lost_room = error.code == "room_closed" or (error.code == "not_in_room" and self.room_id is not None)
        # A frame too many is refused unread, so nobody knows which it was: whatever is on its way is sent again.
        is_too_fast = error.request_id is None and error.code == "too_many_messages"
        is_of_rejoin = self._stay.has_rejoined(error.request_id)
        unanswered: Sequence[Event] = ()
        if error.request_id != self._queue.asked and (is_too_fast or is_of_rejoin or has_lost_room):
            unanswered = self._give_up_ask(error.message)
        if error.room_id is not None and error.room_id == self.room_id and not has_lost_room:
            # Put out for a reason: to go back in is the user's to decide. A rejoin on its way decides for itself.
            if not self._stay.is_on_the_way:
                self._stay.give_up()
            return (*unanswered, error)
        if is_of_rejoin and not has_lost_room and error.code not in PASSING and self._session is not None:
            self._stay.give_up()
            self._go_on(self._session)
            return (*unanswered, *self._resumed(), error)
        if is_of_rejoin or (has_lost_room and self.is_logged_in):
            self._stay.lose(error.request_id)
            self._queue.send_again()
            self.wants_retry = True
        elif is_too_fast or (is_of_head and error.code in PASSING and self._queue.asked is None):
            self._queue.send_again()
            self.wants_retry = True
        elif is_of_lookup and error.code in PASSING:
            self.wants_retry = True
        elif error.request_id is None:
            return (error,)
        elif is_of_lookup:
            self._end_lookup(error.request_id)
            return (NotDone(error.request_id, error),)
        elif is_of_head:
            self._queue.end()
            self._send_next()
            return (NotDone(error.request_id, error),)
        return unanswered  # an error with an id besides these answers what had been sent again

    def _send_next(self) -> None:
        if self._session is None or not self.is_settled or self.wants_retry:
            return
        command = self._queue.send()
        if command is not None:
            self._session.send(command)
