"""The tasks that wait for answers of the server."""

from __future__ import annotations

import asyncio

from chat_actors.client.message_decoder import UnknownMessage
from chat_actors.client.room_conversation import RoomConversation
from chat_actors.protocol import AnyMessage


class PendingAnswers:
    """One future for each request that a task waits for. An answer that no task waits for is dropped."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[RoomConversation, asyncio.Future[AnyMessage | UnknownMessage]]] = {}

    def expect(self, request_id: str, room: RoomConversation) -> asyncio.Future[AnyMessage | UnknownMessage]:
        """Return a future for the answer to a request of the room, until `forget`."""
        future: asyncio.Future[AnyMessage | UnknownMessage] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = room, future
        return future

    def forget(self, request_id: str) -> None:
        """No task waits for the answer any more."""
        del self._waiting[request_id]

    def resolve(self, request_id: str, answer: AnyMessage | UnknownMessage) -> None:
        _, future = self._waiting.get(request_id, (None, None))
        if future is not None and not future.done():
            future.set_result(answer)

    def fail(self, request_id: str, error: Exception) -> None:
        _, future = self._waiting.get(request_id, (None, None))
        if future is not None and not future.done():
            future.set_exception(error)

    def fail_all_of(self, room: RoomConversation, error: Exception) -> None:
        for request_id, (its_room, _) in self._waiting.items():
            if its_room is room:
                self.fail(request_id, error)
