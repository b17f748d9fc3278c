"""Many WebSockets on one HTTP/2 connection, one of them misbehaving: the others must not notice."""

import asyncio

import pytest

from chat_actors.server.transport.endpoint import CONTROL_BACKLOG
from tests.server.transport.apps import Sockets, eventually
from tests.wire.http2 import Http2Connection
from tests.wire.live_server import LiveServer
from tests.wire.peer import PING, TEXT, frame_bytes

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


async def test_b1_a_handler_that_does_not_read_stalls_its_own_stream_alone(live, sockets):
    connection = await Http2Connection.open(live.port)
    idle, sibling = await connection.open_websocket("/ws?mode=idle"), await connection.open_websocket("/ws")
    sending = asyncio.create_task(idle.write(frame_bytes(TEXT, b"x" * 1000) * 200))
    await eventually(
        lambda: sockets.controls["idle"].endpoint.is_paused and connection.h2.local_flow_control_window(1) == 0
    )
    await assert_echoes(sibling)
    assert not sending.done(), "200 kB went into a stream whose handler reads nothing"
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    await connection.aclose()


async def test_what_stalled_flows_again_when_the_handler_reads(live, sockets):
    connection = await Http2Connection.open(live.port)
    slow = await connection.open_websocket("/ws?mode=slow")
    sending = asyncio.create_task(slow.write(b"".join(frame_bytes(TEXT, b"%04d" % n * 250) for n in range(200))))
    await eventually(
        lambda: sockets.controls["slow"].endpoint.is_paused and connection.h2.local_flow_control_window(1) == 0
    )
    sockets.release.set()
    for n in range(200):
        assert await slow.receive_text() == f"{n:04d}" * 250
    await sending
    await connection.aclose()


async def test_b5_a_zero_window_makes_the_apps_send_wait_and_stalls_no_sibling(live, sockets):
    connection = await Http2Connection.open(live.port, initial_window=0)
    await connection.open_websocket("/ws?mode=flood")
    await eventually(lambda: sockets.sent == 3)
    sibling = await connection.open_websocket("/ws")
    await sibling.send_text("heard")
    assert await sockets.next() == "heard"
    assert sockets.sent == 3, "32 KiB are waiting, so the fourth message of 10,000 bytes must wait too"
    assert sockets.controls["flood"].backlog() == 4 * 10_004
    await connection.aclose()
    await eventually(lambda: sockets.alive == 0)


async def test_a_flood_of_pings_under_a_zero_window_is_bounded_and_stalls_no_sibling(live, sockets):
    connection = await Http2Connection.open(live.port, initial_window=0)
    pinging, sibling = await connection.open_websocket("/ws?mode=idle"), await connection.open_websocket("/ws")
    await pinging.write(frame_bytes(PING, b"x" * 125) * 2000)
    await sibling.send_text("heard")
    assert await sockets.next() == "heard"
    assert sockets.controls["idle"].backlog() < CONTROL_BACKLOG + 200
    await connection.aclose()


@pytest.mark.parametrize(
    ("path", "headers"), [("/ws\xff", ()), ("/ws", (("sec-websocket-protocol", "\xff"),))], ids=["path", "subprotocol"]
)
async def test_a_request_that_is_not_ascii_is_refused_and_its_siblings_live(live, path, headers):
    connection = await Http2Connection.open(live.port)
    sibling = await connection.open_websocket("/ws")
    assert (await connection.open_websocket(path, headers)).status == 400
    await assert_echoes(sibling)
    await connection.aclose()


async def test_a_failure_in_one_stream_resets_it_and_its_siblings_live(live, sockets, monkeypatch, caplog):
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


async def test_b4_aborting_one_stream_of_a_stalled_connection_leaves_its_siblings_alive(live, sockets):
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
    doomed = await opening
    await doomed.wait_ended()
    await assert_echoes(sibling)
    await connection.aclose()


async def test_a_stream_that_its_client_never_lets_end_is_reset_and_its_buffer_freed(live, sockets):
    connection = await Http2Connection.open(live.port, initial_window=0)
    await connection.open_websocket("/ws?mode=return")
    await eventually(lambda: sockets.alive == 0 and not sockets.protocol("return").stream_buffers)
    assert not connection.is_closed
    await connection.aclose()


async def test_resetting_a_stalled_stream_gives_the_connection_its_window_back(live, sockets):
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
