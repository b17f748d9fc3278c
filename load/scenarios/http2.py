"""HTTP/2: how late is a message when many WebSockets share few connections?

As in `steady`, but `--streams` users share one connection (RFC 8441), as the tabs of a browser do.
"""

from argparse import ArgumentParser
from typing import ClassVar

from gevent.lock import RLock
from locust import events

from load.chat_user import CONNECT_WITHIN
from load.plugin import at_least, install
from load.talker import RoomTalker
from load.wire import Http2Connection, WebSocket

install(__file__)


@events.init_command_line_parser.add_listener
def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--streams", type=at_least(1), default=50, help="WebSockets on one connection, at most")


class Talker(RoomTalker):
    """Stays in one room and talks."""

    rooms = "http2"

    connections: ClassVar[dict[int, Http2Connection]] = {}
    opening: ClassVar[RLock] = RLock()

    def open_socket(self) -> WebSocket:
        place = self.number // self.options.streams
        with self.opening:
            connection = self.connections.get(place)
            if connection is None or connection.is_closed:
                connection = self.connections[place] = Http2Connection.open(self.load_run.address, CONNECT_WITHIN)
        return connection.open_websocket(CONNECT_WITHIN)
