"""Executes the extension commands of sessions: rate limits, routing, and the answer."""

from __future__ import annotations

import anyio

from chat_actors.chat.command_method import Call, Caller
from chat_actors.chat.extension import Extensions
from chat_actors.chat.room_messages import RoomMessage
from chat_actors.chat.service import Scope
from chat_actors.chat.user_rates import RateBuckets
from chat_actors.kernel import ActorStopped, AskFailed, AskTimeout, Context, Ref
from chat_actors.protocol import ExtensionCommand, ExtensionMessage, Refusal, refusals

ANSWER_WITHIN = 10.0
"""Seconds that a session, and so its client, waits for the answer to a command."""


class ExtensionCalls:
    """Sends the extension commands of all sessions to services and rooms."""

    def __init__(self, extensions: Extensions) -> None:
        self._extensions = extensions

    def is_about_room(self, command: ExtensionCommand) -> bool:
        """Whether the room, or a service for it, executes the command."""
        return self._extensions.routes[type(command)].scope is Scope.ROOM

    async def execute(
        self,
        context: Context,
        command: ExtensionCommand,
        caller: Caller,
        room: Ref[RoomMessage] | None,
        rates: RateBuckets,
    ) -> ExtensionMessage | Refusal | None:
        """Ask a service, or the caller's room, to execute a command. The message for the client, if any."""
        route = self._extensions.routes[type(command)]
        if route.rate is not None and not rates.take_command(type(command), route.rate, anyio.current_time()):
            return refusals.TOO_MANY_FRAMES
        key = {Scope.SERVER: "", Scope.USER: caller.user_id, Scope.ROOM: caller.room_id}[route.scope]
        for _ in range(2):  # the first attempt may reach a service that is just stopping as idle
            try:
                actor = room if route.actor_type is None else context.get_or_spawn(route.actor_type, key)
                if actor is None:
                    return refusals.NOT_IN_ROOM
                return await actor.ask(Call(caller, command), timeout=ANSWER_WITHIN)
            except ActorStopped:
                continue
            except AskTimeout:
                return refusals.BUSY
            except AskFailed:
                break
        return refusals.INTERNAL_FAILURE
