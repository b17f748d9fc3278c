"""Direct messages between two users, online or offline.

Each user has one actor, which stores `keep` messages that the user has sent and received, under its own numbers. If it
is full, the oldest message of the longest conversation is removed. A recipient stores at most `unread_per_sender`
messages of one sender that it has not received yet; further ones are refused.

The recipient's actor stores a message first; then the sender's actor stores its copy and answers `direct_sent`. If the
server is killed in between, only the recipient has the message.

A client subscribes with `direct_open`. It then reads `direct_history` from its last number up to `last`; later messages
arrive through the subscription.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from chat_actors import (
    Caller,
    Extension,
    OwedAnswer,
    Rate,
    Refused,
    RemovedUser,
    Request,
    Scope,
    Service,
    command,
    handles,
)
from chat_actors.extensions.direct_box import Box
from chat_actors.extensions.direct_messages import (
    Blocked,
    BlockUser,
    DirectHistory,
    DirectMessage,
    DirectOpened,
    DirectSent,
    DirectSettings,
    OpenDirect,
    ReadDirect,
    SendDirect,
    UnblockUser,
)

MAX_BLOCKED = 1000
"""Users that a user may block."""

MAX_IN_FLIGHT = 16
"""Undelivered messages that one user may have at a time."""

PAGE_MESSAGES = 100
"""The most messages in one answer."""

LOADED_AT_ONCE = 500
"""Messages that an actor reads at a time when it starts."""

PAGE_CHARS = 20_000
"""The most characters in one answer, so that it cannot overflow the client's backlog. One message may be longer."""

PROBLEMS = {
    "no_such_user": "There is no user {to}.",
    "blocked": "{to} has blocked you.",
    "quota_full": "{to} has not read your last messages yet. Wait until then.",
    "internal_failure": "The message could not be stored. Send it again later.",
}
"""Error code → text."""


class StoredDirectMessage(msgspec.Struct, frozen=True):
    """A message as stored."""

    sender: str
    to: str
    content: str
    at: datetime


class Addresses(msgspec.Struct, frozen=True):
    """The part of a stored message that the order depends on."""

    sender: str
    to: str


class Deliver(Request[str], msgspec.Struct, frozen=True):
    """Request of the sender's actor to the recipient's. The answer is an error code, or "" once stored."""

    message: StoredDirectMessage


class DeliveryResult(msgspec.Struct, frozen=True):
    """The outcome of a delivery. `problem` is a key of `PROBLEMS`, or ""."""

    caller: Caller
    request_id: str | None
    message: StoredDirectMessage
    answer: OwedAnswer[Any]
    problem: str


class Direct(Service):
    """The direct messages of one user."""

    scope = Scope.USER

    async def on_start(self) -> None:
        last: int = await self.store.get("last", int, 0)
        self._box = Box(self.key, self.settings.keep, last, await self.store.get("seen", int, last))
        self._blocked = await self.store.get("blocked", list[str], [])
        after = ""
        while found := await self.store.page(Addresses, prefix="m/", after=after, limit=LOADED_AT_ONCE):
            for key, message in found:
                await self._remove(self._box.add(int(key[2:]), message.sender, message.to))
            after = found[-1][0]

    async def _remove(self, seqs: Sequence[int]) -> None:
        if seqs:  # the setting `keep` is lower than before
            await self.store.put_all(dict.fromkeys(map(_key, seqs)))

    # -- sending -------------------------------------------------------------------------------------------------------

    @command(rate=Rate(per_second=5, burst=20))
    def send_direct(self, caller: Caller, send: SendDirect) -> DirectSent | None:
        if len(send.content) > self.settings.chars:
            raise Refused("content_too_long", f"content must be at most {self.settings.chars} characters")
        if self.context.pipes_under_way >= MAX_IN_FLIGHT:
            raise Refused("busy", f"{MAX_IN_FLIGHT} of your messages are being delivered. Wait for an answer.")
        message = StoredDirectMessage(caller.user_id, send.to, send.content, self.now())
        # In a pipe: two actors that deliver to each other at the same time would deadlock. The session waits for the
        # answer, so the messages of one connection keep their order.
        result = partial(DeliveryResult, caller, send.request_id, message, self.context.answer_later())
        self.context.pipe(lambda: self._send(message), into=result, failed=lambda _: result("internal_failure"))
        return None  # `on_delivery_result` answers

    async def _send(self, message: StoredDirectMessage) -> str:
        if not await self.user_exists(message.to):
            return "no_such_user"
        if message.to == message.sender:
            return ""
        problem: str = await self.ask_service(Direct, message.to, Deliver(message))
        return problem

    @handles
    async def on_delivery_result(self, result: DeliveryResult) -> None:
        message = result.message
        if result.problem:
            result.caller.refuse(result.problem, PROBLEMS[result.problem].format(to=message.to), result.request_id)
            result.answer.resolve(None)
            return
        seq = await self._store(message)
        result.answer.resolve(DirectSent(message.to, seq, message.at, request_id=result.request_id))
        self.tell_subscribers(_message_of(seq, message), but=result.caller)

    # -- receiving -----------------------------------------------------------------------------------------------------

    @handles
    async def deliver(self, request: Deliver) -> str:
        sender = request.message.sender
        if sender in self._blocked:
            return "blocked"
        if self._box.unread_of(sender) >= self.settings.unread_per_sender:
            return "quota_full"
        seq = await self._store(request.message)
        self.tell_subscribers(_message_of(seq, request.message))
        return ""

    async def _store(self, message: StoredDirectMessage) -> int:
        seq, box = self._box.last + 1, self._box
        removed = box.add(seq, message.sender, message.to)
        seen = seq if self.has_subscribers else box.seen
        values = {_key(seq): message, "last": seq, "seen": seen}
        await self.store.put_all({**values, **dict.fromkeys(map(_key, removed))})
        box.seen = seen
        return seq

    @command(rate=Rate(per_second=1, burst=10))
    def open_direct(self, caller: Caller, request: OpenDirect) -> DirectOpened:
        self.subscribe(caller)
        return DirectOpened(self._box.last)

    @command(rate=Rate(per_second=5, burst=20))
    async def read_direct(self, caller: Caller, request: ReadDirect) -> DirectHistory:
        box = self._box
        if request.after is not None:
            found = await self.store.page(
                StoredDirectMessage, prefix="m/", after=_key(request.after), limit=PAGE_MESSAGES + 1
            )
            fitting = _fitting_prefix(found[:PAGE_MESSAGES])
            first, last = request.after + 1, _seq_of(fitting[-1]) if len(fitting) < len(found) else box.last
        else:
            last = box.last if request.before is None else min(request.before - 1, box.last)
            seqs = box.newest(PAGE_MESSAGES + 1, last + 1)  # one more than a page, to set `more`
            found = await self.store.page(
                StoredDirectMessage, prefix="m/", after=_key(seqs[0] - 1 if seqs else last), limit=len(seqs)
            )
            fitting = _fitting_prefix(found[::-1][:PAGE_MESSAGES])[::-1]
            first = _seq_of(fitting[0]) if len(fitting) < len(found) else 1
        messages = [_message_of(_seq_of(item), item[1]) for item in fitting]
        if messages and messages[-1].seq > box.seen:
            box.seen = messages[-1].seq
            await self.store.put("seen", box.seen)
        return DirectHistory(messages, len(fitting) < len(found), max(0, last - first + 1 - len(fitting)))

    # -- blocking ------------------------------------------------------------------------------------------------------

    @command(rate=Rate(per_second=1, burst=10))
    async def block(self, caller: Caller, block: BlockUser) -> Blocked:
        if block.user_id not in self._blocked:
            if len(self._blocked) >= MAX_BLOCKED:
                raise Refused("too_many", f"At most {MAX_BLOCKED} users can be blocked.")
            self._blocked.append(block.user_id)
            await self.store.put("blocked", self._blocked)
        return Blocked(self._blocked)

    @command(rate=Rate(per_second=1, burst=10))
    async def unblock(self, caller: Caller, unblock: UnblockUser) -> Blocked:
        if unblock.user_id in self._blocked:
            self._blocked.remove(unblock.user_id)
            await self.store.put("blocked", self._blocked)
        return Blocked(self._blocked)

    @classmethod
    async def on_user_removed(cls, removed: RemovedUser) -> None:
        """Erase the user's own messages and blocks. The messages that others have from the user stay theirs."""
        await super().on_user_removed(removed)
        blocked = await removed.store.get("blocked", list[str], [])
        if removed.user_id in blocked:
            await removed.store.put("blocked", [user_id for user_id in blocked if user_id != removed.user_id])


def _fitting_prefix(messages: Sequence[tuple[str, StoredDirectMessage]]) -> Sequence[tuple[str, StoredDirectMessage]]:
    """Return the first messages, as many as `PAGE_CHARS` allows but at least one."""
    chars = 0
    for n, (_, message) in enumerate(messages):
        chars += len(message.content)
        if n and chars > PAGE_CHARS:
            return messages[:n]
    return messages


def _seq_of(item: tuple[str, Any]) -> int:
    return int(item[0][2:])


def _message_of(seq: int, message: StoredDirectMessage) -> DirectMessage:
    return DirectMessage(seq, message.sender, message.to, message.content, message.at)


def _key(seq: int) -> str:
    return f"m/{max(seq, 0):016d}"


extension = Extension(name="direct", services=[Direct], messages=[DirectMessage], settings=DirectSettings)
