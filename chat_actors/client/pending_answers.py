"""The tasks that wait for answers of the server."""

from __future__ import annotations

import asyncio

from chat_actors.client.message_decoder import UnknownMessage
from chat_actors.protocol import AnyMessage


class PendingAnswers:
    """One future for each request that a task waits for. An answer that no task waits for is dropped."""

    def __init__(self) -> None:
        self._futures: dict[str, asyncio.Future[AnyMessage | UnknownMessage]] = {}

    async def wait_for(self, request_id: str) -> AnyMessage | UnknownMessage:
        """Wait for the answer to a request. Raises the error given to `fail`."""
        future: asyncio.Future[AnyMessage | UnknownMessage] = asyncio.get_running_loop().create_future()
        self._futures[request_id] = future
        try:
            return await future
        finally:
            del self._futures[request_id]

    @property
    def has_waiters(self) -> bool:
        return any(not future.done() for future in self._futures.values())

    def resolve(self, request_id: str, answer: AnyMessage | UnknownMessage) -> None:
        future = self._futures.get(request_id)
        if future is not None and not future.done():
            future.set_result(answer)

    def fail(self, request_id: str, error: Exception) -> None:
        future = self._futures.get(request_id)
        if future is not None and not future.done():
            future.set_exception(error)

    def fail_all(self, error: Exception) -> None:
        for request_id in self._futures:
            self.fail(request_id, error)
