"""HTTP/2: what is the latency of a message when many WebSockets share few connections?

Users behave as in `steady` without reading history, but `--streams` of them share one connection (RFC 8441), as the
tabs of a browser do.
"""

from argparse import ArgumentParser
from typing import ClassVar

from gevent.lock import RLock
from locust import events

from load.chat_user import CONNECT_TIMEOUT
from load.plugin import at_least, install
from load.room_user import RoomUser
from load.wire import Http2Connection, WebSocket

install(__file__)


@events.init_command_line_parser.add_listener
def add_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--streams", type=at_least(1), default=50, help="Maximum number of WebSockets on one connection"
    )


class RegularUser(RoomUser):
    """Sends messages in one room."""

    room_prefix = "http2"

    connections: ClassVar[dict[int, Http2Connection]] = {}
    opening: ClassVar[RLock] = RLock()

    def open_socket(self) -> WebSocket:
        index = self.number // self.options.streams
        with self.opening:
            connection = self.connections.get(index)
            if connection is None or connection.is_closed:
                connection = self.connections[index] = Http2Connection.open(self.load_run.address, CONNECT_TIMEOUT)
        return connection.open_websocket(CONNECT_TIMEOUT)
