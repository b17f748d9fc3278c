"""Who waits for which answer."""

from __future__ import annotations

import asyncio

from chat_actors.client.dialect import Unknown
from chat_actors.protocol import AnyMessage


class Answers:
    """One future for each request that somebody waits for. What comes for anybody else is dropped."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[AnyMessage | Unknown]] = {}

    async def to(self, request_id: str) -> AnyMessage | Unknown:
        """Wait for the answer to a request. Raises what it `fail`s with."""
        answer: asyncio.Future[AnyMessage | Unknown] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = answer
        try:
            return await answer
        finally:
            del self._waiting[request_id]

    @property
    def are_awaited(self) -> bool:
        """Whether anybody waits."""
        return any(not answer.done() for answer in self._waiting.values())

    def give(self, request_id: str, answer: AnyMessage | Unknown) -> None:
        waiting = self._waiting.get(request_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def fail(self, request_id: str, error: Exception) -> None:
        waiting = self._waiting.get(request_id)
        if waiting is not None and not waiting.done():
            waiting.set_exception(error)

    def fail_all(self, error: Exception) -> None:
        for request_id in self._waiting:
            self.fail(request_id, error)
