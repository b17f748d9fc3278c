"""Slow readers: does somebody who never reads cost the others anything?

One in five enters a room and never reads again; the server has to close them. The others talk, in the same rooms, and
must not notice. How soon a slow reader is closed depends on how much is said: `--chars` and `--say-every`.
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
    """Reads and talks."""

    weight = 4
    room_prefix = "slow"


class SlowReader(RoomUser):
    """Enters, and never reads."""

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
        """A close frame rarely fits into what is not read, and then only the reset arrives: as from a killed server."""
        try:
            self.open_socket().close()
        except (Unreachable, UpgradeRefused, TimeoutError):
            return False
        return True
