"""Signed delivery of events to URLs, with retries: the settings and the actor of a target."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated, Literal
from urllib.parse import urlsplit

import anyio
import msgspec

from chat_actors import Actor, Restart, StopReason, handles

try:
    import httpx
except ImportError as error:
    raise ImportError("webhooks need httpx: pip install 'chat-actors[webhooks]'") from error

logger = logging.getLogger(__name__)

EventName = Literal["posted", "joined", "left", "registered"]

TRANSIENT_STATUSES = frozenset({408, 425, 429})
"""Statuses below 500 after which a delivery is retried."""

Secret = Annotated[str, msgspec.Meta(min_length=16)]


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[extensions.webhooks.targets]]`: a receiver of events."""

    url: str
    secret: Secret
    """Key of the signatures."""

    events: tuple[EventName, ...] = ("posted",)
    rooms: tuple[str, ...] = ("*",)
    """Patterns of the names of rooms whose events are delivered."""

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme not in ("http", "https") or not urlsplit(self.url).hostname:
            raise ValueError(f"{self.url!r} is not an http:// or https:// URL")


class WebhooksSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[extensions.webhooks]`"""

    targets: tuple[Target, ...] = ()

    tokens: dict[
        Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{3,32}\Z")], Annotated[str, msgspec.Meta(min_length=16)]
    ] = {}
    """Name → token. A request with the token posts as `bot:NAME`."""

    queue: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1000
    """Events that may wait for one target. Further ones are dropped, and the log counts them."""

    timeout: Annotated[float, msgspec.Meta(gt=0, le=300)] = 10.0
    """Seconds within which a target must answer."""

    give_up_after: Annotated[float, msgspec.Meta(ge=0)] = 3600.0
    """Seconds after which an undelivered event is dropped."""

    first_pause: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    """Seconds before the first retry. The pause doubles with each retry, up to `LONGEST_PAUSE`."""


LONGEST_PAUSE = 60.0


class Delivery(msgspec.Struct, frozen=True):
    """An event to be delivered."""

    id: str
    event: str
    body: bytes


class Attempt(msgspec.Struct, frozen=True):
    """A target's message to itself: the outcome of an attempt. `problem` is empty after a success."""

    problem: str
    is_done: bool


class RetryNow(msgspec.Struct, frozen=True):
    """A target's timer: the pause before a retry is over."""


def signature(secret: str, at: int, body: bytes) -> str:
    """Return `t=SECONDS,v1=HEX`: HMAC-SHA256 (RFC 2104) over the Unix time, a dot and the body, as Stripe does."""
    signed = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={signed}"


class TargetState:
    """The queue and the HTTP client of a target. Outlives a crash of its actor."""

    def __init__(self, timeout: float) -> None:
        self.queue: list[Delivery] = []
        self.client = httpx.AsyncClient(timeout=timeout, follow_redirects=False)


class TargetActor(Actor[Delivery]):
    """Delivers events to one URL, in order."""

    supervision = Restart(at_most=5, within=60.0, backoff=(0.1, 5.0))

    def __init__(
        self,
        target: Target,
        settings: WebhooksSettings,
        now: Callable[[], datetime],
        state: TargetState,
    ) -> None:
        self._target = target
        self._settings = settings
        self._now = now
        self._client = state.client
        self._queue = state.queue
        self._dropped = 0
        self._reset()

    async def on_start(self) -> None:
        if self._queue and not self.context.pipes_under_way:
            self._attempt()

    async def on_stop(self, reason: StopReason) -> None:
        if self._queue:
            logger.warning("webhooks: %d undelivered events for %s are lost", len(self._queue), self._target.url)
        await self._client.aclose()

    @handles
    def enqueue(self, delivery: Delivery) -> None:
        if len(self._queue) >= self._settings.queue:
            if not self._dropped:
                logger.warning(
                    "webhooks: %s events wait for %s; further events are dropped", len(self._queue), self._target.url
                )
            self._dropped += 1
            return
        self._queue.append(delivery)
        if len(self._queue) == 1:
            self._begin()

    def _begin(self) -> None:
        self._reset()
        self._attempt()

    def _reset(self) -> None:
        self._since, self._pause = anyio.current_time(), self._settings.first_pause

    def _attempt(self) -> None:
        self.context.pipe(
            partial(self._post, self._queue[0]),
            into=lambda attempt: attempt,
            failed=lambda error: Attempt(f"{type(error).__name__}: {error}", is_done=False),
        )

    async def _post(self, delivery: Delivery) -> Attempt:
        headers = {
            "Content-Type": "application/json",
            "X-Chat-Event": delivery.event,
            "X-Chat-Delivery": delivery.id,
            "X-Chat-Signature": signature(self._target.secret, int(self._now().timestamp()), delivery.body),
        }
        try:
            # Only the status matters. The body is not read, because it may be of any length.
            async with self._client.stream("POST", self._target.url, content=delivery.body, headers=headers) as answer:
                status = answer.status_code
        except httpx.HTTPError as error:
            return Attempt(f"{type(error).__name__}: {error}", is_done=False)
        if status < 300:
            return Attempt("", is_done=True)
        return Attempt(f"HTTP status {status}", is_done=status < 500 and status not in TRANSIENT_STATUSES)

    @handles
    def on_attempt(self, attempt: Attempt) -> None:
        if not self._queue:
            return
        is_late = anyio.current_time() + self._pause - self._since > self._settings.give_up_after
        if attempt.problem and not attempt.is_done and not is_late:
            self.context.after(self._pause, RetryNow())
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            return
        if attempt.problem:
            dropped = self._queue[0]
            logger.error("webhooks: dropped event %s for %s: %s", dropped.id, self._target.url, attempt.problem)
        del self._queue[0]
        if self._dropped and len(self._queue) < self._settings.queue:
            logger.warning("webhooks: dropped %d events for %s", self._dropped, self._target.url)
            self._dropped = 0
        if self._queue:
            self._begin()

    @handles
    def retry_now(self, message: RetryNow) -> None:
        self._attempt()
