"""The typed address of an actor: all that others hold of it."""

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
    """Where to send messages for one actor. Stays valid over restarts; never comes back to life after the actor ended.

    Messages from one sender arrive in the order sent, by whichever of the ways below.
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
        """Whether the actor takes no more messages. Once True, always True."""
        return self._mailbox.is_closed

    @property
    def waiting(self) -> int:
        """How many messages wait for the actor now."""
        return len(self._mailbox)

    def tell(self, message: Message) -> bool:
        """Fire and forget: never blocks, says whether the message was taken.

        False if the mailbox is full or the actor has stopped; the message is then a dead letter, counted and published.
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
        """Queue the message at once, or raise `MailboxFull` or `ActorStopped`. The message stays the caller's then."""
        self._mailbox.put_nowait(message)

    def deliver_nowait(self, message: Message) -> bool:
        """Have the actor's `on_delivery` take the message now, in the caller's own turn of the event loop.

        False, and nothing has happened, unless the actor waits with an empty mailbox: so order holds, and nothing
        interleaves. For who has a message for an actor every few microseconds; it saves the mailbox and a task switch.
        """
        return self._cell.deliver_nowait(message)

    async def send(self, message: Message) -> None:
        """Queue the message, waiting for room if the mailbox is full (no checkpoint if it is not).

        Raises `ActorStopped`. Returning means queued, not handled.
        """
        await self._mailbox.put(message)

    async def ask(self, request: Request[Answer], *, timeout: float) -> Answer:
        """Send the request and wait for its answer, at most `timeout` seconds for both.

        Raises `ActorStopped` (ended before it handled the request), `AskFailed` (raised while handling it) or
        `AskTimeout`. Never silence.
        """
        reply: Reply[Answer] = Reply()
        with anyio.move_on_after(timeout):
            await self._mailbox.put(Asked(request, reply))
            return await reply.wait()
        raise AskTimeout(self.path, request, timeout)

    def stop(self) -> None:
        """Ask the actor to end once it has handled what is queued now. Never blocks, never fails.

        If it crashes before that it does not restart any more, and what is queued becomes dead letters.
        """
        self._cell.stop()

    async def wait_stopped(self) -> None:
        """Wait until the actor has ended and its clean-up is done."""
        await self._cell.wait_ended()

    def add_watcher(self, watcher: RefTarget) -> None:
        """For the kernel: `Context.watch` is the way in."""
        self._cell.add_watcher(watcher)

    def remove_watcher(self, watcher: RefTarget) -> None:
        """For the kernel: `Context.unwatch` is the way in."""
        self._cell.remove_watcher(watcher)


AnyRef = Ref[Any]


class Terminated(msgspec.Struct, frozen=True):
    """Told once to whoever watches `ref` when that actor has ended. Comes by the system lane: never refused."""

    ref: AnyRef
    reason: StopReason


class ActorType(Generic[Message]):
    """Names actors that one parent starts, one for each key. Types with equal names are the same type."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"ActorType({self.name!r})"
