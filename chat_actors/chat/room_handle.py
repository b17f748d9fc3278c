"""What a kind of room may see of its room, and do in it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from chat_actors.chat.command_method import Caller
from chat_actors.chat.fan_out import FanOut
from chat_actors.chat.outbox import Block, Outbox
from chat_actors.chat.room_messages import PostAs, RemovedFromRoom
from chat_actors.chat.store import Store
from chat_actors.kernel import ActorType, AnyRef, Context, Timer
from chat_actors.protocol import ExtensionMessage, Refusal, bot_id, checked_content
from chat_actors.storage import Accounts

Action = Callable[[], Awaitable[None] | None]


class RunInRoom(msgspec.Struct, frozen=True):
    """A room's message to itself: a kind's timer, or its slow work that has come back."""

    handle: RoomHandle
    action: Action


class RoomHandle:
    """One kind's view of one room, for one life of it."""

    def __init__(
        self,
        context: Context,
        fan_out: FanOut,
        *,
        creator: str,
        store: Store,
        services: Mapping[type[Any], ActorType[Any]],
        subscribers: dict[AnyRef, Outbox],
        remove_connection: Callable[[AnyRef], None],
        now: Callable[[], datetime],
        accounts: Accounts,
    ) -> None:
        """`remove_connection` removes a connection that cannot be told to go."""
        self._context = context
        self._fan_out = fan_out
        self._services = services
        self._subscribers = subscribers
        self._remove_connection = remove_connection
        self._accounts = accounts
        self.now = now
        """The wall clock: aware, in UTC. (For spans of time: `anyio.current_time()`.)"""
        self.creator = creator
        """Who chose this kind for the room, with `create_room`; empty if its name did."""
        self.store = store
        """What the kind keeps for this room."""

    @property
    def room_id(self) -> str:
        return self._fan_out.room_id

    @property
    def users(self) -> Sequence[str]:
        """Who is here, each once, in the order in which they came."""
        return self._fan_out.members.users

    async def user_exists(self, user_id: str) -> bool:
        """Whether somebody has registered under this id. Raises `StorageError`."""
        return await self._accounts.key_of(user_id) is not None

    # -- what is heard -------------------------------------------------------------------------------------------------

    def say(self, content: str, *, name: str) -> bool:
        """Have the bot of this name say something here: a message like any other, after what is being handled now.

        Nobody of that name is in the room. The other kinds of the room are asked about it, not this one. False: the
        room is full of what others say. Raises `ValueError` for what is no name, or nothing to say.
        """
        return self._context.self_ref.tell(PostAs(bot_id(name), checked_content(content), self))

    def tell_all(self, message: ExtensionMessage) -> None:
        """To every connection in the room, in its place among the chat messages; never stored.

        Clients that know nothing of the extension get it too. Where that matters, tell `subscribers`.
        """
        self._fan_out.add(message)

    def tell(self, user_id: str, message: ExtensionMessage) -> None:
        """To every connection of one user in the room."""
        self._fan_out.flush()  # what was before it comes before it
        block = Block.of(message)
        for member in self._fan_out.members:
            if member.user_id == user_id:
                member.outbox.offer(block)

    def subscribe(self, caller: Caller) -> None:
        """From now on this connection hears `tell_subscribers`, until it leaves the room. Outlives a crash."""
        if caller.session in self._fan_out.members:
            self._subscribers[caller.session] = caller.outbox

    def tell_subscribers(self, message: ExtensionMessage, *, but: str = "") -> None:
        """To the connections that have subscribed, in its place among the chat messages; not to this user."""
        self._fan_out.flush()
        block = Block.of(message)
        for session, outbox in self._subscribers.items():
            member = self._fan_out.members.get(session)
            if member is not None and member.user_id != but:
                outbox.offer(block)

    def remove(self, user_id: str, code: str, text: str) -> None:
        """Put a user out, all connections, after what they have said already; they get an error of this code."""
        for member in [member for member in self._fan_out.members if member.user_id == user_id]:
            # Its session leaves by itself, after what it has said; if it cannot even be told, it is put out at once.
            if not member.session.tell(RemovedFromRoom(self._context.self_ref, Refusal(code, text))):
                self._remove_connection(member.session)

    # -- time, slow work, and others -----------------------------------------------------------------------------------

    def after(self, seconds: float, action: Action) -> Timer:
        """Call `action` in so many seconds, in a turn of the room's own. A crash, or the room's end, cancels it."""
        return self._context.after(seconds, RunInRoom(self, action))

    def pipe(
        self,
        work: Callable[[], Awaitable[Any]],
        *,
        into: Callable[[Any], Awaitable[None] | None],
        failed: Callable[[Exception], Awaitable[None] | None],
    ) -> None:
        """Do slow work outside of the room; then `into(result)` or `failed(error)` is called, in a turn of the room's.

        A crash forgets it, the room's end cancels it.
        """

        def come_back(action: Callable[[Any], Awaitable[None] | None]) -> Callable[[Any], RunInRoom]:
            return lambda result: RunInRoom(self, lambda: action(result))

        self._context.pipe(work, into=come_back(into), failed=come_back(failed))

    def service(self, service: type[Any], key: str = "") -> AnyRef:
        """The actor of one of this extension's services: to `tell` it something, or `ask` it."""
        return self._context.get_or_spawn(self._services[service], key)

    def publish(self, event: msgspec.Struct) -> None:
        """Say on the event bus what has happened."""
        self._context.events.publish(event)
