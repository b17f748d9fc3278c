"""An ASGI app that takes its WebSockets over, and abrupt ways for a client to connect and disconnect."""

import asyncio
import socket
import struct
from contextlib import asynccontextmanager
from pathlib import Path

from chat_actors.server.transport import EXTENSION, Bounds, install
from tests.server.transport.apps import eventually

BACKLOG_BYTES = 200_000


class EchoReceiver:
    """Receives the messages of one WebSocket after the take-over. Echoes them; a few texts are instructions."""

    def __init__(self, app):
        self.app = app
        self.calls = []
        self.refuses = False
        self.writer = None
        self.has_ended = asyncio.Event()

    def text(self, text):
        if self.refuses:
            return False
        if text == "refuse the next":
            self.refuses = True
            return True
        self.calls.append(text)
        if text == "fail":
            raise ValueError("asked to fail in a message")
        if text == "close me":
            self.writer.close(4000, "as you wish")
        elif "unreachable" not in self.calls:
            self.writer.write(b"\x81" + bytes([len(text)]) + text.encode())
        return True

    def binary(self, data):
        return self.text(data.decode())

    def overflowed(self):
        self.calls.append("overflowed")
        self.writer.close(4008, "too slow")

    def unreachable(self):
        self.calls.append("unreachable")

    def ended(self, code):
        self.calls.append(code)
        self.has_ended.set()

    async def run(self):
        self.app.running += 1
        try:
            if self.app.fails_in == "run":
                raise ValueError("asked to fail in run")
            await self.has_ended.wait()
        finally:
            self.app.running -= 1


class TakeOverApp:
    """Takes each WebSocket over, once `may_accept`. `fails_in` names a stage in which it raises."""

    def __init__(self, fails_in=None):
        install()
        self.fails_in = fails_in
        self.may_accept = asyncio.Event()
        self.may_accept.set()
        self.bounds = Bounds(frame_bytes=1000, backlog_bytes=BACKLOG_BYTES)
        self.requests = 0
        self.running = 0
        self.receivers = []

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            for stage in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{stage}.complete"})
            return
        control = scope["extensions"][EXTENSION]
        control.limit(self.bounds)
        self.requests += 1
        self._fail("before the accept")
        await self.may_accept.wait()
        await send({"type": "websocket.accept"})
        self._fail("after the accept")
        receiver = EchoReceiver(self)
        self.receivers.append(receiver)
        receiver.writer = control.take_over(receiver, receiver.run)
        self._fail("after the take-over")

    def _fail(self, stage):
        if self.fails_in == stage:
            raise ValueError(f"asked to fail {stage}")

    async def receiver(self, number=0):
        await eventually(lambda: len(self.receivers) > number)
        return self.receivers[number]


def _timers():
    loop = asyncio.get_running_loop()
    return sum(not handle.cancelled() for handle in loop._scheduled)


def _descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


@asynccontextmanager
async def no_leaks():
    """Check that the block leaves no task, file descriptor or timer behind within 10 s."""
    tasks, descriptors, timers = len(asyncio.all_tasks()), _descriptors(), _timers()
    yield
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks)
    await eventually(lambda: _descriptors() <= descriptors)
    await eventually(lambda: _timers() <= timers + 1)  # the deadline of this wait itself


def logged_warnings(caplog):
    """The log records of level WARNING and above."""
    return [record.getMessage() for record in caplog.records if record.levelname not in {"DEBUG", "INFO"}]


def reset(writer):
    """Disconnect with a TCP reset."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
