"""Both sides of a `WebSocketProtocol` in memory: a carrier and a receiver."""

from contextvars import copy_context

from chat_actors.server.transport.control import Bounds
from chat_actors.server.transport.websocket_protocol import WebSocketProtocol
from tests.wire.peer import frame_bytes


class FakeCarrier:
    """Implements `Carrier`: keeps what it is told, in order. `told` is shared with the receiver."""

    outlives_its_app = False

    def __init__(self, told=None):
        self.context = copy_context()
        self.told = [] if told is None else told
        self.waiting = 0  # bytes that it says are waiting to be sent
        self.is_reading = True
        self.is_gone = False

    def spawn(self, run):
        raise AssertionError("a WebSocket runs no app")

    def forget_request(self):
        raise AssertionError("a WebSocket knows no request")

    def write(self, data):
        self.told.append(("write", bytes(data)))

    def is_closing(self):
        return self.is_gone

    def backlog(self):
        return self.waiting

    def bound(self, backlog_bytes):
        self.told.append(("bound", backlog_bytes))

    def pause(self):
        self.is_reading = False

    def resume(self):
        self.is_reading = True

    def finish(self, *, peer_is_done):
        self.told.append(("finish", peer_is_done))

    def abort(self):
        self.told.append(("abort",))


class FakeReceiver:
    """Implements `Receiver`: keeps what it is told, in order. It refuses the messages whose turns are in `refusals`."""

    def __init__(self, told=None, refusals=()):
        self.told = [] if told is None else told
        self.refusals = set(refusals)
        self.offers = 0

    def _offered(self, kind, message):
        self.offers += 1
        taken = self.offers - 1 not in self.refusals
        self.told.append((kind if taken else "refused", message))
        return taken

    def text(self, text):
        return self._offered("text", text)

    def binary(self, data):
        return self._offered("binary", data)

    def unreachable(self):
        self.told.append(("unreachable",))

    def overflowed(self):
        self.told.append(("overflowed",))

    def ended(self, code):
        self.told.append(("ended", code))


class Rig:
    """A WebSocket between fakes; `told` is all that either was told, in order."""

    def __init__(self, *, refusals=(), **bounds):
        self.told = []
        self.carrier = FakeCarrier(self.told)
        self.receiver = FakeReceiver(self.told, refusals)
        self.websocket = WebSocketProtocol(self.carrier, Bounds(**bounds), FakeReceiver())
        self.websocket.attach(self.receiver)
        self.told.clear()

    def send(self, opcode, payload=b"", **options):
        self.websocket.received(frame_bytes(opcode, payload, **options))

    def take_told(self):
        told, self.told[:] = list(self.told), []
        return told
