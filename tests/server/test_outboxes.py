"""The contract of `chat_actors.chat.Outbox`, tested on every implementation."""

import asyncio
from functools import partial

import anyio
import pytest
from quart import Quart, websocket

from chat_actors.chat import Block, Closing, Limits, QueueOutbox
from chat_actors.chat.held_outbox import HeldOutbox
from chat_actors.protocol import CloseCode
from chat_actors.server.connection import DirectConnection
from chat_actors.server.transport import EXTENSION, Bounds, ChatWebsocketConnection, install
from tests.patience import PATIENCE
from tests.wire.http1 import open_http1
from tests.wire.http2 import Http2Connection
from tests.wire.live_server import LiveServer
from tests.wire.peer import CLOSE, Peer

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


class QueueLink:
    """A queue outbox, emptied by the test. A link is an outbox and the client at its other end."""

    async def open(self):
        self.outbox = QueueOutbox(BACKLOG)

    def backlog(self):
        return self.outbox.backlog

    async def stall(self):
        pass  # the test reads only at the end

    async def disconnect(self):
        self.outbox.close(CloseCode.NORMAL, "the client has disconnected")  # like the connection after a disconnect

    async def read_all(self):
        texts = []
        while not isinstance(taken := await self.outbox.take(), Closing):
            texts += taken
        return texts, (int(taken.code), taken.reason)

    async def aclose(self):
        pass


class FakeFrameWriter:
    """Implements `FrameWriter`. While it is stalled, no byte reaches the peer."""

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


class FakeLink:
    """A `FrameOutbox` on a fake writer."""

    def __init__(self, *, is_compressed=False):
        self._is_compressed = is_compressed

    async def open(self):
        connection = DirectConnection("192.0.2.1", LIMITS)
        self.writer = FakeFrameWriter(connection, self._is_compressed)
        self.outbox = connection.outbox
        self._connection = connection
        connection.take_over(self, Session())

    def take_over(self, receiver, run):
        """Implements `Control.take_over`."""
        return self.writer

    def backlog(self):
        return len(self.writer.waits)

    async def stall(self):
        self.writer.is_stalled = True

    async def disconnect(self):
        self._connection.ended(1006)

    async def read_all(self):
        self.writer.flush()
        return await texts_and_close(self.writer.peer)

    async def aclose(self):
        pass


class HeldLink(FakeLink):
    """The same behind a `HeldOutbox` that has been released."""

    async def open(self):
        await super().open()
        self.outbox = HeldOutbox(self.outbox, BACKLOG)
        self.outbox.release()


async def texts_and_close(peer):
    """The texts that a peer receives, and the code and reason of the Close frame; None if there was none."""
    texts = []
    while (frame := await peer.receive()) is not None:
        if frame.opcode == CLOSE:
            return texts, (int.from_bytes(frame.payload[:2], "big"), frame.payload[2:].decode())
        texts.append(frame.payload.decode())
    return texts, None


class SocketLink:
    """A connection to a real server."""

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

    async def disconnect(self):
        await self.peer.abort()

    async def read_all(self):
        self.resume()
        return await texts_and_close(self.peer)


class Http1Link(SocketLink):
    async def connect(self, port):
        self.peer = await open_http1(port, receive_buffer=4096)

    async def stall(self):
        self.peer._writer.transport.pause_reading()

    def resume(self):
        self.peer._writer.transport.resume_reading()

    async def aclose(self):
        await self.peer.aclose()
        await self._server.__aexit__()


class Http2Link(SocketLink):
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


LINKS = {
    "queue": QueueLink,
    "fake": FakeLink,
    "compressed": partial(FakeLink, is_compressed=True),
    "held": HeldLink,
    "http1": Http1Link,
    "http2": Http2Link,
}


@pytest.fixture(params=LINKS.values(), ids=LINKS.keys())
async def link(request):
    link = request.param()
    await link.open()
    yield link
    await link.aclose()


def block_of(*texts):
    return Block([text.encode() for text in texts])


@pytest.mark.parametrize("reads_late", [False, True])
async def test_blocks_arrive_in_order_before_the_close(link, reads_late):
    if reads_late:
        await link.stall()
    offered = []
    for n in range(200):
        texts = [f"{n}.{m} " + "ü" * (n % 70) for m in range(n % 4 + 1)]
        assert link.outbox.offer(block_of(*texts))
        offered += texts
    link.outbox.close(CloseCode.SERVICE_RESTART, "retry after 5")
    assert await link.read_all() == (offered, (1012, "retry after 5"))


async def test_outbox_refuses_blocks_after_the_first_close(link):
    assert link.outbox.closing is None
    assert link.outbox.offer(block_of("before"))
    link.outbox.close(CloseCode.NORMAL, "bye")
    assert not link.outbox.offer(block_of("after"))
    link.outbox.close(CloseCode.INTERNAL_ERROR, "again")
    assert link.outbox.closing == Closing(CloseCode.NORMAL, "bye")
    assert await link.read_all() == (["before"], (1000, "bye"))


async def test_blocks_of_all_frame_lengths_arrive_whole(link):
    texts = ["", "x" * 125, "x" * 126, "x" * 65_535, "x" * 65_536]
    for text in texts:
        assert link.outbox.offer(block_of(text))
    link.outbox.close(CloseCode.NORMAL, "")
    assert (await link.read_all())[0] == texts


@pytest.mark.parametrize("in_one_turn", [True, False])
async def test_stalled_client_is_evicted_without_a_hole(link, in_one_turn):
    await link.stall()
    offered, taken, most = [], 0, 0
    block_bytes = 4000
    while link.outbox.closing is None:
        assert len(offered) < 50_000, "never full"
        offered.append(f"{len(offered):>{block_bytes}}")
        taken += link.outbox.offer(block_of(offered[-1]))
        most = max(most, link.backlog())
        if not in_one_turn:
            await asyncio.sleep(0)
    assert taken == len(offered) - 1
    assert link.outbox.closing.code is CloseCode.TOO_SLOW
    assert not link.outbox.offer(block_of("too late"))
    assert BACKLOG - block_bytes <= most + block_bytes
    assert most <= BACKLOG + block_bytes + 200, "the block that was too much, and the Close"
    texts, closed = await link.read_all()
    assert texts == offered[: len(texts)]
    assert closed is None or closed[0] == 4008


async def test_backlog_counts_the_waiting_bytes(link):
    assert link.outbox.backlog == 0
    await link.stall()
    texts = [f"{n:>4000}" for n in range(30)]
    for text in texts:
        assert link.outbox.offer(block_of(text))
    assert link.outbox.backlog == link.backlog()
    assert link.backlog() or isinstance(link, SocketLink), "a system has buffers of its own"
    link.outbox.close(CloseCode.NORMAL, "")
    assert (await link.read_all())[0] == texts


@pytest.mark.parametrize("link", [Http1Link, Http2Link], indirect=True, ids=["http1", "http2"])
async def test_reading_client_is_not_evicted(link):
    for n in range(100):
        assert link.outbox.offer(block_of(f"{n:>4000}"))
        assert int(await link.peer.receive_text()) == n


async def test_disconnected_outbox_does_not_raise(link):
    link.outbox.offer(block_of("before"))
    await link.disconnect()
    for _ in range(20):
        link.outbox.offer(block_of("x" * 1000))  # the server may not have noticed the disconnect yet
    async with asyncio.timeout(PATIENCE):
        while link.outbox.closing is None:
            link.outbox.offer(block_of("probe"))
            await asyncio.sleep(0)
    assert not link.outbox.offer(block_of("after"))
    link.outbox.close(CloseCode.SERVICE_RESTART, "retry after 5")
    assert link.outbox.closing.code is CloseCode.NORMAL
