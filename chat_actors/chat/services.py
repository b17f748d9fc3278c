"""The parent of all services, and the function that sends HTTP requests to them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeAlias

import msgspec

from chat_actors.chat.bot import Bot, JoinRooms
from chat_actors.chat.endpoint import HttpRequest, HttpResponse, Serve
from chat_actors.chat.extension import ServiceSpec
from chat_actors.chat.service import Scope
from chat_actors.kernel import (
    Actor,
    ActorStopped,
    ActorType,
    AnyRef,
    AskFailed,
    AskTimeout,
    Escalate,
    Ref,
    Request,
    Restart,
    handles,
)
from chat_actors.storage import Accounts, States

logger = logging.getLogger(__name__)

ANSWER_WITHIN = 10.0
"""Seconds that an HTTP client waits for the answer of a service."""


class FindService(Request[AnyRef], msgspec.Struct, frozen=True):
    """Find the actor of a service with `Scope.SERVER`."""

    actor_type: ActorType[Any]


ServicesMessage: TypeAlias = FindService


class Services(Actor[ServicesMessage]):
    """Declares and supervises the services of all extensions. Only the service that exceeds its restarts ends."""

    supervision = Restart(at_most=5, within=60.0, then=Escalate())

    def __init__(
        self, specs: Sequence[ServiceSpec], states: States, accounts: Accounts, now: Callable[[], datetime]
    ) -> None:
        self._specs = specs
        self._shared = (states, accounts, now)

    async def on_start(self) -> None:
        for spec in self._specs:
            self.context.declare(spec.actor_type, partial(spec.maker, *self._shared))
        for spec in self._specs:
            if spec.service.scope is Scope.SERVER:
                service = self.context.get_or_spawn(spec.actor_type, "")
                if issubclass(spec.service, Bot):
                    service.tell(JoinRooms())

    @handles
    def find_service(self, request: FindService) -> AnyRef:
        return self.context.get_or_spawn(request.actor_type, "")


async def serve_http(services: Ref[ServicesMessage], actor_type: ActorType[Any], request: HttpRequest) -> HttpResponse:
    """Ask a service to answer an HTTP request. A crash is answered with 500, no answer in time with 503."""
    try:
        service = await services.ask(FindService(actor_type), timeout=ANSWER_WITHIN)
        answer: HttpResponse = await service.ask(Serve(request), timeout=ANSWER_WITHIN)
    except AskFailed:
        return HttpResponse(500, {"error": "the service failed on this request"})
    except (ActorStopped, AskTimeout):
        return HttpResponse(503, {"error": "the service cannot answer now; try again later"})
    return answer
