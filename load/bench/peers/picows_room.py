"""A room server on picows (WebSockets in Cython) and uvloop."""

from __future__ import annotations

import sys

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from load.bench.peers.message import Join, Room, decode, encode, joined, rooms_of

_rooms = rooms_of(WSTransport)


class _Client(WSListener):
    def __init__(self) -> None:
        self._join: Join | None = None
        self._room: Room[WSTransport] | None = None

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
        elif frame.msg_type == WSMsgType.TEXT:
            self._on_text(transport, frame.get_payload_as_bytes())

    def _on_text(self, transport: WSTransport, data: bytes) -> None:
        command = decode(data)
        if isinstance(command, Join):
            self._join, self._room = command, _rooms[command.room_id]
            self._room.members.add(transport)
            transport.send(WSMsgType.TEXT, joined(command))
        elif self._join is not None and self._room is not None:
            text = encode(self._room.message(self._join, command.content))
            for member in self._room.members:
                member.send(WSMsgType.TEXT, text)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._room is not None:
            self._room.members.discard(transport)


def _listener(_: WSUpgradeRequest) -> _Client:
    return _Client()


async def _main(port: int) -> None:
    server = await ws_create_server(_listener, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1])))
