"""Several WebSockets on one HTTP/2 connection: a misbehaving one does not affect the others."""

import asyncio

import pytest

from chat_actors.server.transport.websocket_protocol import CONTROL_BACKLOG
from tests.server.transport.apps import Sockets, eventually
from tests.server.transport.receivers import TakeOverApp
from tests.wire.http2 import Http2Connection
from tests.wire.live_server import LiveServer
from tests.wire.peer import CLOSE, PING, TEXT, frame_bytes

pytestmark = pytest.mark.anyio


@pytest.fixture
def sockets():
    return Sockets()


@pytest.fixture
async def live(sockets):
    async with LiveServer(sockets.app) as server:
        yield server
        sockets.release.set()


async def assert_echoes(peer, text="still here"):
    await peer.send_text(text)
    assert await peer.receive_text() == text


async def test_b1_blocked_handler_stalls_only_its_stream(live, sockets):
    connection = await Http2Connection.open(live.port)
    idle, sibling = await connection.open_websocket("/ws?mode=idle"), await connection.open_websocket("/ws")
    sending = asyncio.create_task(idle.write(frame_bytes(TEXT, b"x" * 1000) * 200))
    await eventually(
        lambda: sockets.controls["idle"].websocket.is_paused and connection.h2.local_flow_control_window(1) == 0
    )
    await assert_echoes(sibling)
    assert not sending.done(), "200 kB went into a stream whose handler reads nothing"
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    await connection.aclose()


async def test_stalled_stream_resumes_when_the_handler_reads(live, sockets):
    connection = await Http2Connection.open(live.port)
    slow = await connection.open_websocket("/ws?mode=slow")
    sending = asyncio.create_task(slow.write(b"".join(frame_bytes(TEXT, b"%04d" % n * 250) for n in range(200))))
    await eventually(
        lambda: sockets.controls["slow"].websocket.is_paused and connection.h2.local_flow_control_window(1) == 0
    )
    sockets.release.set()
    for n in range(200):
        assert await slow.receive_text() == f"{n:04d}" * 250
    await sending
    await connection.aclose()


async def test_b5_zero_window_blocks_only_its_own_send(live, sockets):
    connection = await Http2Connection.open(live.port, initial_window=0)
    await connection.open_websocket("/ws?mode=flood")
    await eventually(lambda: sockets.sent == 3)
    sibling = await connection.open_websocket("/ws")
    await sibling.send_text("received")
    assert await sockets.next() == "received"
    assert sockets.sent == 3, "32 KiB are waiting, so the fourth message of 10,000 bytes must wait too"
    assert sockets.controls["flood"].backlog() == 4 * 10_004
    await connection.aclose()
    await eventually(lambda: sockets.alive == 0)


async def test_ping_flood_under_zero_window_is_bounded(live, sockets):
    connection = await Http2Connection.open(live.port, initial_window=0)
    pinging, sibling = await connection.open_websocket("/ws?mode=idle"), await connection.open_websocket("/ws")
    await pinging.write(frame_bytes(PING, b"x" * 125) * 2000)
    await sibling.send_text("received")
    assert await sockets.next() == "received"
    assert sockets.controls["idle"].backlog() < CONTROL_BACKLOG + 200
    await connection.aclose()


@pytest.mark.parametrize(
    ("path", "headers"), [("/ws\xff", ()), ("/ws", (("sec-websocket-protocol", "\xff"),))], ids=["path", "subprotocol"]
)
async def test_non_ascii_path_is_refused_siblings_continue(live, path, headers):
    connection = await Http2Connection.open(live.port)
    sibling = await connection.open_websocket("/ws")
    assert (await connection.open_websocket(path, headers)).status == 400
    await assert_echoes(sibling)
    await connection.aclose()


async def test_failed_stream_is_reset_siblings_continue(live, sockets, monkeypatch, caplog):
    connection = await Http2Connection.open(live.port)
    failing, sibling = await connection.open_websocket("/ws?mode=failing"), await connection.open_websocket("/ws")
    await eventually(lambda: sockets.alive == 2)

    def fail(text):
        raise AssertionError("injected")

    monkeypatch.setattr(sockets.controls["failing"]._inbound, "text", fail)
    await failing.send_text("x")
    await failing.wait_ended()
    assert await sockets.next() == 1006
    await assert_echoes(sibling)
    assert [record.levelname for record in caplog.records].count("ERROR") == 1
    await connection.aclose()


async def test_b4_abort_of_a_stream_keeps_its_siblings(live, sockets):
    connection = await Http2Connection.open(live.port, initial_window=1 << 24)
    connection.h2.increment_flow_control_window(1 << 24)
    await connection.flush()
    sibling = await connection.open_websocket("/ws")
    connection.pause_reading()
    opening = asyncio.create_task(connection.open_websocket("/ws?mode=flood"))
    await eventually(lambda: "flood" in sockets.controls and sockets.transport("flood").get_write_buffer_size() > 0)
    await asyncio.wait_for(sockets.controls["flood"].abort(), 1)
    await eventually(lambda: sockets.alive == 1)
    connection.resume_reading()
    aborted = await opening
    await aborted.wait_ended()
    await assert_echoes(sibling)
    await connection.aclose()


async def test_unended_stream_is_reset_and_its_buffer_freed(live, sockets):
    connection = await Http2Connection.open(live.port, initial_window=0)
    await connection.open_websocket("/ws?mode=return")
    await eventually(lambda: sockets.alive == 0 and not sockets.protocol("return").stream_buffers)
    assert not connection.is_closed
    await connection.aclose()


async def test_reset_of_a_stalled_stream_restores_the_window(live, sockets):
    connection = await Http2Connection.open(live.port)
    sibling = await connection.open_websocket("/ws")
    for _ in range(3):
        idle = await connection.open_websocket("/ws?mode=idle")
        sending = asyncio.create_task(idle.write(frame_bytes(TEXT, b"x" * 1000) * 100))
        await eventually(lambda stream=idle.stream_id: connection.h2.local_flow_control_window(stream) == 0)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await idle.abort()
    await assert_echoes(sibling, "x" * 60_000)
    await connection.aclose()


def connect_headers(protocol):
    return [
        (":method", "CONNECT"),
        (":protocol", protocol),
        (":scheme", "http"),
        (":path", "/ws"),
        (":authority", "localhost"),
        ("sec-websocket-version", "13"),
    ]


async def flood(peer):
    await peer.write(frame_bytes(TEXT, b"x") * 5000)


async def flood_with_pings(peer):
    await peer.write(frame_bytes(PING, b"x" * 125) * 1000)


async def send_unmasked(peer):
    await peer.send_frame(TEXT, b"abcdefgh", masked=False)


async def send_bad_utf8(peer):
    await peer.send_frame(TEXT, b"\xff")


async def send_junk(peer):
    await peer.write(b"\xff" * 5000)


async def send_too_much(peer):
    await peer.write(frame_bytes(TEXT, b"x" * 10_001))


async def never_end_a_message(peer):
    await peer.write(frame_bytes(TEXT, b"", fin=False) + frame_bytes(0x0, b"", fin=False) * 5000)


async def reset(peer):
    await peer.abort()


async def end_without_a_close(peer):
    await peer.half_close()


async def close_and_go_on(peer):
    await peer.write(frame_bytes(CLOSE, b"\x03\xe8") + frame_bytes(TEXT, b"ghost") * 100)


async def stall_its_window(peer):
    """The connection's window opens again, and the stream's does not: what it is sent in answer gets stuck."""
    client = peer.connection.h2
    acknowledge = client.acknowledge_received_data

    def acknowledge_others(size, stream_id):
        if stream_id == peer.stream_id:
            client.increment_flow_control_window(size)
        else:
            acknowledge(size, stream_id)

    client.acknowledge_received_data = acknowledge_others
    await peer.write(frame_bytes(TEXT, b"x" * 9000) * 10)


@pytest.mark.parametrize(
    "misbehave",
    [
        flood,
        flood_with_pings,
        send_unmasked,
        send_bad_utf8,
        send_junk,
        send_too_much,
        never_end_a_message,
        reset,
        end_without_a_close,
        close_and_go_on,
        stall_its_window,
    ],
)
async def test_one_bad_stream_of_fifty_affects_no_other(sockets, misbehave, caplog):
    server = LiveServer(sockets.app)
    server._config.websocket_max_message_size = 10_000
    async with server as live:
        connection = await Http2Connection.open(live.port)
        misbehaving, *others = [await connection.open_websocket("/ws") for _ in range(50)]
        sending = asyncio.create_task(misbehave(misbehaving))
        for round_number in range(3):
            for number, peer in enumerate(others):
                await peer.send_text(f"{number} in round {round_number}")
            for number, peer in enumerate(others):
                assert await peer.receive_text() == f"{number} in round {round_number}"
        assert not connection.is_closed
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await connection.aclose()
        await eventually(lambda: sockets.alive == 0)
    assert [record.getMessage() for record in caplog.records if record.levelname not in {"DEBUG", "INFO"}] == []


async def test_stream_ignoring_our_close_ends_within_linger(live):
    app = TakeOverApp()
    async with LiveServer(app) as server:
        connection = await Http2Connection.open(server.port)
        misbehaving, sibling = await connection.open_websocket(), await connection.open_websocket()
        await misbehaving.send_text("close me")
        await misbehaving.receive_close()
        receiver = await app.receiver()
        async with asyncio.timeout(1.5):
            await receiver.has_ended.wait()
        await assert_echoes(sibling)
        await connection.aclose()


@pytest.mark.parametrize("protocol", ["websocket", "chat"])
async def test_request_reset_in_its_packet_is_no_error(live, protocol, caplog):
    connection = await Http2Connection.open(live.port)
    sibling = await connection.open_websocket("/ws")
    for _ in range(20):
        stream_id = connection.h2.get_next_available_stream_id()
        connection.h2.send_headers(stream_id, connect_headers(protocol))
        connection.h2.reset_stream(stream_id)
    await connection.flush()
    await assert_echoes(sibling)
    await connection.aclose()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_priorities_are_passed_over_and_cost_nothing(live, sockets, caplog):
    connection = await Http2Connection.open(live.port)
    sibling = await connection.open_websocket("/ws?mode=sibling")
    for number in range(2000):
        connection.h2.prioritize(2 * number + 101, weight=1, depends_on=1)
    await connection.flush()
    await assert_echoes(sibling)
    assert len(sockets.protocol("sibling").priority._streams) < 10
    await connection.aclose()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_non_ascii_method_is_refused_siblings_continue(live, caplog):
    connection = await Http2Connection.open(live.port)
    sibling = await connection.open_websocket("/ws")
    fields = [(":method", "G\xcbT"), (":scheme", "http"), (":path", "/"), (":authority", "localhost")]
    assert (await connection.request(fields, end_stream=True)).status == 400
    await assert_echoes(sibling)
    await connection.aclose()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_reset_after_connection_failure_is_no_error(live, sockets, caplog):
    connection = await Http2Connection.open(live.port, initial_window=0)
    await connection.open_websocket("/ws?mode=return")
    protocol = sockets.protocol("return")
    await eventually(lambda: 1 in protocol._lingering)
    protocol.connection.close_connection()
    protocol.abort(1)
    await connection.aclose()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
