"""The parent of all services, and the way to them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from chat_actors.chat.extension import Extensions, Offered, Route
from chat_actors.chat.service import Call, Caller, Scope, Service
from chat_actors.kernel import Actor, ActorStopped, AskFailed, AskTimeout, Context, Escalate, Restart
from chat_actors.protocol import ExtensionCommand, ExtensionMessage, Refusal, refusals

ANSWER_WITHIN = 10.0
"""Seconds that a session waits for a service, and its client with it."""


class Services(Actor[Any]):
    """Offers every service of every extension, and supervises them: one that fails for good ends alone."""

    supervision = Restart(at_most=5, within=60.0, then=Escalate())

    def __init__(self, extensions: Extensions) -> None:
        self._extensions = extensions

    async def on_start(self) -> None:
        for offered in self._extensions.offered:
            self.context.offer(offered.kind, partial(_maker, offered))
        for offered in self._extensions.offered:
            if offered.service.scope is Scope.SERVER:
                self.context.get_or_spawn(offered.kind, "")


def _maker(offered: Offered, key: str) -> Callable[[], Service]:
    def make() -> Service:
        service = offered.service()
        service.begin(key, offered.settings, offered.methods)
        return service

    return make


async def call_service(
    context: Context, route: Route, caller: Caller, command: ExtensionCommand
) -> ExtensionMessage | Refusal | None:
    """Have a command carried out, by the actor that there is or by a new one. What to tell the client, if anything."""
    key = {Scope.SERVER: "", Scope.USER: caller.user_id, Scope.ROOM: caller.room_id}[route.scope]
    for _ in range(2):  # the first may have ended, being idle, just before
        try:
            return await context.get_or_spawn(route.kind, key).ask(Call(caller, command), timeout=ANSWER_WITHIN)
        except ActorStopped:
            continue
        except AskTimeout:
            return refusals.BUSY
        except AskFailed:
            break
    return refusals.INTERNAL_FAILURE
