"""Slow readers: does somebody who never reads cost the others anything?

One in five enters a room and never reads again; the server has to close them. The others talk, in the same rooms, and
must not notice. How soon a slow reader is closed depends on how much is said: `--chars` and `--say-every`.
"""

import time

import gevent

from load import exchanges
from load.chat_line import NoAnswer
from load.chat_user import CONNECT_WITHIN
from load.plugin import install
from load.talker import RoomTalker
from load.wire import NO_CLOSE, NotAccepted, Unreachable, WebSocket

install(__file__)

PATIENCE = 300.0
LOOK_EVERY = 0.5
TOO_SLOW = 4008


class Talker(RoomTalker):
    """Reads and talks."""

    weight = 4
    rooms = "slow"


class SlowReader(RoomTalker):
    """Enters, and never reads."""

    weight = 1
    rooms = "slow"

    def open_socket(self) -> WebSocket:
        return WebSocket.open(self.load_run.address, CONNECT_WITHIN, reads_little=True)

    def enter(self) -> None:
        self.line.join(self.room_id)

    def act(self) -> None:
        began = time.perf_counter()
        while (end := self.line.end_without_reading()) is None:
            if (waited := time.perf_counter() - began) > PATIENCE:
                self.failed(exchanges.EVICTION, NoAnswer(PATIENCE))
                return
            gevent.sleep(min(LOOK_EVERY, PATIENCE - waited))
        ms = (time.perf_counter() - began) * 1e3
        self.leave_line(with_a_word=False)
        if end.code == TOO_SLOW or (end.code == NO_CLOSE and self.server_is_there()):
            self.done(exchanges.EVICTION, ms)
        else:
            self.failed(exchanges.EVICTION, end)

    def server_is_there(self) -> bool:
        """A close frame rarely fits into what is not read, and then only the reset arrives: as from a killed server."""
        try:
            self.open_socket().close()
        except (Unreachable, NotAccepted, TimeoutError):
            return False
        return True
