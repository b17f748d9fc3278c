"""A bounded mailbox on one anyio memory object stream, with a system lane that never overflows."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import anyio

from chat_actors.kernel.errors import ActorStopped, MailboxFull
from chat_actors.kernel.messages import SystemMessage


class _Waiter:
    """A sender that waits for room: its message moves in as soon as a place is free, first come first served."""

    __slots__ = ("item", "taken", "woken")

    def __init__(self, item: Any) -> None:
        self.item = item
        self.taken = False
        self.woken = anyio.Event()


class Mailbox:
    """Messages that wait for one actor, in the order in which they came.

    Two lanes share one queue, so that order holds across them:

    * the **user lane** holds at most `capacity` messages (a count, not bytes). Beyond that `put_nowait` raises
      `MailboxFull` and `put` waits. A place is free again when the actor takes the message out, so besides the waiting
      `capacity` there is the one message that the actor has in hand.
    * the **system lane** is never refused. What bounds it is who may use it: the kernel, for one stop order, and one
      message for each watched actor's end, each timer, each piped result and each child that escalates.

    A sender that waits in `put` holds one message outside that bound; the number of tasks that send bounds those.

    An actor that has taken messages out and is not done with them may `reserve` their places, so that what it has piled
    up and what still waits are bounded together (again with the one in hand on top), and senders wait for both.

    The bound is kept here and not by the stream (which has none), since an anyio stream cannot let one kind of item
    past its bound.
    """

    __slots__ = (
        "_arrival",
        "_capacity",
        "_closed",
        "_limit",
        "_path",
        "_receive",
        "_send",
        "_system",
        "_used",
        "_waiters",
    )

    def __init__(self, path: str, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"a mailbox needs room for at least 1 message, not {capacity}")
        self._path = path
        self._capacity = capacity
        self._limit = capacity  # less the places that are held
        self._used = 0
        self._system = 0
        self._closed = False
        self._arrival: anyio.Event | None = None
        self._waiters: deque[_Waiter] | None = None  # made when a sender first has to wait: it weighs 700 bytes
        self._send, self._receive = anyio.create_memory_object_stream[Any](math.inf)

    @property
    def capacity(self) -> int:
        """How many messages of the user lane may wait."""
        return self._capacity

    @property
    def has_room(self) -> bool:
        """Whether `put_nowait` would take a user's message, as far as room goes."""
        return self._used < self._limit

    @property
    def is_closed(self) -> bool:
        return self._closed

    @property
    def has_message(self) -> bool:
        """Whether there is something to take out. Not so if all that waits are senders, for places that are held."""
        return bool(self._used or self._system)

    def __len__(self) -> int:
        """How many messages wait, both lanes and waiting senders together."""
        return self._used + self._system + (len(self._waiters) if self._waiters else 0)

    def put_nowait(self, item: Any) -> None:
        """Queue a user's message. Raises `MailboxFull` or `ActorStopped`; then nothing is queued."""
        if self._closed:
            raise ActorStopped(self._path)
        if self._used >= self._limit:
            raise MailboxFull(self._path, self._capacity)
        self._used += 1
        self._send.send_nowait(item)
        self._announce()

    async def put(self, item: Any) -> None:
        """Queue a user's message, waiting for room if there is none.

        No checkpoint when there is room: a sender's hot path costs no turn of the event loop. Raises `ActorStopped`,
        also when the actor ends while the sender waits. If the wait is cancelled, the message is either queued or not;
        the canceller cannot tell.
        """
        if self._closed or self._used < self._limit:
            self.put_nowait(item)
            return
        if self._waiters is None:
            self._waiters = deque()
        waiter = _Waiter(item)
        self._waiters.append(waiter)
        try:
            await waiter.woken.wait()
        except BaseException:
            if not waiter.woken.is_set():
                self._waiters.remove(waiter)
            raise
        if not waiter.taken:
            raise ActorStopped(self._path)

    def put_system(self, item: SystemMessage) -> bool:
        """Queue a message of the system lane. False if the mailbox is closed; it is never full."""
        if self._closed:
            return False
        self._system += 1
        self._send.send_nowait(item)
        self._announce()
        return True

    def _announce(self) -> None:
        if self._arrival is not None:
            self._arrival.set()
            self._arrival = None

    def take_nowait(self) -> Any:
        """The next message. Raises `anyio.WouldBlock` if none waits."""
        return self._taken(self._receive.receive_nowait())

    async def wait(self) -> bool:
        """Wait until a message is there to be taken, or the mailbox is closed. For the one actor whose it is.

        False if there was no need to wait, and nobody else got a turn.

        Not by the stream's `receive()`: that gives way to the others once more before it waits, which costs 8 µs, and
        a message handed to a waiting receiver is lost if the receiver is cancelled in the same turn.
        """
        if self._closed or self.has_message:
            return False
        self._arrival = anyio.Event()
        await self._arrival.wait()
        return True

    def _taken(self, item: Any) -> Any:
        if isinstance(item, SystemMessage):
            self._system -= 1
            return item
        self._used -= 1
        if self._waiters:
            self._let_waiters_in()
        return item

    def _let_waiters_in(self) -> None:
        while self._waiters and self._used < self._limit:
            waiter = self._waiters.popleft()
            waiter.taken = True
            self.put_nowait(waiter.item)
            waiter.woken.set()

    def reserve(self, slots: int) -> None:
        """Count so many places of the user lane as taken; more than there are is fine. To be freed by `release`."""
        self._limit -= slots

    def release(self, slots: int) -> None:
        """Give so many held places back; senders that wait move in."""
        self._limit += slots
        if not self._closed:
            self._let_waiters_in()

    def close(self) -> list[Any]:
        """Refuse everything from now on; the messages that still waited are returned, oldest first."""
        if self._closed:
            return []
        self._closed = True
        self._used = self._system = 0
        self._announce()
        left: list[Any] = []
        while True:
            try:
                left.append(self._receive.receive_nowait())
            except anyio.WouldBlock:
                break
        self._send.close()
        self._receive.close()
        while self._waiters:
            self._waiters.popleft().woken.set()
        return left
