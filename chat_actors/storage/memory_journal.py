"""A journal in memory: for tests, and for servers that may lose their messages when they stop."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from datetime import datetime, timedelta

from chat_actors.storage.errors import StorageError
from chat_actors.storage.journal import (
    DEDUPE_SECONDS,
    PAGE_BYTES,
    PRUNE_STEP,
    Append,
    Appended,
    Draft,
    Extent,
    Missed,
    Page,
    Receipt,
    Retention,
    StoredMessage,
)


class _Room:
    """One room's messages. Their numbers go up by one."""

    __slots__ = ("base", "last", "messages", "receipts")

    def __init__(self, base: int) -> None:
        self.base = self.last = base
        self.messages: deque[StoredMessage] = deque()
        self.receipts: dict[tuple[str, str], Receipt] = {}  # by user and client_msg_id, oldest first

    @property
    def extent(self) -> Extent:
        return Extent(self.last - len(self.messages) + 1, self.last, self.base)

    def append(self, draft: Draft, at: datetime) -> Receipt:
        key = None if draft.client_msg_id is None else (draft.user_id, draft.client_msg_id)
        if key is not None and (repeated := self.repeated(*key)) is not None:
            return repeated
        self.last += 1
        self.messages.append(StoredMessage(self.last, draft.user_id, draft.content, at))
        receipt = Receipt(self.last, at, is_new=True)
        if key is not None:
            self.receipts[key] = receipt
        return receipt

    def repeated(self, user_id: str, client_msg_id: str) -> Receipt | None:
        """The receipt for a repetition of this id; None if the id is new."""
        first = self.receipts.get((user_id, client_msg_id))
        return None if first is None else Receipt(first.seq, first.at, is_new=False)

    def between(self, first: int, last: int) -> range:
        """The numbers of the stored messages from `first` to `last`."""
        return range(max(first, self.extent.first), min(last, self.last) + 1)

    def __getitem__(self, seq: int) -> StoredMessage:
        return self.messages[seq - self.extent.first]


class MemoryJournal:
    """Stores nothing on disk: messages last at most as long as the process.

    Bounded to the newest `room_messages` of a room and as many of its receipts, and to the `rooms` written to last. A
    room that was evicted and is written to again continues above all numbers that it ever had.
    """

    def __init__(self, *, room_messages: int = 1000, rooms: int = 10_000, above: int = 0) -> None:
        """Numbers start above `above`. A server passes the highest number that an earlier run can have given."""
        self._room_messages = room_messages
        self._most_rooms = rooms
        self._rooms: OrderedDict[str, _Room] = OrderedDict()  # in the order of the last write, newest last
        self._floor = above  # at least the highest number of any evicted room
        self._closed = False

    async def commit(self, batch: Sequence[Append], at: datetime) -> Sequence[Appended]:
        self._check_open("store messages")
        at = at.replace(microsecond=at.microsecond // 1000 * 1000)
        answers = []
        for append in batch:
            room = self._rooms.setdefault(append.room_id, _Room(self._floor))
            self._rooms.move_to_end(append.room_id)
            receipts = [room.append(draft, at) for draft in append.drafts]
            answers.append(Appended([room[receipt.seq] for receipt in receipts if receipt.is_new], receipts))
            self._shrink(room)
        while len(self._rooms) > self._most_rooms:
            _, evicted = self._rooms.popitem(last=False)
            self._floor = max(self._floor, evicted.last)
        return answers

    def _shrink(self, room: _Room) -> None:
        while len(room.messages) > self._room_messages:
            room.messages.popleft()
        while len(room.receipts) > self._room_messages:
            del room.receipts[next(iter(room.receipts))]

    async def extent(self, room_id: str) -> Extent:
        self._check_open("read messages")
        return self._room(room_id).extent

    def _room(self, room_id: str) -> _Room:
        return self._rooms.get(room_id) or _Room(self._floor)

    async def page(self, room_id: str, *, after: int | None = None, before: int | None = None, limit: int) -> Page:
        self._check_open("read messages")
        room = self._room(room_id)
        seqs = room.between(0 if after is None else after + 1, room.last if before is None else before - 1)
        direction = iter(seqs) if after is not None else reversed(seqs)
        found: list[StoredMessage] = []
        size = 0
        for seq in direction:
            size += len(room[seq].content.encode())
            if len(found) == limit or (found and size > PAGE_BYTES):
                break
            found.append(room[seq])
        if after is None:
            found.reverse()
        return Page(found, more=len(found) < len(seqs))

    async def missed(self, room_id: str, *, after: int, up_to: int) -> Missed:
        self._check_open("read messages")
        room = self._room(room_id)
        if 0 < after < room.base:
            return Missed(0, 0, is_known=False)
        ever = max(0, min(up_to, room.last) - max(after, room.base))
        kept = len(room.between(after + 1, up_to))
        return Missed(kept, ever - kept)

    async def receipt(self, room_id: str, user_id: str, client_msg_id: str) -> Receipt | None:
        self._check_open("read messages")
        return self._room(room_id).repeated(user_id, client_msg_id)

    async def prune(self, retention: Retention, now: datetime) -> bool:
        self._check_open("remove messages")
        removed = 0
        oldest = now - timedelta(days=retention.keep_days)
        oldest_receipt = now - timedelta(seconds=DEDUPE_SECONDS)
        for room in self._rooms.values():
            while room.messages and (
                (retention.keep_messages and len(room.messages) > retention.keep_messages)
                or (retention.keep_days and room.messages[0].at < oldest)
            ):
                if removed == PRUNE_STEP:
                    return True
                room.messages.popleft()
                removed += 1
            while room.receipts and room.receipts[key := next(iter(room.receipts))].at < oldest_receipt:
                del room.receipts[key]
        return False

    async def aclose(self) -> None:
        self._closed = True

    def _check_open(self, action: str) -> None:
        if self._closed:
            raise StorageError(action, "memory", "it is closed", "the server is stopping")
