"""Valid and invalid frames, over real sockets on HTTP/1.1 and HTTP/2."""

import pytest

from tests.server.transport.conftest import FRAME_BYTES
from tests.wire.peer import BINARY, CLOSE, PING, PONG, TEXT, frame_bytes

pytestmark = pytest.mark.anyio


async def test_texts_arrive_however_they_are_split(peer, recorder):
    data = frame_bytes(TEXT, b"one") + frame_bytes(TEXT, b"") + frame_bytes(TEXT, "zwei ü".encode())
    for at in range(len(data)):
        await peer.write(data[at : at + 1])
    assert [await recorder.next() for _ in range(3)] == ["one", "", "zwei ü"]


async def test_empty_binary_frame_differs_from_empty_text(peer, recorder):
    await peer.send_frame(BINARY, b"")
    await peer.send_frame(TEXT, b"")
    assert [await recorder.next(), await recorder.next()] == [b"", ""]


async def test_fragmented_message_arrives_whole(peer, recorder):
    await peer.send_frame(TEXT, b"in ", fin=False)
    await peer.send_frame(0x0, b"pieces")
    assert await recorder.next() == "in pieces"


async def test_ping_is_answered_with_its_payload(peer):
    await peer.send_frame(PING, b"are you there")
    frame = await peer.receive()
    assert (frame.opcode, frame.payload) == (PONG, b"are you there")


async def test_app_receives_the_close_code_of_the_client(peer, recorder):
    await peer.close(4321)
    assert await recorder.next() == 4321


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame_bytes(TEXT, b"\xff\xfe"), 1007),
        (frame_bytes(TEXT, b"ok", masked=False), 1002),
        (frame_bytes(TEXT, b"ok", rsv1=True), 1002),
        (frame_bytes(0x3, b"reserved opcode"), 1002),
        (frame_bytes(0x0, b"continues nothing"), 1002),
        (frame_bytes(PING, b"x", fin=False), 1002),
        (frame_bytes(TEXT, b"x" * (FRAME_BYTES + 1)), 1009),
        (frame_bytes(TEXT, "ü".encode() * (FRAME_BYTES // 2 + 1)), 1009),
        (frame_bytes(TEXT, b"x" * FRAME_BYTES, fin=False) + frame_bytes(0x0, b"x"), 1009),
    ],
)
async def test_protocol_error_closes_with_its_code(peer, recorder, data, code):
    await peer.write(data)
    assert (await peer.receive_close())[0] == code
    assert await recorder.next() == code
    await peer.half_close()
    await peer.wait_ended()


async def test_message_of_exactly_the_limit_passes(peer, recorder):
    await peer.send_text("x" * FRAME_BYTES)
    assert await recorder.next() == "x" * FRAME_BYTES


async def test_b3_input_after_oversized_message_is_dropped(peer, recorder):
    await peer.send_frame(TEXT, b"x" * (FRAME_BYTES + 1), fin=False)
    assert (await peer.receive_close())[0] == 1009
    stream = recorder.control
    for _ in range(20):
        await peer.send_frame(0x0, b"x" * FRAME_BYTES, fin=False)
    await peer.half_close()
    await peer.wait_ended()
    assert stream.websocket._partial is None
    assert len(stream.websocket._splitter) == 0


async def test_compression_is_off_unless_allowed(server):
    from tests.wire.http1 import open_http1

    peer = await open_http1(server.port, headers=[("Sec-WebSocket-Extensions", "permessage-deflate")])
    assert peer.status == 101
    assert "sec-websocket-extensions" not in peer.headers
    await peer.aclose()


async def test_app_closes_with_its_own_code(peer, recorder):
    await peer.send_text("close me")
    assert await peer.receive_close() == (4000, "as you wish")
    await peer.send_frame(CLOSE, b"\x0f\xa0")
    await peer.wait_ended()
