"""A room server on python-socketio, deployed as its documentation recommends: an ASGI app on `uvicorn[standard]`."""

from __future__ import annotations

import sys
from typing import Any

import orjson
import socketio
import uvicorn

from load.bench.peers.message import ChatMessage, Join, rooms_of


class _Json:
    """Adapts orjson to the interface that python-socketio expects of a JSON module."""

    @staticmethod
    def dumps(value: Any, **_: Any) -> str:
        return str(orjson.dumps(value), "utf-8")

    @staticmethod
    def loads(text: str, **_: Any) -> Any:
        return orjson.loads(text)


_server = socketio.AsyncServer(
    async_mode="asgi",
    json=_Json,
    http_compression=False,
    ping_interval=3600,
    logger=False,
    engineio_logger=False,
)
_rooms = rooms_of(str)
_joined: dict[str, Join] = {}


@_server.event
async def join(sid: str, data: dict[str, str]) -> None:
    _joined[sid] = Join(data["userId"], data["roomId"])
    await _server.enter_room(sid, data["roomId"])
    await _server.emit("joined", data, to=sid)


@_server.event
async def chat_message(sid: str, data: dict[str, str]) -> None:
    join = _joined[sid]
    await _server.emit("chat_message", _fields(_rooms[join.room_id].message(join, data["content"])), room=join.room_id)


@_server.event
async def disconnect(sid: str, reason: str) -> None:
    _joined.pop(sid, None)


def _fields(message: ChatMessage) -> dict[str, str | int]:
    return {
        "userId": message.user_id,
        "roomId": message.room_id,
        "content": message.content,
        "timestamp": message.timestamp,
        "seq": message.seq,
    }


if __name__ == "__main__":
    uvicorn.run(
        socketio.ASGIApp(_server),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="warning",
        access_log=False,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        backlog=1024,
    )
