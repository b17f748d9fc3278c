"""The parent of all services, and the function that sends HTTP requests to them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeAlias

import anyio
import msgspec

from chat_actors.chat import events
from chat_actors.chat.endpoint import HttpRequest, HttpResponse, Serve
from chat_actors.chat.extension import ServiceSpec
from chat_actors.chat.service import Scope, Service, ServiceState
from chat_actors.kernel import (
    Actor,
    ActorStopped,
    ActorType,
    AnyRef,
    AskFailed,
    AskTimeout,
    Cause,
    Escalate,
    Ref,
    Request,
    Restart,
    Terminated,
    handles,
)
from chat_actors.storage import Accounts, States

logger = logging.getLogger(__name__)

ANSWER_WITHIN = 10.0
"""Seconds that an HTTP client waits for the answer of a service."""

FIRST_PAUSE = 30.0
LONGEST_PAUSE = 600.0
"""Seconds until a failed service is started again. Doubles with each failure; one that ran for the longest pause begins
anew."""


class ServiceRun(msgspec.Struct):
    """What outlives an actor of a service with `Scope.SERVER`: its state, its failures and its times."""

    state: ServiceState
    started_at: float
    failures: int = 0
    due: float | None = None
    """When it is started again, if it has failed."""


class ServicesState:
    """The state of `Services` that outlives a crash: the last run of each service with `Scope.SERVER`, by name."""

    def __init__(self) -> None:
        self.runs: dict[str, ServiceRun] = {}


class WatchService(msgspec.Struct, frozen=True):
    """A timer: watch a service that a command may have started."""

    spec: ServiceSpec


class StartAgain(msgspec.Struct, frozen=True):
    """A timer: start a failed service again."""

    spec: ServiceSpec


class FindService(Request[AnyRef], msgspec.Struct, frozen=True):
    """Find the actor of a service with `Scope.SERVER`."""

    actor_type: ActorType[Any]


ServicesMessage: TypeAlias = FindService


class Services(Actor[ServicesMessage]):
    """Declares and supervises the services of all extensions. Only the service that exceeds its restarts ends.

    One with `Scope.SERVER` is started again after a pause that grows. Its bot is then back in the rooms that it held.
    """

    supervision = Restart(at_most=5, within=60.0, then=Escalate())

    def __init__(
        self,
        state: ServicesState,
        specs: Sequence[ServiceSpec],
        states: States,
        accounts: Accounts,
        now: Callable[[], datetime],
    ) -> None:
        self._runs = state.runs
        self._specs = specs
        self._shared = (states, accounts, now)

    async def on_start(self) -> None:
        for spec in self._specs:
            self.context.declare(spec.actor_type, partial(self._make, spec))
        for spec in self._specs:
            if spec.service.scope is Scope.SERVER:
                run = self._runs.get(spec.actor_type.name)
                if run is None or run.due is None:
                    self.context.watch(self.context.get_or_spawn(spec.actor_type, ""))
                else:
                    self.context.after(run.due - anyio.current_time(), StartAgain(spec))

    def _make(self, spec: ServiceSpec, key: str) -> Callable[[], Service]:
        state = spec.service.make_state()
        if spec.service.scope is Scope.SERVER:
            name, now = spec.actor_type.name, anyio.current_time()
            run = self._runs.setdefault(name, ServiceRun(state, now))
            if run.state is not state:
                state.inherit(run.state)
                run.state, run.started_at = state, now
            self.context.after(0, WatchService(spec))
        states, accounts, now_of_wall = self._shared
        return spec.maker(states, accounts, now_of_wall, state, key)

    @handles
    def _on_watch(self, message: WatchService) -> None:
        ref = self.context.find(message.spec.actor_type, "")
        if ref is not None:
            self.context.watch(ref)

    @handles
    def _on_ended(self, message: Terminated) -> None:
        if message.reason.cause not in (Cause.FAILED, Cause.CANCELLED):
            return
        name = message.ref.path.rpartition("/")[2]
        spec = next(spec for spec in self._specs if f"{spec.actor_type.name}:" == name)
        run, now = self._runs[spec.actor_type.name], anyio.current_time()
        if now - run.started_at >= LONGEST_PAUSE:
            run.failures = 0
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(run.failures, 10))
        run.failures += 1
        if run.due is None:
            run.due = now + pause
            self.context.after(pause, StartAgain(spec))
        restart_in = round(run.due - now, 3)
        logger.error("%s has failed for good; it is started again in %g s", message.ref.path, restart_in)
        self.context.events.publish(events.ServiceFailed(message.ref.path, restart_in))

    @handles
    def _on_start_again(self, message: StartAgain) -> None:
        spec = message.spec
        self._runs[spec.actor_type.name].due = None
        if self.context.find(spec.actor_type, "") is None:
            service = self.context.get_or_spawn(spec.actor_type, "")
            logger.warning("%s is started again after its failure", service.path)
            self.context.events.publish(events.ServiceStartedAgain(service.path))

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
