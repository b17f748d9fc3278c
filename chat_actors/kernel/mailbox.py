"""A bounded mailbox on one anyio memory object stream, with a system lane that is never full.

Theory of operation. Two lanes share one queue, so messages stay in order across them:

* The user lane holds at most `capacity` messages (a count, not bytes). A slot is free again once the actor takes the
  message out, so one message being handled comes on top. If no slot is free, `put_nowait` raises and `put` waits; each
  waiting sender holds one message outside the bound, and senders get free slots in the order of their calls.
* The system lane has no bound of its own. Only the kernel puts messages there: one stop order, and one message for each
  watched actor, timer, piped result, answer to `ask_into` and escalating child.

An actor may reserve slots for messages that it took out and has not finished; they then count towards `capacity`.
The mailbox outlives a crash with all messages in it. Once closed, it stays closed.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import anyio

from chat_actors.kernel.errors import ActorStopped, MailboxFull
from chat_actors.kernel.messages import SystemMessage


class _Waiter:
    """A sender that waits for a free slot, and its message."""

    __slots__ = ("is_queued", "item", "woken")

    def __init__(self, item: Any) -> None:
        self.item = item
        self.is_queued = False
        self.woken = anyio.Event()


class Mailbox:
    """The messages that wait for one actor, in order.

    The bound is kept here, since an anyio stream cannot exempt some messages from its own.
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
            raise ValueError(f"the capacity of a mailbox must be at least 1, not {capacity}")
        self._path = path
        self._capacity = capacity
        self._limit = capacity  # minus the reserved slots
        self._used = 0
        self._system = 0
        self._closed = False
        self._arrival: anyio.Event | None = None
        self._waiters: deque[_Waiter] | None = None  # made for the first sender that waits, since it takes 700 bytes
        self._send, self._receive = anyio.create_memory_object_stream[Any](math.inf)

    @property
    def capacity(self) -> int:
        """Maximum number of waiting messages of the user lane."""
        return self._capacity

    @property
    def has_free_slot(self) -> bool:
        """Whether the user lane has a free slot."""
        return self._used < self._limit

    @property
    def is_closed(self) -> bool:
        return self._closed

    @property
    def has_message(self) -> bool:
        """Whether a message can be taken out. False if only senders wait, as when all slots are reserved."""
        return bool(self._used or self._system)

    def __len__(self) -> int:
        """Number of waiting messages, of both lanes and of waiting senders."""
        return self._used + self._system + (len(self._waiters) if self._waiters else 0)

    def put_nowait(self, item: Any) -> None:
        """Queue a message in the user lane. Raises `MailboxFull` or `ActorStopped`; nothing is queued then."""
        if self._closed:
            raise ActorStopped(self._path)
        if self._used >= self._limit:
            raise MailboxFull(self._path, self._capacity)
        self._used += 1
        self._send.send_nowait(item)
        self._announce()

    async def put(self, item: Any) -> None:
        """Queue a message in the user lane, and wait for a free slot if necessary.

        Does not yield to the event loop if a slot is free, since this is a hot path. Raises `ActorStopped`, also if the
        actor ends while the sender waits. If the wait is cancelled, the message may or may not have been queued.
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
        if not waiter.is_queued:
            raise ActorStopped(self._path)

    def put_system(self, item: SystemMessage) -> bool:
        """Queue a message in the system lane. Returns False if the mailbox is closed."""
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
        """Return the next message. Raises `anyio.WouldBlock` if none waits."""
        return self._count_taken(self._receive.receive_nowait())

    async def wait(self) -> bool:
        """Wait until a message can be taken out, or the mailbox is closed. Only its actor may call this.

        Returns whether it waited, and other tasks could run. It does not use the stream's `receive()`: that yields once
        more before it waits, which costs 8 µs, and it loses the message if the receiver is cancelled in the same turn.
        """
        if self._closed or self.has_message:
            return False
        self._arrival = anyio.Event()
        await self._arrival.wait()
        return True

    def _count_taken(self, item: Any) -> Any:
        if isinstance(item, SystemMessage):
            self._system -= 1
            return item
        self._used -= 1
        if self._waiters:
            self._queue_waiting()
        return item

    def _queue_waiting(self) -> None:
        while self._waiters and self._used < self._limit:
            waiter = self._waiters.popleft()
            waiter.is_queued = True
            self.put_nowait(waiter.item)
            waiter.woken.set()

    def reserve(self, slots: int) -> None:
        """Count slots of the user lane as occupied until `release`. May exceed the capacity."""
        self._limit -= slots

    def release(self, slots: int) -> None:
        """Release reserved slots; waiting senders use them."""
        self._limit += slots
        if not self._closed:
            self._queue_waiting()

    def close(self) -> list[Any]:
        """Refuse all messages from now on. Returns those that were waiting, oldest first; waiting senders fail."""
        if self._closed:
            return []
        self._closed = True
        self._used = self._system = 0
        self._announce()
        remaining: list[Any] = []
        while True:
            try:
                remaining.append(self._receive.receive_nowait())
            except anyio.WouldBlock:
                break
        self._send.close()
        self._receive.close()
        while self._waiters:
            self._waiters.popleft().woken.set()
        return remaining
