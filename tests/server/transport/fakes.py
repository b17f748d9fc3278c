"""Both sides of a `WebSocketProtocol` in memory: a carrier and a receiver."""

from contextvars import copy_context

from chat_actors.server.transport.control import Bounds
from chat_actors.server.transport.websocket_protocol import WebSocketProtocol
from tests.wire.peer import frame_bytes


class FakeCarrier:
    """Implements `Carrier`, and records the calls of its methods, in order."""

    outlives_its_app = False

    def __init__(self, calls=None):
        self.context = copy_context()
        self.calls = [] if calls is None else calls
        self.waiting = 0  # bytes that wait to be sent, as reported by `backlog`
        self.is_reading = True
        self.is_gone = False

    def spawn(self, run):
        raise AssertionError("a WebSocket runs no app")

    def forget_request(self):
        raise AssertionError("a WebSocket knows no request")

    def write(self, data):
        self.calls.append(("write", bytes(data)))

    def is_closing(self):
        return self.is_gone

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
        self.calls.append(("abort",))


class FakeReceiver:
    """Implements `Receiver`, and records the calls of its methods. `refusals`: indices of the messages to refuse."""

    def __init__(self, calls=None, refusals=()):
        self.calls = [] if calls is None else calls
        self.refusals = set(refusals)
        self.messages = 0

    def _accepts(self, kind, message):
        self.messages += 1
        is_accepted = self.messages - 1 not in self.refusals
        self.calls.append((kind if is_accepted else "refused", message))
        return is_accepted

    def text(self, text):
        return self._accepts("text", text)

    def binary(self, data):
        return self._accepts("binary", data)

    def unreachable(self):
        self.calls.append(("unreachable",))

    def overflowed(self):
        self.calls.append(("overflowed",))

    def ended(self, code):
        self.calls.append(("ended", code))


class Rig:
    """A WebSocket between a fake carrier and a fake receiver; `calls` are those of both, in order."""

    def __init__(self, *, refusals=(), **bounds):
        self.calls = []
        self.carrier = FakeCarrier(self.calls)
        self.receiver = FakeReceiver(self.calls, refusals)
        self.websocket = WebSocketProtocol(self.carrier, Bounds(**bounds), FakeReceiver())
        self.websocket.attach(self.receiver)
        self.calls.clear()

    def send(self, opcode, payload=b"", **options):
        self.websocket.received(frame_bytes(opcode, payload, **options))

    def take_calls(self):
        calls, self.calls[:] = list(self.calls), []
        return calls
