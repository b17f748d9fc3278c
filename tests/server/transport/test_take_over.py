"""An app that takes its WebSockets over, and clients that misbehave at every stage, over real sockets."""

import asyncio
import gc
import weakref

import pytest

from chat_actors.server.transport import EXTENSION
from tests.server.transport.apps import eventually
from tests.server.transport.receivers import TakeOverApp, logged_warnings, no_leaks, reset
from tests.wire.certificate import client_context, write_certificate
from tests.wire.http1 import open_http1, upgrade_request
from tests.wire.http2 import Http2Connection, connect_fields, open_http2
from tests.wire.live_server import LiveServer
from tests.wire.peer import CLOSE, PING, TEXT, frame_bytes

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return write_certificate(tmp_path_factory.mktemp("certificate"))


class Served:
    """A served app, and clients of it over one protocol."""

    def __init__(self, app, port, protocol, tls):
        self.app = app
        self.port = port
        self.is_http2 = protocol.startswith("http2")
        self.tls = tls
        self.writer = None  # the raw socket of the last client

    async def open(self):
        """A client whose WebSocket is open."""
        if self.is_http2:
            peer = await open_http2(self.port, tls=self.tls)
            self.writer = peer.connection._writer
        else:
            peer = await open_http1(self.port, tls=self.tls)
            self.writer = peer._writer
        return peer

    async def request(self, more=b""):
        """Request a WebSocket, with `more` in the same write, and do not wait for the answer. Returns how to close."""
        if self.is_http2:
            connection = await Http2Connection.open(self.port, self.tls)
            self.writer = connection._writer
            connection.h2.send_headers(1, connect_fields())
            if more:
                connection.h2.send_data(1, more)
            await connection.flush()
            return connection.aclose
        host = {"ssl": self.tls, "server_hostname": "localhost"} if self.tls else {}
        _, self.writer = await asyncio.open_connection("127.0.0.1", self.port, **host)
        self.writer.write(upgrade_request() + more)

        async def aclose():
            self.writer.transport.abort()

        return aclose

    async def disconnect(self, how):
        match how:
            case "reset":
                reset(self.writer)
            case "end":
                self.writer.close()


@pytest.fixture(params=["http1", "http2", "http1 tls", "http2 tls"])
async def served(request, certificate, caplog):
    protocol = request.param
    options, tls = {}, None
    if protocol.endswith("tls"):
        options = {"certfile": str(certificate[0]), "keyfile": str(certificate[1])}
        tls = client_context(certificate[0], "h2" if protocol.startswith("http2") else "http/1.1")
    app = TakeOverApp()
    async with LiveServer(app, **options) as server, no_leaks():
        yield Served(app, server.port, protocol, tls)
    assert app.running == 0


abruptly = pytest.mark.parametrize("how", ["reset", "end"])


async def test_echo_returns_what_was_sent(served, caplog):
    peer = await served.open()
    for n in range(100):
        await peer.send_text(f"{n}")
    assert [await peer.receive_text() for _ in range(100)] == [str(n) for n in range(100)]
    await peer.close()
    await peer.aclose()
    assert logged_warnings(caplog) == []


@abruptly
@pytest.mark.parametrize("more", [b"", frame_bytes(TEXT, b"early")], ids=["", "with data"])
async def test_disconnect_after_the_request_is_no_error(served, how, more, caplog):
    await served.request(more)
    await served.disconnect(how)
    if how == "end":  # a reset may overtake the request
        receiver = await served.app.receiver()
        await eventually(receiver.has_ended.is_set)
        assert receiver.calls == [1006]
    assert logged_warnings(caplog) == []


@abruptly
async def test_disconnect_before_the_accept_is_no_error(served, how, caplog):
    served.app.may_accept.clear()
    await served.request()
    await eventually(lambda: served.app.requests == 1)
    await served.disconnect(how)
    await asyncio.sleep(0.02)  # usually enough for the server to notice; the test holds in both cases
    served.app.may_accept.set()
    receiver = await served.app.receiver()
    await eventually(receiver.has_ended.is_set)
    assert receiver.calls == [1006]
    assert logged_warnings(caplog) == []


@abruptly
async def test_disconnect_after_the_accept_is_1006(served, how, caplog):
    await served.open()
    receiver = await served.app.receiver()
    await served.disconnect(how)
    await eventually(receiver.has_ended.is_set)
    assert receiver.calls == [1006]
    assert logged_warnings(caplog) == []


@abruptly
async def test_disconnect_while_paused_is_no_error(served, how, caplog):
    peer = await served.open()
    await peer.write(frame_bytes(TEXT, b"refuse the next") + frame_bytes(TEXT, b"x") * 5)
    receiver = await served.app.receiver()
    await eventually(lambda: receiver.writer.is_paused)
    await served.disconnect(how)
    for _ in range(20):  # other tasks still write to it
        if "unreachable" not in receiver.calls:
            receiver.writer.write(b"\x81\x01x")
        await asyncio.sleep(0.001)
    receiver.refuses = False
    receiver.writer.resume()
    await eventually(receiver.has_ended.is_set)
    assert receiver.calls[-1] == 1006
    assert logged_warnings(caplog) == []


@abruptly
async def test_disconnect_while_overflowing_is_no_error(served, how, caplog):
    peer = await served.open()
    peer.stop_reading()
    receiver = await served.app.receiver()
    while "overflowed" not in receiver.calls:
        receiver.writer.write(b"\x82\x7e\xff\xff" + bytes(65535))
        await asyncio.sleep(0)
    await served.disconnect(how)
    await eventually(receiver.has_ended.is_set)
    assert receiver.calls[0] == "overflowed"
    assert logged_warnings(caplog) == []


async def test_overflowing_client_is_cut_within_linger(served, caplog):
    peer = await served.open()
    peer.stop_reading()
    receiver = await served.app.receiver()
    while "overflowed" not in receiver.calls:
        receiver.writer.write(b"\x82\x7e\xff\xff" + bytes(65535))
        await asyncio.sleep(0)
    async with asyncio.timeout(1.5):
        await receiver.has_ended.wait()
    await peer.aclose()
    assert logged_warnings(caplog) == []


@abruptly
async def test_disconnect_instead_of_a_close_is_no_error(served, how, caplog):
    peer = await served.open()
    await peer.send_text("close me")
    assert await peer.receive_close() == (4000, "as you wish")
    await served.disconnect(how)
    receiver = await served.app.receiver()
    await eventually(receiver.has_ended.is_set)
    assert receiver.calls[0] == "close me"
    assert logged_warnings(caplog) == []


async def test_client_that_ignores_our_close_is_cut(served, caplog):
    peer = await served.open()
    await peer.send_text("close me")
    await peer.receive_close()
    await peer.write(frame_bytes(TEXT, b"I go on") * 10)
    receiver = await served.app.receiver()
    async with asyncio.timeout(1.5):
        await receiver.has_ended.wait()
    assert receiver.calls == ["close me", 1006]
    await peer.aclose()
    assert logged_warnings(caplog) == []


async def test_data_after_a_client_close_is_dropped(served, caplog):
    peer = await served.open()
    close = frame_bytes(CLOSE, b"\x0f\xa1")
    await peer.write(frame_bytes(TEXT, b"first") + close + frame_bytes(TEXT, b"ghost") + close + b"\xff" * 100)
    assert await peer.receive_text() == "first"
    assert (await peer.receive_close())[0] == 4001
    receiver = await served.app.receiver()
    await eventually(receiver.has_ended.is_set)
    assert receiver.calls == ["first", 4001]
    await peer.aclose()
    assert logged_warnings(caplog) == []


async def test_half_closed_client_is_read_to_the_end(served, caplog):
    peer = await served.open()
    await peer.write(b"".join(frame_bytes(TEXT, b"%d" % n) for n in range(200)))
    if served.tls and not served.is_http2:
        served.writer.close()
    else:
        await peer.half_close()
    receiver = await served.app.receiver()
    await eventually(receiver.has_ended.is_set)
    assert [what for what in receiver.calls if what != "unreachable"] == [*(str(n) for n in range(200)), 1006]
    if not served.tls:
        assert [await peer.receive_text() for _ in range(200)] == [str(n) for n in range(200)]
    await peer.aclose()
    assert logged_warnings(caplog) == []


async def test_burst_of_tiny_frames_delays_no_other_client(served, caplog):
    peer, other = await served.open(), await served.open()
    sending = asyncio.create_task(peer.write(frame_bytes(TEXT, b"x") * 5000 + frame_bytes(TEXT, b"last")))
    await other.send_text("me too")
    assert await other.receive_text() == "me too"
    receiver = await served.app.receiver()
    assert "last" not in receiver.calls
    await eventually(lambda: receiver.calls[-1:] == ["last"])
    assert len(receiver.calls) == 5001
    await sending
    for one in (peer, other):
        await one.aclose()
    assert logged_warnings(caplog) == []


async def test_ping_flood_is_bounded_and_delays_no_other(served, caplog):
    peer, other = await served.open(), await served.open()
    peer.stop_reading()
    sending = asyncio.create_task(peer.write(frame_bytes(PING, b"x" * 125) * 5000))
    await other.send_text("me too")
    assert await other.receive_text() == "me too"
    receiver = await served.app.receiver()
    assert receiver.writer.backlog() < 70_000
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    for one in (peer, other):
        await one.aclose()
    if not served.tls:  # asyncio's TLS knows a turn later that the socket under it has failed
        assert logged_warnings(caplog) == []


@pytest.mark.parametrize("stage", ["before the accept", "after the accept", "after the take-over", "run"])
async def test_crashing_app_is_logged_once(served, stage, caplog):
    served.app.fails_in = stage
    peer = await served.open()
    if stage == "before the accept":
        assert peer.status == 500
        await peer.wait_ended()
    else:
        assert (await peer.receive_close())[0] == 1011
    await peer.aclose()
    await eventually(lambda: logged_warnings(caplog) != [])
    assert logged_warnings(caplog) == ["Error in ASGI Framework"]


async def test_crashing_receiver_is_aborted_and_logged_once(served, caplog):
    peer = await served.open()
    await peer.send_text("fail")
    await peer.wait_ended()
    receiver = await served.app.receiver()
    assert receiver.calls == ["fail", 1006]
    await peer.aclose()
    assert logged_warnings(caplog) == ["a WebSocket has failed and is aborted"]


@pytest.mark.parametrize("stage", ["requested", "open", "paused", "never reads", "closing"])
async def test_shutdown_ends_websockets_at_every_stage(stage, certificate, caplog):
    app = TakeOverApp()
    async with no_leaks():
        async with LiveServer(app) as server:
            clients = [Served(app, server.port, protocol, None) for protocol in ("http1", "http2")]
            closing = []
            for number, client in enumerate(clients):
                if stage == "requested":
                    app.may_accept.clear()
                    closing.append(await client.request())
                    continue
                peer = await client.open()
                closing.append(peer.aclose)
                receiver = await app.receiver(number)
                match stage:
                    case "paused":
                        await peer.write(frame_bytes(TEXT, b"refuse the next") + frame_bytes(TEXT, b"x"))
                        await eventually(lambda receiver=receiver: receiver.writer.is_paused)
                    case "never reads":
                        peer.stop_reading()
                        while not receiver.writer.backlog():
                            receiver.writer.write(b"\x82\x7e\xff\xff" + bytes(65535))
                            await asyncio.sleep(0)
                    case "closing":
                        await peer.send_text("close me")
                        await peer.receive_close()
        assert app.running == 0
        for aclose in closing:
            await aclose()
    assert logged_warnings(caplog) == []


async def test_take_over_with_unread_messages_is_refused(caplog):
    requested = asyncio.Event()
    received = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await TakeOverApp()(scope, receive, send)
            return
        control = scope["extensions"][EXTENSION]
        await receive()
        await send({"type": "websocket.accept"})
        received.append((await receive())["text"])
        await eventually(lambda: control._inbound.has_unread)
        with pytest.raises(RuntimeError, match="messages wait"):
            control.take_over(None, None)
        received.append((await receive())["text"])
        requested.set()

    async with LiveServer(app) as server:
        peer = await open_http1(server.port)
        await peer.write(frame_bytes(TEXT, b"1") + frame_bytes(TEXT, b"2"))
        await asyncio.wait_for(requested.wait(), 10)
        await peer.aclose()
    assert received == ["1", "2"]


async def test_ended_websocket_is_freed():
    app = TakeOverApp()
    async with LiveServer(app) as server:
        peers = [await open_http1(server.port), await open_http2(server.port)]
        await eventually(lambda: len(app.receivers) == 2)
        receivers = [weakref.ref(receiver) for receiver in app.receivers]
        for peer in peers:
            await peer.close()
            await peer.aclose()
        await eventually(lambda: app.running == 0 and all(receiver.has_ended.is_set() for receiver in app.receivers))
        app.receivers.clear()

        def are_gone():
            gc.collect()
            return all(receiver() is None for receiver in receivers)

        await eventually(are_gone)
