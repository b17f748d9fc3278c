"""The view of a room that its room kinds receive."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from chat_actors.chat.command_method import Caller
from chat_actors.chat.outbox import Block, Outbox
from chat_actors.chat.room_core import RoomCore
from chat_actors.chat.room_messages import PostAs
from chat_actors.chat.store import Store
from chat_actors.kernel import ActorStopped, ActorType, AnyRef, Context, Request, Timer
from chat_actors.protocol import ExtensionMessage, Refusal, bot_id, checked_content
from chat_actors.storage import Accounts

Action = Callable[[], Awaitable[None] | None]


class RunInRoom(msgspec.Struct, frozen=True):
    """A room's message to itself: a timer of a room kind has fired, or its piped work has finished."""

    handle: RoomHandle
    action: Action


class RoomHandle:
    """The room that a room kind belongs to, for one incarnation of the room.

    Attributes:
        now: The wall clock: returns the current time (aware, UTC). Measure durations with `anyio.current_time()`.
        creator: The user who chose this room kind with `create_room`; empty if the room's name selected it.
        store: The persistent store of the room kind in this room.
    """

    def __init__(
        self,
        context: Context,
        core: RoomCore,
        *,
        extension: str,
        creator: str,
        store: Store,
        services: Mapping[type[Any], ActorType[Any]],
        subscribers: dict[AnyRef, Outbox],
        remove_user: Callable[[str, Refusal], None],
        now: Callable[[], datetime],
        accounts: Accounts,
    ) -> None:
        """`remove_user` removes all connections of a user in this turn."""
        self._context = context
        self._core = core
        self._fan_out = core.fan_out
        self._extension = extension
        self._services = services
        self._subscribers = subscribers
        self._remove_user = remove_user
        self._accounts = accounts
        self.now = now
        self.creator = creator
        self.store = store

    @property
    def room_id(self) -> str:
        """The id of the room."""
        return self._fan_out.room_id

    @property
    def users(self) -> Sequence[str]:
        """The ids of the users in the room, each once, in the order of joining."""
        return self._fan_out.members.users

    def is_posting(self, user_id: str) -> bool:
        """Whether a message of this user waits for the journal, so that `on_posted` may follow."""
        return self._core.pending.has_any_of(user_id)

    async def user_exists(self, user_id: str) -> bool:
        """Whether a user with this id is registered.

        Raises:
            StorageError: The accounts cannot be read.
        """
        return await self._accounts.key_of(user_id) is not None

    # -- messages to members -------------------------------------------------------------------------------------------

    def say(self, content: str, *, name: str) -> bool:
        """Post a chat message as the bot `bot:NAME`, which is not a member.

        The room handles the message after the current one. It calls `on_post` and `on_posted` of its other room
        kinds, not of this one.

        Args:
            content: The text, not empty.
            name: 3 to 32 characters of `a-z A-Z 0-9 _ -`.

        Returns:
            False if the room's mailbox is full; the message is dropped then.

        Raises:
            ValueError: The name or the content is invalid, or the content is longer than `limits.content_chars`.
        """
        refusal = self._core.refusal_of_size(content)
        if refusal is not None:
            raise ValueError(refusal.text)
        return self._context.self_ref.tell(PostAs(bot_id(name), checked_content(content), self._extension))

    def tell_all(self, message: ExtensionMessage) -> None:
        """Send a message to every connection in the room, in order with the chat messages. It is not stored.

        Clients that do not know the extension receive it too. To avoid that, use `tell_subscribers`.
        """
        self._fan_out.add(message)

    def tell(self, user_id: str, message: ExtensionMessage) -> None:
        """Send a message to every connection of one user in the room, in order with the chat messages."""
        self._fan_out.flush()  # earlier messages first
        block = Block.of(message)
        for member in self._fan_out.members:
            if member.user_id == user_id:
                member.outbox.offer(block)

    def subscribe(self, caller: Caller) -> None:
        """Subscribe a connection to `tell_subscribers`, until it leaves the room. Outlives a crash of the room."""
        if caller.session in self._fan_out.members:
            self._subscribers[caller.session] = caller.outbox

    def tell_subscribers(self, message: ExtensionMessage, *, but: str = "") -> None:
        """Send a message to all subscribed connections, in order with the chat messages.

        Args:
            message: The message.
            but: The id of a user whose connections do not receive the message.
        """
        self._fan_out.flush()
        block = Block.of(message)
        for session, outbox in self._subscribers.items():
            member = self._fan_out.members.get(session)
            if member is not None and member.user_id != but:
                outbox.offer(block)

    def remove(self, user_id: str, code: str, text: str) -> None:
        """Remove all connections of a user now. They receive an error, and no later message of the room.

        Messages of the user that wait for the journal are still posted, and accepted.

        Args:
            user_id: The user.
            code: The `code` of the error that the clients receive.
            text: The error's text, for people.
        """
        self._remove_user(user_id, Refusal(code, text))

    # -- timers, slow work, other actors -------------------------------------------------------------------------------

    def after(self, seconds: float, action: Action) -> Timer:
        """Call `action` after a delay, in a turn of the room. A crash or the end of the room cancels it.

        Args:
            seconds: The delay.
            action: A plain or an async function without arguments.
        """
        return self._context.after(seconds, RunInRoom(self, action))

    def pipe(
        self,
        work: Callable[[], Awaitable[Any]],
        *,
        into: Callable[[Any], Awaitable[None] | None],
        failed: Callable[[Exception], Awaitable[None] | None],
    ) -> None:
        """Run slow work outside the room's turns.

        After a crash of the room its result is ignored; the end of the room cancels it.

        Args:
            work: An async function without arguments.
            into: Called with the result, in a turn of the room.
            failed: Called with the exception, in a turn of the room.
        """

        def in_room(action: Callable[[Any], Awaitable[None] | None]) -> Callable[[Any], RunInRoom]:
            return lambda result: RunInRoom(self, lambda: action(result))

        self._context.pipe(work, into=in_room(into), failed=in_room(failed))

    def service(self, service: type[Any], key: str = "") -> AnyRef:
        """Find or start the actor of a service of this extension.

        Args:
            service: The service's class.
            key: The user id or room id, for a service with `Scope.USER` or `Scope.ROOM`.
        """
        return self._context.get_or_spawn(self._services[service], key)

    async def ask_service(self, service: type[Any], key: str, request: Request[Any], *, timeout: float = 3.0) -> Any:
        """Send a request to a service of this extension and wait for the answer. The room handles nothing meanwhile.

        The service must not wait for this room: use `pipe` if it may.

        Args:
            service: The service's class.
            key: The user id or room id; empty with `Scope.SERVER`.
            request: The request.
            timeout: Seconds to wait. The room crashes if a method takes over 5 s.

        Returns:
            The return value of the request's handler.

        Raises:
            AskFailed: The service crashed while handling the request.
            AskTimeout: The answer did not arrive in time.
            ActorStopped: The server is stopping.
        """
        try:
            return await self.service(service, key).ask(request, timeout=timeout)
        except ActorStopped:  # it has just ended as idle
            return await self.service(service, key).ask(request, timeout=timeout)

    def publish(self, event: msgspec.Struct) -> None:
        """Publish an event on the event bus."""
        self._context.events.publish(event)
