"""Slow readers: do clients that never read affect the others?

One user in five joins a room and never reads again; the server must evict it. The other users send messages in the same
rooms and must be unaffected. The time until an eviction depends on the message volume: `--chars` and `--say-every`.
"""

import time

import gevent

from load import operations
from load.chat_user import CONNECT_TIMEOUT
from load.outcomes import ResponseTimeout
from load.plugin import install
from load.room_user import RoomUser
from load.wire import ABNORMAL_CLOSURE, Unreachable, UpgradeRefused, WebSocket

install(__file__)

EVICTION_TIMEOUT = 300.0
POLL_INTERVAL = 0.5
TOO_SLOW = 4008


class RegularUser(RoomUser):
    """Reads and sends messages."""

    weight = 4
    room_prefix = "slow"


class SlowReader(RoomUser):
    """Joins a room and never reads."""

    weight = 1
    room_prefix = "slow"

    def open_socket(self) -> WebSocket:
        return WebSocket.open(self.load_run.address, CONNECT_TIMEOUT, small_receive_buffer=True)

    def on_login(self) -> None:
        self.connection.join(self.room_id)

    def act(self) -> None:
        started = time.perf_counter()
        while (close := self.connection.check_closed()) is None:
            if (waited := time.perf_counter() - started) > EVICTION_TIMEOUT:
                self.report_failure(operations.EVICTION, ResponseTimeout(EVICTION_TIMEOUT))
                return
            gevent.sleep(min(POLL_INTERVAL, EVICTION_TIMEOUT - waited))
        ms = (time.perf_counter() - started) * 1e3
        self.disconnect(clean=False)
        if close.code == TOO_SLOW or (close.code == ABNORMAL_CLOSURE and self.is_server_reachable()):
            self.report_success(operations.EVICTION, ms)
        else:
            self.report_failure(operations.EVICTION, close)

    def is_server_reachable(self) -> bool:
        """Whether the server accepts connections.

        The close frame of an eviction is often lost behind the unread data. The client then sees only a TCP reset, as
        it would from a killed server.
        """
        try:
            self.open_socket().close()
        except (Unreachable, UpgradeRefused, TimeoutError):
            return False
        return True
