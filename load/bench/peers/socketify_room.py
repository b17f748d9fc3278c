"""A room server on socketify (uWebSockets, C++), which uses its publish/subscribe.

It runs only the event loop of uWebSockets, since nothing here needs asyncio. `app.run()` would poll that loop and
asyncio's in turn without ever blocking, which uses a whole core at any load.
"""

from __future__ import annotations

import sys
from typing import Any

from socketify import App, AppListenOptions, CompressOptions, OpCode

from load.bench.peers.message import Join, decode, encode, joined, rooms_of

_BACKPRESSURE = 64 << 20
"""Maximum backlog of a client in bytes. uWebSockets drops messages above it, which must not happen here."""

_rooms = rooms_of(str)
_app = App()


def _on_message(socket: Any, message: str | bytes, _: Any) -> None:
    command = decode(message)
    if isinstance(command, Join):
        socket.get_user_data()["join"] = command
        socket.subscribe(command.room_id)
        socket.send(joined(command), OpCode.TEXT)
        return
    join: Join | None = socket.get_user_data().get("join")
    if join is not None:
        _app.publish(join.room_id, encode(_rooms[join.room_id].message(join, command.content)), OpCode.TEXT)


def _upgrade(response: Any, request: Any, context: Any) -> None:
    key = request.get_header("sec-websocket-key")
    protocol = request.get_header("sec-websocket-protocol")
    extensions = request.get_header("sec-websocket-extensions")
    response.upgrade(key, protocol, extensions, context, {})


if __name__ == "__main__":
    _app.ws(
        "/ws",
        {
            "compression": CompressOptions.DISABLED,
            "max_payload_length": 65536,
            "max_backpressure": _BACKPRESSURE,
            "idle_timeout": 0,
            "send_pings_automatically": False,
            "upgrade": _upgrade,
            "message": _on_message,
        },
    )
    _app.listen(AppListenOptions(port=int(sys.argv[1]), host="127.0.0.1"), lambda _: None)
    _app.loop.uv_loop.run()
