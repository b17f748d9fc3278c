"""What happens goes out to URLs, signed and tried again; messages come in by authenticated requests.

Out: each target is an actor of its own with a queue of its own, so one that is slow or down holds up nothing else.
Deliveries go in order, one at a time; what waits in memory does not survive the end of the process. A receiver checks
`X-Chat-Signature` and keeps `X-Chat-Delivery` to recognise what comes twice: after a lost answer, the same comes again.

In: `POST /extensions/webhooks/say` with `Authorization: Bearer TOKEN` and `{"roomId": "...", "content": "..."}`.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Callable
from datetime import datetime
from fnmatch import fnmatchcase
from functools import partial
from typing import Annotated, Literal
from urllib.parse import urlsplit
from uuid import uuid4

import anyio
import msgspec

from chat_actors import (
    Actor,
    Extension,
    HttpRequest,
    HttpResponse,
    Ref,
    Restart,
    Service,
    StopReason,
    endpoint,
    events,
    handles,
)

try:
    import httpx
except ImportError as error:
    raise ImportError("it sends with httpx: pip install 'chat-actors[webhooks]'") from error

logger = logging.getLogger(__name__)

Kind = Literal["posted", "joined", "left", "registered"]

EVENTS: dict[Kind, type[msgspec.Struct]] = {
    "posted": events.MessagePosted,
    "joined": events.UserJoined,
    "left": events.UserLeft,
    "registered": events.UserRegistered,
}

NOT_FINAL = frozenset({408, 425, 429})
"""Statuses under 500 after which a delivery is tried again."""


Secret = Annotated[str, msgspec.Meta(min_length=16)]


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[extensions.webhooks.targets]]`: where events go."""

    url: str
    secret: Secret
    """Signs what is sent."""

    events: tuple[Kind, ...] = ("posted",)
    rooms: tuple[str, ...] = ("*",)
    """The names of the rooms whose events go there, as patterns."""

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme not in ("http", "https") or not urlsplit(self.url).hostname:
            raise ValueError(f"{self.url!r} is no URL that begins with http:// or https://")


class WebhooksSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[extensions.webhooks]`"""

    targets: tuple[Target, ...] = ()

    tokens: dict[
        Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{3,32}\Z")], Annotated[str, msgspec.Meta(min_length=16)]
    ] = {}
    """Name → token of those who may send messages in: each speaks as `bot:NAME`."""

    queue: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1000
    """Events that may wait for one target. Beyond, new ones are dropped, and the log says how many."""

    timeout: Annotated[float, msgspec.Meta(gt=0, le=300)] = 10.0
    """Seconds that a target may take to answer."""

    give_up_after: Annotated[float, msgspec.Meta(ge=0)] = 3600.0
    """Seconds after which an event that was not taken is dropped."""

    first_pause: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    """Seconds between the first two tries; the pause doubles each time, up to a minute."""


LONGEST_PAUSE = 60.0


class Delivery(msgspec.Struct, frozen=True):
    """An event on its way."""

    id: str
    event: str
    body: bytes


class Tried(msgspec.Struct, frozen=True):
    """A target's message to itself: an answer has come, or none."""

    problem: str
    is_final: bool


class TryAgain(msgspec.Struct, frozen=True):
    """A target's timer to itself."""


def signature(secret: str, at: int, body: bytes) -> str:
    """`t=SECONDS,v1=HEX`: HMAC-SHA256 of the time in seconds since 1970, a point, and the body (as Stripe signs)."""
    signed = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={signed}"


class Queue:
    """What waits for a target, and the way to it."""

    def __init__(self, timeout: float) -> None:
        self.waiting: list[Delivery] = []
        self.client = httpx.AsyncClient(timeout=timeout, follow_redirects=False)


class TargetActor(Actor[Delivery]):
    """Brings events to one URL, in order."""

    supervision = Restart(at_most=5, within=60.0, backoff=(0.1, 5.0))

    def __init__(
        self,
        target: Target,
        settings: WebhooksSettings,
        now: Callable[[], datetime],
        queue: Queue,
    ) -> None:
        """`queue` outlives a crash."""
        self._target = target
        self._settings = settings
        self._now = now
        self._client = queue.client
        self._waiting = queue.waiting
        self._dropped = 0
        self._reset()

    async def on_start(self) -> None:
        if self._waiting and not self.context.pipes_under_way:
            self._try()

    async def on_stop(self, reason: StopReason) -> None:
        if self._waiting:
            logger.warning("webhooks: %d events for %s were not taken yet", len(self._waiting), self._target.url)
        await self._client.aclose()

    @handles
    def take(self, delivery: Delivery) -> None:
        if len(self._waiting) >= self._settings.queue:
            if not self._dropped:
                logger.warning(
                    "webhooks: %s events wait for %s; new ones are dropped", len(self._waiting), self._target.url
                )
            self._dropped += 1
            return
        self._waiting.append(delivery)
        if len(self._waiting) == 1:
            self._begin()

    def _begin(self) -> None:
        self._reset()
        self._try()

    def _reset(self) -> None:
        self._since, self._pause = anyio.current_time(), self._settings.first_pause

    def _try(self) -> None:
        self.context.pipe(
            partial(self._post, self._waiting[0]),
            into=lambda tried: tried,
            failed=lambda error: Tried(f"{type(error).__name__}: {error}", is_final=False),
        )

    async def _post(self, delivery: Delivery) -> Tried:
        headers = {
            "Content-Type": "application/json",
            "X-Chat-Event": delivery.event,
            "X-Chat-Delivery": delivery.id,
            "X-Chat-Signature": signature(self._target.secret, int(self._now().timestamp()), delivery.body),
        }
        try:
            # The status is all that matters: the body is not read, however long it is.
            async with self._client.stream("POST", self._target.url, content=delivery.body, headers=headers) as answer:
                status = answer.status_code
        except httpx.HTTPError as error:
            return Tried(f"{type(error).__name__}: {error}", is_final=False)
        if status < 300:
            return Tried("", is_final=True)
        return Tried(f"HTTP status {status}", is_final=status < 500 and status not in NOT_FINAL)

    @handles
    def on_tried(self, tried: Tried) -> None:
        if not self._waiting:
            return
        is_late = anyio.current_time() + self._pause - self._since > self._settings.give_up_after
        if tried.problem and not tried.is_final and not is_late:
            self.context.after(self._pause, TryAgain())
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            return
        if tried.problem:
            lost = self._waiting[0]
            logger.error("webhooks: %s did not take the event %s: %s", self._target.url, lost.id, tried.problem)
        del self._waiting[0]
        if self._dropped and len(self._waiting) < self._settings.queue:
            logger.warning("webhooks: %d events for %s were dropped", self._dropped, self._target.url)
            self._dropped = 0
        if self._waiting:
            self._begin()

    @handles
    def try_again(self, message: TryAgain) -> None:
        self._try()


class Said(msgspec.Struct, frozen=True, rename="camel"):
    """What comes in."""

    room_id: str
    content: str


class Webhooks(Service):
    """Listens to the bus, and hands each event to the targets that want it; and says what comes in."""

    mailbox_capacity = 10_000

    async def on_start(self) -> None:
        settings: WebhooksSettings = self.settings
        # They outlive a crash of this actor.
        running = {ref.path.rpartition("/")[2]: ref for ref in self.context.children}
        self._targets = [
            (target, running.get(f"target-{n}") or self._spawn(f"target-{n}", target, settings))
            for n, target in enumerate(settings.targets)
        ]
        for kind, event in EVENTS.items():
            if any(kind in target.events for target in settings.targets):
                self.context.listen(event)

    def _spawn(self, name: str, target: Target, settings: WebhooksSettings) -> Ref[Delivery]:
        queue = Queue(settings.timeout)
        return self.context.spawn_named(name, TargetActor, target, settings, self.now, queue)

    # -- out -----------------------------------------------------------------------------------------------------------

    @handles
    def posted(self, event: events.MessagePosted) -> None:
        self._pass_on("posted", event, event.room_id)

    @handles
    def joined(self, event: events.UserJoined) -> None:
        self._pass_on("joined", event, event.room_id)

    @handles
    def left(self, event: events.UserLeft) -> None:
        self._pass_on("left", event, event.room_id)

    @handles
    def registered(self, event: events.UserRegistered) -> None:
        self._pass_on("registered", msgspec.structs.replace(event, address=""), None)

    def _pass_on(self, kind: Kind, event: msgspec.Struct, room_id: str | None) -> None:
        wanted = [
            actor
            for target, actor in self._targets
            if kind in target.events and (room_id is None or any(fnmatchcase(room_id, rooms) for rooms in target.rooms))
        ]
        if not wanted:
            return
        delivery_id = str(uuid4())
        told = {_camel(name): value for name, value in msgspec.structs.asdict(event).items() if value != ""}
        body = msgspec.json.encode({"id": delivery_id, "event": kind, **told})
        for actor in wanted:
            actor.tell(Delivery(delivery_id, kind, body))

    # -- in ------------------------------------------------------------------------------------------------------------

    @endpoint("POST", "/say")
    async def take(self, request: HttpRequest) -> HttpResponse:
        name = self._name_of(request.headers.get("authorization", ""))
        if name is None:
            return HttpResponse(401, {"error": "no such token"}, {"WWW-Authenticate": "Bearer"})
        try:
            said = msgspec.json.decode(request.body, type=Said)
            no = await self.say(said.room_id, said.content, name=name)
        except (msgspec.MsgspecError, ValueError) as error:
            return HttpResponse(422, {"error": str(error)})
        if no is not None:
            return HttpResponse(409, {"error": no.text, "code": no.code})
        return HttpResponse(200, {"status": "said"})

    def _name_of(self, authorization: str) -> str | None:
        found = None
        for name, token in self.settings.tokens.items():
            # All of them, and each in the same time: how long it takes tells nothing of any.
            if hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
                found = name
        return found


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


extension = Extension(name="webhooks", services=[Webhooks], settings=WebhooksSettings)
