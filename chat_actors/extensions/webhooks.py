"""Deliver signed events to URLs, with retries, and post messages from authenticated HTTP requests.

Outgoing: each target has its own actor and queue, so that a slow or unreachable target delays nothing else. A target
receives its events in order, one at a time. After a lost answer the event is sent again with the same
`X-Chat-Delivery`. The queue survives a crash of the actor, but not the end of the process. Receivers verify
`X-Chat-Signature`.

Incoming: `POST /extensions/webhooks/say` with `Authorization: Bearer TOKEN` and `{"roomId": "...", "content": "..."}`.
"""

from __future__ import annotations

import hmac
from fnmatch import fnmatchcase
from uuid import uuid4

import msgspec

from chat_actors import Extension, HttpRequest, HttpResponse, Ref, Service, endpoint, events, handles
from chat_actors.extensions.webhook_target import (
    Delivery,
    EventName,
    Target,
    TargetActor,
    TargetState,
    WebhooksSettings,
)

EVENTS: dict[EventName, type[msgspec.Struct]] = {
    "posted": events.MessagePosted,
    "joined": events.UserJoined,
    "left": events.UserLeft,
    "registered": events.UserRegistered,
}


class IncomingMessage(msgspec.Struct, frozen=True, rename="camel"):
    """The body of a request to `/say`."""

    room_id: str
    content: str


class Webhooks(Service):
    """Delivers events to the targets that subscribe to them, and posts incoming messages."""

    mailbox_capacity = 10_000

    async def on_start(self) -> None:
        settings: WebhooksSettings = self.settings
        # The target actors outlive a crash of this one.
        running = {ref.path.rpartition("/")[2]: ref for ref in self.context.children}
        self._targets = [
            (target, running.get(f"target-{n}") or self._spawn(f"target-{n}", target, settings))
            for n, target in enumerate(settings.targets)
        ]
        for name, event in EVENTS.items():
            if any(name in target.events for target in settings.targets):
                self.context.listen(event)

    def _spawn(self, name: str, target: Target, settings: WebhooksSettings) -> Ref[Delivery]:
        state = TargetState(settings.timeout)
        return self.context.spawn_named(name, TargetActor, target, settings, self.now, state)

    # -- outgoing ------------------------------------------------------------------------------------------------------

    @handles
    def posted(self, event: events.MessagePosted) -> None:
        self._deliver("posted", event, event.room_id)

    @handles
    def joined(self, event: events.UserJoined) -> None:
        self._deliver("joined", event, event.room_id)

    @handles
    def left(self, event: events.UserLeft) -> None:
        self._deliver("left", event, event.room_id)

    @handles
    def registered(self, event: events.UserRegistered) -> None:
        self._deliver("registered", msgspec.structs.replace(event, address=""), None)

    def _deliver(self, name: EventName, event: msgspec.Struct, room_id: str | None) -> None:
        recipients = [
            actor
            for target, actor in self._targets
            if name in target.events and (room_id is None or any(fnmatchcase(room_id, rooms) for rooms in target.rooms))
        ]
        if not recipients:
            return
        delivery_id = str(uuid4())
        fields = {_camel(field): value for field, value in msgspec.structs.asdict(event).items() if value != ""}
        body = msgspec.json.encode({"id": delivery_id, "event": name, **fields})
        for actor in recipients:
            actor.tell(Delivery(delivery_id, name, body))

    # -- incoming ------------------------------------------------------------------------------------------------------

    @endpoint("POST", "/say")
    async def say_endpoint(self, request: HttpRequest) -> HttpResponse:
        name = self._name_of(request.headers.get("authorization", ""))
        if name is None:
            return HttpResponse(401, {"error": "invalid token"}, {"WWW-Authenticate": "Bearer"})
        try:
            message = msgspec.json.decode(request.body, type=IncomingMessage)
            refusal = await self.say(message.room_id, message.content, name=name)
        except (msgspec.MsgspecError, ValueError) as error:
            return HttpResponse(422, {"error": str(error)})
        if refusal is not None:
            status = 413 if refusal.code == "content_too_long" else 409
            return HttpResponse(status, {"error": refusal.text, "code": refusal.code})
        return HttpResponse(200, {"status": "said"})

    def _name_of(self, authorization: str) -> str | None:
        found = None
        for name, token in self.settings.tokens.items():
            # Constant time: compare with every token, and without an early exit.
            if hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
                found = name
        return found


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


extension = Extension(name="webhooks", services=[Webhooks], settings=WebhooksSettings)
