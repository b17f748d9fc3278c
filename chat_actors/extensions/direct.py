"""Direct messages between two users, online or offline.

Each user has one actor, which stores the newest `keep` messages that the user has sent and received, under its own
numbers. The recipient's actor stores a message first; then the sender's actor stores its copy and answers
`direct_sent`. If the server is killed in between, only the recipient has the message.

A client subscribes with `direct_open`. It then reads `direct_history` from its last number up to `last`; later messages
arrive through the subscription.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any

import msgspec

from chat_actors import (
    Caller,
    Command,
    Extension,
    Message,
    OwedAnswer,
    Rate,
    Refused,
    Request,
    Scope,
    Service,
    UserId,
    command,
    handles,
)

MAX_BLOCKED = 1000
"""Users that a user may block."""

MAX_IN_FLIGHT = 16
"""Undelivered messages that one user may have at a time."""

PAGE_MESSAGES = 100
"""The most messages in one answer."""

PAGE_CHARS = 20_000
"""The most characters in one answer, so that it cannot overflow the client's backlog. One message may be longer."""

PROBLEMS = {
    "no_such_user": "There is no user {to}.",
    "blocked": "{to} has blocked you.",
    "internal_failure": "The message could not be stored. Send it again later.",
}
"""Error code → text."""

Seq = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class DirectSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[extensions.direct]`"""

    keep: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 500
    """Stored messages of each user, sent and received. The oldest are deleted first."""

    chars: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 4000
    """The longest message, in characters."""


class SendDirect(Command, frozen=True, tag="direct_send"):
    """Send a message to one user. The answer follows once the message is stored for the recipient."""

    to: UserId
    content: Annotated[str, msgspec.Meta(min_length=1)]


class OpenDirect(Command, frozen=True, tag="direct_open"):
    """Subscribe to new messages."""


class ReadDirect(Command, frozen=True, tag="direct_history"):
    """Read stored messages: the oldest after `after`, the newest before `before`, or the newest."""

    after: Seq | None = None
    before: Seq | None = None


class BlockUser(Command, frozen=True, tag="direct_block"):
    """Refuse all messages from a user."""

    user_id: UserId


class UnblockUser(Command, frozen=True, tag="direct_unblock"):
    user_id: UserId


class DirectMessage(Message, frozen=True, tag="direct_message"):
    """A message, for sender and recipient. `seq` is the number that the receiving user's actor gave it."""

    seq: int
    sender: str
    to: str
    content: str
    timestamp: datetime


class DirectSent(Message, frozen=True, tag="direct_sent"):
    """The message is stored. `seq` is its number for the sender."""

    to: str
    seq: int
    timestamp: datetime


class DirectOpened(Message, frozen=True, tag="direct_opened"):
    """`last` is the number of the newest message. Later ones arrive through the subscription."""

    last: int


class DirectHistory(Message, frozen=True, tag="direct_history"):
    """Oldest message first. `more`: whether further messages exist in the direction of reading."""

    messages: Sequence[DirectMessage]
    more: bool


class Blocked(Message, frozen=True, tag="direct_blocked"):
    blocked: Sequence[str]


class StoredDirectMessage(msgspec.Struct, frozen=True):
    """A message as stored."""

    sender: str
    to: str
    content: str
    at: datetime


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
        self._last: int = await self.store.get("last", int, 0)
        self._blocked = await self.store.get("blocked", list[str], [])

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
        if request.message.sender in self._blocked:
            return "blocked"
        seq = await self._store(request.message)
        self.tell_subscribers(_message_of(seq, request.message))
        return ""

    async def _store(self, message: StoredDirectMessage) -> int:
        seq = self._last + 1
        await self.store.put_all({_key(seq): message, "last": seq, _key(seq - self.settings.keep): None})
        self._last = seq
        return seq

    @command(rate=Rate(per_second=1, burst=10))
    def open_direct(self, caller: Caller, request: OpenDirect) -> DirectOpened:
        self.subscribe(caller)
        return DirectOpened(self._last)

    @command(rate=Rate(per_second=5, burst=20))
    async def read_direct(self, caller: Caller, request: ReadDirect) -> DirectHistory:
        if request.after is not None:
            found = await self.store.page(
                StoredDirectMessage, prefix="m/", after=_key(request.after), limit=PAGE_MESSAGES + 1
            )
            fitting = _fitting_prefix(found[:PAGE_MESSAGES])
        else:
            end = self._last + 1 if request.before is None else min(request.before, self._last + 1)
            begin = max(end - PAGE_MESSAGES - 2, 0)  # one more than a page, to set `more`
            found = await self.store.page(
                StoredDirectMessage, prefix="m/", after=_key(begin), limit=max(end - 1 - begin, 0)
            )
            fitting = _fitting_prefix(found[::-1][:PAGE_MESSAGES])[::-1]
        messages = [_message_of(int(key[2:]), message) for key, message in fitting]
        return DirectHistory(messages, len(fitting) < len(found))

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


def _fitting_prefix(messages: Sequence[tuple[str, StoredDirectMessage]]) -> Sequence[tuple[str, StoredDirectMessage]]:
    """Return the first messages, as many as `PAGE_CHARS` allows but at least one."""
    chars = 0
    for n, (_, message) in enumerate(messages):
        chars += len(message.content)
        if n and chars > PAGE_CHARS:
            return messages[:n]
    return messages


def _message_of(seq: int, message: StoredDirectMessage) -> DirectMessage:
    return DirectMessage(seq, message.sender, message.to, message.content, message.at)


def _key(seq: int) -> str:
    return f"m/{max(seq, 0):016d}"


extension = Extension(name="direct", services=[Direct], messages=[DirectMessage], settings=DirectSettings)
