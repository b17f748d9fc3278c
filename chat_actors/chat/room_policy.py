"""The policy of a room: what the room asks before it acts, and tells after it has acted.

A policy cannot change order, delivery or membership by itself. `RoomPolicy` allows everything and costs nothing;
`KindPolicy` (in `kind_policy`) asks the room kinds.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from chat_actors.chat.command_method import Call
from chat_actors.chat.room_core import RoomCore
from chat_actors.chat.room_handle import RunInRoom
from chat_actors.chat.room_messages import AssignKind
from chat_actors.kernel import Context
from chat_actors.protocol import ExtensionMessage, Refusal, refusals

RemoveUser = Callable[[str, Refusal], None]


class RoomPolicy:
    """Allows everything. One object for each incarnation of a room."""

    is_reporting = False
    """Whether `report_posted` has not ended, or has raised."""

    async def open(self, context: Context, core: RoomCore, remove_user: RemoveUser) -> None:
        """Called when the room starts, and after each restart.

        Sets `core.has_post_hooks` if the policy sees posts: these then never run in the turn of the sender.
        """

    async def check_join(self, user_id: str) -> Refusal | None:
        """Decide whether a user may join. Changes nothing."""
        return None

    async def visited(self) -> None:
        """A user is about to join."""

    async def state_for(self, user_id: str) -> msgspec.Raw | None:
        """The field `state` of the `joined` of this user."""
        return None

    def joined(self, user_id: str) -> None:
        """The first connection of a user has joined."""

    def left(self, user_id: str) -> None:
        """The last connection of a user has left. Must not raise."""

    async def check_post(self, user_id: str, content: str, posted_by: str = "") -> str | Refusal:
        """Decide on a new message: the content to post, or a refusal."""
        return content

    async def report_posted(self) -> None:
        """Messages may have been broadcast: take each out of `core.posted`."""

    async def call(self, request: Call) -> ExtensionMessage | Refusal | None:
        """Execute a command of an extension."""
        return refusals.not_in_this_room(str(request.command.__struct_config__.tag))

    async def run(self, message: RunInRoom) -> None:
        """Run a timer or the end of piped work."""

    async def assign(self, request: AssignKind) -> Refusal | None:
        """Give the unused room a room kind."""
        return refusals.ROOM_EXISTS

    def end_turn(self) -> None:
        """Called at the end of each turn."""

    async def close(self) -> None:
        """Called when the room ends, after its last turn."""


async def null_policy() -> RoomPolicy:
    """The policy of a room without room kinds."""
    return RoomPolicy()
