"""A carrier and a receiver without a socket."""

import contextvars


class FakeCarrier:
    """Implements `Carrier`, and keeps what it was asked for."""

    outlives_its_app = False

    def __init__(self, waiting=0):
        self.context = contextvars.copy_context()
        self.written = b""
        self.waiting = waiting
        self.is_reading = True
        self.calls = []

    def write(self, data):
        self.written += data

    def backlog(self):
        return self.waiting

    def bound(self, backlog_bytes):
        self.calls.append(("bound", backlog_bytes))

    def pause(self):
        self.is_reading = False

    def resume(self):
        self.is_reading = True

    def finish(self, *, peer_is_done):
        self.calls.append(("finish", peer_is_done))

    def abort(self):
        self.calls.append("abort")


class FakeReceiver:
    """Implements `Receiver`: takes what comes, but for the messages whose turn is in `refuses`, the first time."""

    def __init__(self, refuses=()):
        self.told = []
        self.refuses = set(refuses)
        self._messages = 0

    def text(self, text):
        return self._take(text)

    def binary(self, data):
        return self._take(data)

    def _take(self, message):
        if self._messages in self.refuses:
            self.refuses.discard(self._messages)
            return False
        self._messages += 1
        self.told.append(message)
        return True

    def overflowed(self):
        self.told.append("overflowed")

    def ended(self, code):
        self.told.append(code)
