"""Direct messages between two users, wherever they are: kept until they are fetched, and after that for a while.

A client asks once, with `direct_open`; from then on it hears what comes, on every connection that has asked. What came
before it fetches with `direct_history`: so it first opens, and then fetches from where it was up to `last`.
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

BLOCKED = 1000
"""Users whom one may block."""

ON_THE_WAY = 16
"""Messages of one user that may be on their way to others at a time."""


PAGE = 100
"""Messages in an answer, at most."""

PAGE_CHARS = 20_000
"""Characters in an answer beyond which no further message is added: so that it does not evict who asked for it."""

PROBLEMS = {
    "no_such_user": "There is no user {to}.",
    "blocked": "{to} does not want to hear from you.",
    "internal_failure": "The message could not be stored. Send it again later.",
}
"""Why a message was not stored, and how that is said."""

Seq = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class DirectSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[extensions.direct]`"""

    keep: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 500
    """Messages of each user that are kept, sent and received: the newest."""

    chars: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 4000
    """The longest message, in characters."""


class SendDirect(Command, frozen=True, tag="direct_send"):
    """Say something to one user. The answer comes once it is stored for them."""

    to: UserId
    content: Annotated[str, msgspec.Meta(min_length=1)]


class OpenDirect(Command, frozen=True, tag="direct_open"):
    """Hear from now on what comes."""


class ReadDirect(Command, frozen=True, tag="direct_history"):
    """What is kept: the first after `after`, or the last before `before`, or just the last."""

    after: Seq | None = None
    before: Seq | None = None


class BlockUser(Command, frozen=True, tag="direct_block"):
    """Hear nothing of somebody any more."""

    user_id: UserId


class UnblockUser(Command, frozen=True, tag="direct_unblock"):
    user_id: UserId


class DirectMessage(Message, frozen=True, tag="direct_message"):
    """To both sides. `seq` rises among the messages of the user who gets it: so one knows what one has."""

    seq: int
    sender: str
    to: str
    content: str
    timestamp: datetime


class DirectSent(Message, frozen=True, tag="direct_sent"):
    """It is stored. `seq` is the number that it has for the sender."""

    to: str
    seq: int
    timestamp: datetime


class DirectOpened(Message, frozen=True, tag="direct_opened"):
    """`last` is the number of the newest message; what is after it comes by itself."""

    last: int


class DirectHistory(Message, frozen=True, tag="direct_history"):
    """The oldest first. `more`: whether there is more in the direction of reading."""

    messages: Sequence[DirectMessage]
    more: bool


class Blocked(Message, frozen=True, tag="direct_blocked"):
    blocked: Sequence[str]


class Said(msgspec.Struct, frozen=True):
    """What is kept of a message."""

    sender: str
    to: str
    content: str
    at: datetime


class Deliver(Request[str], msgspec.Struct, frozen=True):
    """From the sender's actor to the receiver's. The answer is why not, or nothing: it is stored."""

    said: Said


class Answered(msgspec.Struct, frozen=True):
    """What the receiver's actor, or the accounts, have answered about a message that was on its way."""

    caller: Caller
    request_id: str | None
    said: Said
    owed: OwedAnswer[Any]
    problem: str


class Direct(Service):
    """The direct messages of one user."""

    scope = Scope.USER

    async def on_start(self) -> None:
        newest = await self.store.get("last", int, 0)
        self._last = newest
        self._blocked = await self.store.get("blocked", list[str], [])

    # -- sending -------------------------------------------------------------------------------------------------------

    @command(rate=Rate(per_second=5, burst=20))
    def send_direct(self, caller: Caller, asked: SendDirect) -> None:
        if len(asked.content) > self.settings.chars:
            raise Refused("content_too_long", f"content must be at most {self.settings.chars} characters")
        if self.context.pipes_under_way >= ON_THE_WAY:
            raise Refused("busy", f"{ON_THE_WAY} messages of yours are on their way already. Wait for one of them.")
        said = Said(caller.user_id, asked.to, asked.content, self.now())
        # Outside of the mailbox: two users who write to each other at once must not wait for each other. The caller
        # does wait for the answer, and so what one connection sends keeps its order.
        answered = partial(Answered, caller, asked.request_id, said, self.context.answer_later())
        self.context.pipe(lambda: self._bring(said), into=answered, failed=lambda _: answered("internal_failure"))

    async def _bring(self, said: Said) -> str:
        if not await self.user_exists(said.to):
            return "no_such_user"
        problem: str = await self.ask_service(Direct, said.to, Deliver(said)) if said.to != said.sender else ""
        return problem

    @handles
    async def on_answered(self, message: Answered) -> None:
        if message.problem:
            text = PROBLEMS[message.problem].format(to=message.said.to)
            message.caller.refuse(message.problem, text, message.request_id)
            message.owed.resolve(None)
            return
        seq = await self._keep(message.said)
        sent = DirectSent(message.said.to, seq, message.said.at, request_id=message.request_id)
        message.owed.resolve(sent)
        self.tell_subscribers(_shown(seq, message.said), but=message.caller)

    # -- receiving -----------------------------------------------------------------------------------------------------

    @handles
    async def deliver(self, request: Deliver) -> str:
        if request.said.sender in self._blocked:
            return "blocked"
        seq = await self._keep(request.said)
        self.tell_subscribers(_shown(seq, request.said))
        return ""

    async def _keep(self, said: Said) -> int:
        seq = self._last + 1
        await self.store.put_all({_key(seq): said, "last": seq, _key(seq - self.settings.keep): None})
        self._last = seq
        return seq

    @command(rate=Rate(per_second=1, burst=10))
    def open_direct(self, caller: Caller, asked: OpenDirect) -> DirectOpened:
        self.subscribe(caller)
        return DirectOpened(self._last)

    @command(rate=Rate(per_second=5, burst=20))
    async def read_direct(self, caller: Caller, asked: ReadDirect) -> DirectHistory:
        if asked.after is not None:
            found = await self.store.page(Said, prefix="m/", after=_key(asked.after), limit=PAGE + 1)
            kept = _that_fit(found[:PAGE])
        else:
            end = self._last + 1 if asked.before is None else min(asked.before, self._last + 1)
            begin = max(end - PAGE - 2, 0)  # one more, to know whether there is more
            found = await self.store.page(Said, prefix="m/", after=_key(begin), limit=max(end - 1 - begin, 0))
            kept = _that_fit(found[::-1][:PAGE])[::-1]
        shown = [_shown(int(key[2:]), said) for key, said in kept]
        return DirectHistory(shown, len(kept) < len(found))

    # -- whom one will not hear ----------------------------------------------------------------------------------------

    @command(rate=Rate(per_second=1, burst=10))
    async def block(self, caller: Caller, asked: BlockUser) -> Blocked:
        if asked.user_id not in self._blocked:
            if len(self._blocked) >= BLOCKED:
                raise Refused("too_many", f"At most {BLOCKED} users can be blocked.")
            self._blocked.append(asked.user_id)
            await self.store.put("blocked", self._blocked)
        return Blocked(self._blocked)

    @command(rate=Rate(per_second=1, burst=10))
    async def unblock(self, caller: Caller, asked: UnblockUser) -> Blocked:
        if asked.user_id in self._blocked:
            self._blocked.remove(asked.user_id)
            await self.store.put("blocked", self._blocked)
        return Blocked(self._blocked)


def _that_fit(messages: Sequence[tuple[str, Said]]) -> Sequence[tuple[str, Said]]:
    chars = 0
    for n, (_, said) in enumerate(messages):
        chars += len(said.content)
        if n and chars > PAGE_CHARS:
            return messages[:n]
    return messages


def _shown(seq: int, said: Said) -> DirectMessage:
    return DirectMessage(seq, said.sender, said.to, said.content, said.at)


def _key(seq: int) -> str:
    return f"m/{max(seq, 0):016d}"


extension = Extension(name="direct", services=[Direct], settings=DirectSettings)
