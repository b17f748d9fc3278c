"""A room server on Starlette and `uvicorn[standard]` (uvloop, httptools, websockets).

It sends in a plain loop of `await member.send_text(text)`; `asyncio.gather` over the members costs twice as much.
"""

from __future__ import annotations

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from load.bench.peers.message import Join, decode, encode, joined, rooms_of

_rooms = rooms_of(WebSocket)


async def _client(socket: WebSocket) -> None:
    await socket.accept()
    join = decode(await socket.receive_text())
    if not isinstance(join, Join):
        return
    room = _rooms[join.room_id]
    room.members.add(socket)
    try:
        await socket.send_text(joined(join).decode())
        while True:
            command = decode(await socket.receive_text())
            if not isinstance(command, Join):
                text = encode(room.message(join, command.content)).decode()
                for member in tuple(room.members):
                    try:
                        await member.send_text(text)
                    except (WebSocketDisconnect, RuntimeError):
                        room.members.discard(member)
    except WebSocketDisconnect:
        pass
    finally:
        room.members.discard(socket)


if __name__ == "__main__":
    uvicorn.run(
        Starlette(routes=[WebSocketRoute("/ws", _client)]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="warning",
        access_log=False,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        backlog=1024,
    )
