"""The contract of `chat_actors.chat.Outbox`, tested on every implementation."""

import asyncio
from functools import partial

import anyio
import pytest
from quart import Quart, websocket

from chat_actors.chat import Block, Closing, Limits, QueueOutbox
from chat_actors.chat.recovery import HeldOutbox
from chat_actors.protocol import CloseCode
from chat_actors.server.connection import DirectConnection
from chat_actors.server.transport import EXTENSION, Bounds, ChatWebsocketConnection, install
from tests.wire.http1 import open_http1
from tests.wire.http2 import Http2Connection
from tests.wire.live_server import LiveServer
from tests.wire.peer import CLOSE, WITHIN, Peer

pytestmark = pytest.mark.anyio
BACKLOG = 150_000
LIMITS = Limits(backlog_bytes=BACKLOG)


class Session:
    """Replaces the session's `Hosted` and `Ref`: the parts that a connection uses."""

    def __init__(self):
        self.path = "/sessions/session-1"
        self.is_stopped = False
        self._stopped = anyio.Event()

    @property
    def ref(self):
        return self

    def deliver_nowait(self, message):
        return True

    def stop(self):
        self.is_stopped = True
        self._stopped.set()

    async def run(self):
        await self._stopped.wait()


class QueueLane:
    """Lane three, with a writer that stops and goes on."""

    async def open(self):
        self.outbox = QueueOutbox(BACKLOG)

    def backlog(self):
        return self.outbox.backlog

    async def stall(self):
        pass  # the test reads only at the end

    async def vanish(self):
        self.outbox.close(CloseCode.NORMAL, "the client has disconnected")  # like the connection after a disconnect

    async def everything(self):
        texts = []
        while not isinstance(taken := await self.outbox.take(), Closing):
            texts += taken
        return texts, (int(taken.code), taken.reason)

    async def aclose(self):
        pass


class FakeFrameWriter:
    """Implements `FrameWriter`: a socket that takes all, or nothing."""

    def __init__(self, receiver, is_compressed):
        self.peer = Peer(101, {"sec-websocket-extensions": "permessage-deflate"} if is_compressed else {})
        self.is_compressed = is_compressed
        self.is_stalled = False
        self.waits = bytearray()
        self._receiver = receiver
        self.is_closed = False

    def write(self, data):
        assert not self.is_closed, "written behind a Close"
        self.waits += data
        if not self.is_stalled:
            self.flush()
        elif len(self.waits) > BACKLOG:
            self._receiver.overflowed()

    def backlog(self):
        return len(self.waits)

    def flush(self):
        self.peer.feed(bytes(self.waits))
        self.waits.clear()

    def close(self, code, reason):
        assert not self.is_closed, "closed twice"
        self.is_closed = True
        payload = code.to_bytes(2, "big") + reason.encode()
        self.waits += bytes((0x80 | CLOSE, len(payload))) + payload
        if not self.is_stalled:
            self.flush()

    def resume(self):
        pass


class FakeLane:
    """A line without a socket."""

    def __init__(self, *, is_compressed=False):
        self._is_compressed = is_compressed

    async def open(self):
        connection = DirectConnection("192.0.2.1", LIMITS)
        self.writer = FakeFrameWriter(connection, self._is_compressed)
        self.outbox = connection.outbox
        self._connection = connection
        connection.take_over(self, Session())

    def take_over(self, receiver, run):
        """As `Control` has it."""
        return self.writer

    def backlog(self):
        return len(self.writer.waits)

    async def stall(self):
        self.writer.is_stalled = True

    async def vanish(self):
        self._connection.ended(1006)

    async def everything(self):
        self.writer.flush()
        return await texts_and_close(self.writer.peer)

    async def aclose(self):
        pass


class HeldLane(FakeLane):
    """A line behind an outbox that has held back for a while, and does not any more."""

    async def open(self):
        await super().open()
        self.outbox = HeldOutbox(self.outbox, BACKLOG)
        self.outbox.release()


async def texts_and_close(peer):
    """The texts of a peer up to the close; that is None if the connection was cut."""
    texts = []
    while (frame := await peer.receive()) is not None:
        if frame.opcode == CLOSE:
            return texts, (int.from_bytes(frame.payload[:2], "big"), frame.payload[2:].decode())
        texts.append(frame.payload.decode())
    return texts, None


class SocketLane:
    """A line on a real server."""

    async def open(self):
        install()
        app = Quart(__name__)
        app.asgi_websocket_class = ChatWebsocketConnection
        connection = DirectConnection("192.0.2.1", LIMITS)
        self.outbox = connection.outbox
        is_open = asyncio.Event()

        @app.websocket("/ws")
        async def handle():
            socket = websocket._get_current_object()
            self.control = socket.scope["extensions"][EXTENSION]
            self.control.limit(Bounds(backlog_bytes=BACKLOG))
            await socket.accept()
            connection.take_over(self.control, Session())
            is_open.set()

        self._server = LiveServer(app)
        await self._server.__aenter__()
        await self.connect(self._server.port)
        await is_open.wait()

    def backlog(self):
        return self.control.backlog()

    async def vanish(self):
        await self.peer.abort()

    async def everything(self):
        self.resume()
        return await texts_and_close(self.peer)


class Http1Lane(SocketLane):
    async def connect(self, port):
        self.peer = await open_http1(port, receive_buffer=4096)

    async def stall(self):
        self.peer._writer.transport.pause_reading()

    def resume(self):
        self.peer._writer.transport.resume_reading()

    async def aclose(self):
        await self.peer.aclose()
        await self._server.__aexit__()


class Http2Lane(SocketLane):
    async def connect(self, port):
        self.connection = await Http2Connection.open(port)
        self.peer = await self.connection.open_websocket()

    async def stall(self):
        self.connection.pause_reading()

    def resume(self):
        self.connection.resume_reading()

    async def aclose(self):
        await self.connection.aclose()
        await self._server.__aexit__()


LANES = {
    "queue": QueueLane,
    "line": FakeLane,
    "compressed line": partial(FakeLane, is_compressed=True),
    "held": HeldLane,
    "http1": Http1Lane,
    "http2": Http2Lane,
}


@pytest.fixture(params=LANES.values(), ids=LANES.keys())
async def lane(request):
    lane = request.param()
    await lane.open()
    yield lane
    await lane.aclose()


def block_of(*texts):
    return Block([text.encode() for text in texts])


@pytest.mark.parametrize("reads_late", [False, True])
async def test_blocks_arrive_in_order_before_the_close(lane, reads_late):
    if reads_late:
        await lane.stall()
    offered = []
    for n in range(200):
        texts = [f"{n}.{m} " + "ü" * (n % 70) for m in range(n % 4 + 1)]
        assert lane.outbox.offer(block_of(*texts))
        offered += texts
    lane.outbox.close(CloseCode.SERVICE_RESTART, "retry after 5")
    assert await lane.everything() == (offered, (1012, "retry after 5"))


async def test_outbox_refuses_blocks_after_the_first_close(lane):
    assert lane.outbox.closing is None
    assert lane.outbox.offer(block_of("before"))
    lane.outbox.close(CloseCode.NORMAL, "bye")
    assert not lane.outbox.offer(block_of("after"))
    lane.outbox.close(CloseCode.INTERNAL_ERROR, "again")
    assert lane.outbox.closing == Closing(CloseCode.NORMAL, "bye")
    assert await lane.everything() == (["before"], (1000, "bye"))


async def test_blocks_of_all_frame_lengths_arrive_whole(lane):
    texts = ["", "x" * 125, "x" * 126, "x" * 65_535, "x" * 65_536]
    for text in texts:
        assert lane.outbox.offer(block_of(text))
    lane.outbox.close(CloseCode.NORMAL, "")
    assert (await lane.everything())[0] == texts


@pytest.mark.parametrize("in_one_turn", [True, False])
async def test_stalled_client_is_evicted_without_a_hole(lane, in_one_turn):
    await lane.stall()
    offered, taken, most = [], 0, 0
    block_bytes = 4000
    while lane.outbox.closing is None:
        assert len(offered) < 50_000, "never full"
        offered.append(f"{len(offered):>{block_bytes}}")
        taken += lane.outbox.offer(block_of(offered[-1]))
        most = max(most, lane.backlog())
        if not in_one_turn:
            await asyncio.sleep(0)
    assert taken == len(offered) - 1
    assert lane.outbox.closing.code is CloseCode.TOO_SLOW
    assert not lane.outbox.offer(block_of("too late"))
    assert BACKLOG - block_bytes <= most + block_bytes
    assert most <= BACKLOG + block_bytes + 200, "the block that was too much, and the Close"
    texts, closed = await lane.everything()
    assert texts == offered[: len(texts)]
    assert closed is None or closed[0] == 4008


async def test_backlog_counts_the_waiting_bytes(lane):
    assert lane.outbox.backlog == 0
    await lane.stall()
    texts = [f"{n:>4000}" for n in range(30)]
    for text in texts:
        assert lane.outbox.offer(block_of(text))
    assert lane.outbox.backlog == lane.backlog()
    assert lane.backlog() or isinstance(lane, SocketLane), "a system has buffers of its own"
    lane.outbox.close(CloseCode.NORMAL, "")
    assert (await lane.everything())[0] == texts


@pytest.mark.parametrize("lane", [Http1Lane, Http2Lane], indirect=True, ids=["http1", "http2"])
async def test_reading_client_is_not_evicted(lane):
    for n in range(100):
        assert lane.outbox.offer(block_of(f"{n:>4000}"))
        assert int(await lane.peer.receive_text()) == n


async def test_disconnected_outbox_does_not_raise(lane):
    lane.outbox.offer(block_of("before"))
    await lane.vanish()
    for _ in range(20):
        lane.outbox.offer(block_of("x" * 1000))  # whether or not it has been noticed yet
    async with asyncio.timeout(WITHIN):
        while lane.outbox.closing is None:
            lane.outbox.offer(block_of("are you there?"))
            await asyncio.sleep(0)
    assert not lane.outbox.offer(block_of("after"))
    lane.outbox.close(CloseCode.SERVICE_RESTART, "retry after 5")
    assert lane.outbox.closing.code is CloseCode.NORMAL
