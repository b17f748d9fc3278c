"""The addresses of actors: a ref, or an actor type and a key."""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar

import anyio
import msgspec

from chat_actors.kernel.errors import ActorStopped, AskTimeout, MailboxFull
from chat_actors.kernel.events import Undelivered
from chat_actors.kernel.mailbox import Mailbox
from chat_actors.kernel.messages import Asked, Reply, Request, StopReason

Message = TypeVar("Message", contravariant=True)
Answer = TypeVar("Answer")


class RefTarget(Protocol):
    """The part of a cell that refs use."""

    @property
    def mailbox(self) -> Mailbox: ...
    def deliver_nowait(self, message: Any) -> bool: ...
    def dead_letter(self, message: Any, why: Undelivered) -> None: ...
    def stop(self, reason: StopReason | None = None) -> None: ...
    async def wait_ended(self) -> None: ...
    def add_watcher(self, watcher: RefTarget) -> None: ...
    def remove_watcher(self, watcher: RefTarget) -> None: ...


class Ref(Generic[Message]):
    """The typed address of an actor, with which other actors and tasks send it messages.

    `Message` is the union of the message types that the actor accepts. A ref stays valid over restarts of the actor,
    and never becomes valid again once the actor has ended. Messages from one sender arrive in the order in which they
    were sent, whichever of the methods sent them.

    Attributes:
        path: The names of the actor and its ancestors, such as `/rooms/room:lobby`.
    """

    __slots__ = ("_cell", "_mailbox", "path")

    def __init__(self, path: str, cell: RefTarget) -> None:
        self.path = path
        self._cell = cell
        self._mailbox = cell.mailbox

    def __repr__(self) -> str:
        return f"<Ref {self.path}>"

    @property
    def is_stopped(self) -> bool:
        """Whether the actor accepts no more messages. Once True, always True."""
        return self._mailbox.is_closed

    @property
    def waiting(self) -> int:
        """Number of messages that wait for the actor, senders that wait for a slot included."""
        return len(self._mailbox)

    def tell(self, message: Message) -> bool:
        """Queue a message and do not wait: fire and forget. Never raises.

        Args:
            message: The message. If it is not queued, it becomes a dead letter, which is counted and published.

        Returns:
            Whether it was queued. False if the mailbox is full or the actor has stopped.
        """
        try:
            self._mailbox.put_nowait(message)
        except MailboxFull:
            self._cell.dead_letter(message, Undelivered.FULL)
            return False
        except ActorStopped:
            self._cell.dead_letter(message, Undelivered.STOPPED)
            return False
        return True

    def send_nowait(self, message: Message) -> None:
        """Queue a message, or raise at once. A message that is not queued becomes no dead letter.

        Args:
            message: The message.

        Raises:
            MailboxFull: The mailbox has no free slot.
            ActorStopped: The actor has ended.
        """
        self._mailbox.put_nowait(message)

    def deliver_nowait(self, message: Message) -> bool:
        """Call the actor's `on_delivery` with the message in the caller's own task, if the actor is idle.

        This saves the mailbox and a task switch, which counts for senders with a message every few microseconds.
        Messages stay in order, since the actor is idle and its mailbox is empty.

        Args:
            message: The message.

        Returns:
            Whether it was delivered. False, without any effect, if the actor is busy, messages wait, no slot is free,
            or the actor has stopped. The caller may then send the message by the mailbox.
        """
        return self._cell.deliver_nowait(message)

    async def send(self, message: Message) -> None:
        """Queue a message, and wait for a free slot if the mailbox is full (no checkpoint if it is not).

        Args:
            message: The message. It is queued, not necessarily handled, when this returns.

        Raises:
            ActorStopped: The actor has ended, or it ended while the caller waited.
        """
        await self._mailbox.put(message)

    async def ask(self, request: Request[Answer], *, timeout: float) -> Answer:
        """Send a request and wait for its answer. Always returns or raises within the timeout.

        Args:
            request: The request.
            timeout: Maximum seconds for the free slot in the mailbox and the answer together.

        Returns:
            The return value of the actor's handler.

        Raises:
            ActorStopped: The actor ended before it handled the request.
            AskFailed: The actor raised an exception while handling the request, or has no handler for it.
            AskTimeout: The timeout expired. The actor may still handle the request.
        """
        reply: Reply[Answer] = Reply()
        with anyio.move_on_after(timeout):
            await self._mailbox.put(Asked(request, reply))
            return await reply.wait()
        raise AskTimeout(self.path, request, timeout)

    def stop(self) -> None:
        """End the actor once it has handled the messages queued now. Neither blocks nor raises.

        If it crashes before that, `Restart` does not apply: the actor ends, and the messages still queued become dead
        letters. With `Resume`, the actor handles them.
        """
        self._cell.stop()

    async def wait_stopped(self) -> None:
        """Wait until the actor has ended and its cleanup is done."""
        await self._cell.wait_ended()

    def add_watcher(self, watcher: RefTarget) -> None:
        """Internal; actors call `Context.watch`."""
        self._cell.add_watcher(watcher)

    def remove_watcher(self, watcher: RefTarget) -> None:
        """Internal; actors call `Context.unwatch`."""
        self._cell.remove_watcher(watcher)


AnyRef = Ref[Any]


class Terminated(msgspec.Struct, frozen=True):
    """Notifies an actor, once, that an actor it watches has ended. Sent by the system lane, so never refused.

    Attributes:
        ref: The actor that has ended.
        reason: Why it ended.
    """

    ref: AnyRef
    reason: StopReason


class ActorType(Generic[Message]):
    """The name of actors that one parent starts, one for each key. Types with equal names are the same type.

    `Message` is the union of the message types that these actors accept. See `Context.declare`.

    Args:
        name: The name. An actor's own name is the type's name, a colon and the key: `room:lobby`.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"ActorType({self.name!r})"
