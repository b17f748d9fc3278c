"""Slow readers: does somebody who never reads cost the others anything?

One in five enters a room and never reads again; the server has to close them. The others talk, in the same rooms, and
must not notice. How soon a slow reader is closed depends on how much is said: `--chars` and `--say-every`.
"""

import time

import gevent

from load import exchanges
from load.chat_line import NoAnswer
from load.chat_user import CONNECT_WITHIN, ChatUser
from load.plugin import install
from load.wire import WebSocket

install(__file__)

PATIENCE = 300.0
LOOK_EVERY = 0.5


class Talker(ChatUser):
    """Reads and talks."""

    weight = 4

    def enter(self) -> None:
        self.line.recover(f"slow-{self.worker}-{self.number // self.options.room_size}")

    def act(self) -> None:
        self.line.listen(self.pause())
        self.line.say(self.options.chars)


class SlowReader(ChatUser):
    """Enters, and never reads."""

    weight = 1

    def open_socket(self) -> WebSocket:
        return WebSocket.open(self.load_run.address, CONNECT_WITHIN, reads_little=True)

    def enter(self) -> None:
        self.line.join(f"slow-{self.worker}-{self.number // self.options.room_size}")

    def act(self) -> None:
        began = time.perf_counter()
        while not self.line.is_gone():
            if (waited := time.perf_counter() - began) > PATIENCE:
                self.failed(exchanges.EVICTION, NoAnswer(PATIENCE))
                return
            gevent.sleep(min(LOOK_EVERY, PATIENCE - waited))
        self.done(exchanges.EVICTION, (time.perf_counter() - began) * 1e3)
        self.leave_line(with_a_word=False)
