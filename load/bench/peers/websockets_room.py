"""A room server on `websockets`, with its `broadcast()`, on asyncio's event loop as its documentation recommends."""

from __future__ import annotations

import asyncio
import sys

from websockets.asyncio.server import ServerConnection, broadcast, serve

from load.bench.peers.message import Join, decode, encode, joined, rooms_of

_rooms = rooms_of(ServerConnection)


async def _client(socket: ServerConnection) -> None:
    join = decode(await socket.recv(decode=False))
    if not isinstance(join, Join):
        return
    room = _rooms[join.room_id]
    room.members.add(socket)
    try:
        await socket.send(joined(join).decode())
        async for data in socket:
            command = decode(data)
            if not isinstance(command, Join):
                broadcast(room.members, encode(room.message(join, command.content)).decode())
    finally:
        room.members.discard(socket)


async def _main(port: int) -> None:
    async with serve(_client, "127.0.0.1", port, compression=None, ping_interval=None) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
