"""The fast path changes nothing but the speed: with it and without it, the same bytes have the same effect.

The reference is the full parser (wsproto): with `FrameSplitter.max_bytes = -1`, it receives all frames.
"""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_actors.server.transport.control import Bounds
from chat_actors.server.transport.websocket_protocol import PIECES_PER_TURN, WebSocketProtocol
from tests.server.transport.fakes import FakeCarrier, FakeReceiver
from tests.wire.peer import BINARY, CLOSE, PING, PONG, TEXT, frame_bytes

CONTINUATION = 0x0
LIMIT = 200


async def _effects(chunks, refusals, end, *, is_fast):
    """All that a WebSocket does about these chunks, in order. After each, a receiver that has refused resumes."""
    calls = []
    carrier = FakeCarrier(calls)
    websocket = WebSocketProtocol(carrier, Bounds(frame_bytes=LIMIT), FakeReceiver())
    if not is_fast:
        websocket._splitter.max_bytes = -1
    websocket.attach(FakeReceiver(calls, refusals))
    for number, chunk in enumerate(chunks):
        websocket.received(chunk)
        calls.append(("reading", carrier.is_reading))
        if number % 2:
            websocket.resume()
    if end is not None:
        getattr(websocket, end)()
    while websocket.is_paused:
        websocket.resume()
        await asyncio.sleep(0)
    return calls, websocket.is_over, websocket.peer_close_code, len(websocket._splitter)


def compare(chunks, refusals=(), end=None):
    async def both():
        return [await _effects(chunks, refusals, end, is_fast=is_fast) for is_fast in (True, False)]

    fast, slow = asyncio.run(both())
    assert fast == slow


payloads = st.one_of(
    st.text(max_size=80).map(str.encode),
    st.binary(max_size=60),
    st.sampled_from([0, 1, 125, 126, 127, LIMIT - 1, LIMIT, LIMIT + 1]).map(lambda size: b"x" * size),
    st.sampled_from(["é" * (LIMIT // 2), "€" * 67, "😀" * 50, "😀" * 50 + "x"]).map(str.encode),
)
right = st.one_of(
    st.builds(frame_bytes, st.just(TEXT), st.text(max_size=80).map(str.encode)),
    st.builds(frame_bytes, st.sampled_from([PING, PONG]), st.binary(max_size=20)),
    st.builds(frame_bytes, st.just(BINARY), st.binary(max_size=40)),
    st.builds(
        lambda kind, pieces, between: (
            frame_bytes(kind, pieces[0].encode(), fin=False)
            + b"".join(frame_bytes(CONTINUATION, piece.encode(), fin=False) + between for piece in pieces[1:])
            + frame_bytes(CONTINUATION)
        ),
        st.sampled_from([TEXT, BINARY]),
        st.lists(st.text(max_size=20), min_size=1, max_size=4),
        st.sampled_from([b"", frame_bytes(PING, b"between")]),
    ),
)
anything = st.one_of(
    st.builds(
        frame_bytes,
        st.sampled_from([CONTINUATION, TEXT, TEXT, TEXT, BINARY, 0x3, PING, PONG, 0xB]),
        payloads,
        fin=st.sampled_from([True, True, True, False]),
        masked=st.sampled_from([True, True, True, True, False]),
        rsv1=st.sampled_from([False, False, False, False, True]),
    ),
    st.builds(frame_bytes, st.just(CLOSE), st.sampled_from([b"", b"\x03", b"\x03\xe8", b"\x03\xe8bye", b"\x03\xed"])),
    st.binary(max_size=12),
)
conversations = st.lists(st.one_of(right, right, right, anything), max_size=12).map(b"".join)


@given(
    data=conversations,
    cuts=st.lists(st.floats(0, 1), max_size=6),
    refusals=st.sets(st.integers(0, 12), max_size=4),
    end=st.sampled_from([None, "peer_ended", "lost"]),
)
@settings(max_examples=300, deadline=None)
def test_any_bytes_have_the_same_effect_on_both_paths(data, cuts, refusals, end):
    places = sorted({0, len(data), *(int(cut * len(data)) for cut in cuts)})
    chunks = [data[start:stop] for start, stop in pairwise(places)]
    compare(chunks, refusals, end)


CONVERSATIONS = {
    "texts": b"".join(frame_bytes(TEXT, text.encode()) for text in ("", "a", "zwölf €", "😀")),
    "a text of 126 bytes": frame_bytes(TEXT, b"x" * 126) + frame_bytes(TEXT, b"next"),
    "just the limit": frame_bytes(TEXT, "ü".encode() * (LIMIT // 2)) + frame_bytes(TEXT, b"next"),
    "over the limit": frame_bytes(TEXT, "ü".encode() * (LIMIT // 2) + b"x") + frame_bytes(TEXT, b"next"),
    "over the limit in fragments": frame_bytes(TEXT, b"x" * LIMIT, fin=False) + frame_bytes(CONTINUATION, b"x"),
    "fragments and pings": frame_bytes(TEXT, b"z", fin=False)
    + frame_bytes(PING, b"p")
    + frame_bytes(CONTINUATION, "ö€".encode()[:3], fin=False)
    + frame_bytes(PONG)
    + frame_bytes(CONTINUATION, "ö€".encode()[3:])
    + frame_bytes(TEXT, b"plain"),
    "a text within a message": frame_bytes(TEXT, b"a", fin=False) + frame_bytes(TEXT, b"b") + frame_bytes(TEXT, b"c"),
    "a close within a message": frame_bytes(TEXT, b"a", fin=False) + frame_bytes(CLOSE, b"\x0f\xa1bye"),
    "a close and more": frame_bytes(TEXT, b"a") + frame_bytes(CLOSE, b"\x03\xe8") + frame_bytes(TEXT, b"ghost"),
    "a close without a code": frame_bytes(TEXT, b"a") + frame_bytes(CLOSE),
    "a close with half a code": frame_bytes(TEXT, b"a") + frame_bytes(CLOSE, b"\x03"),
    "not UTF-8": frame_bytes(TEXT, b"a") + frame_bytes(TEXT, b"ok\xff") + frame_bytes(TEXT, b"b"),
    "not UTF-8 over two fragments": frame_bytes(TEXT, b"\xe2\x82", fin=False) + frame_bytes(CONTINUATION, b"x"),
    "half a character": frame_bytes(TEXT, b"\xe2\x82") + frame_bytes(TEXT, b"b"),
    "unmasked": frame_bytes(TEXT, b"a") + frame_bytes(TEXT, b"abcdefgh", masked=False) + frame_bytes(TEXT, b"b"),
    "an extension bit": frame_bytes(TEXT, b"a") + frame_bytes(TEXT, b"b", rsv1=True),
    "unknown opcodes": frame_bytes(TEXT, b"a") + frame_bytes(0x3, b"b"),
    "an unknown control frame": frame_bytes(TEXT, b"a") + frame_bytes(0xB, b"b"),
    "a length that is not the shortest": frame_bytes(TEXT, b"a") + b"\x81\xfe\x00\x02\0\0\0\0hi",
    "a long length that is not the shortest": b"\x81\xff\0\0\0\0\0\0\0\x02\0\0\0\0hi",
    "a length of 2^63": b"\x81\xff\x80\0\0\0\0\0\0\0\0\0\0\0hi",
    "a long ping": frame_bytes(TEXT, b"a") + frame_bytes(PING, b"x" * 126),
    "binary": frame_bytes(BINARY, b"\0") + frame_bytes(BINARY) + frame_bytes(TEXT, b"text"),
}


@pytest.mark.parametrize("refusals", [(), {0}, {1, 2}], ids=["takes all", "refuses once", "refuses again"])
@pytest.mark.parametrize("name", CONVERSATIONS)
def test_split_dialog_has_equal_effect_on_both_paths(name, refusals):
    data = CONVERSATIONS[name]
    compare([data[at : at + 1] for at in range(len(data))], refusals, "peer_ended")
    for at in range(len(data)):
        compare([data[:at], data[at:]], refusals, "peer_ended")


def test_burst_has_the_same_effect_on_both_paths():
    data = frame_bytes(TEXT, b"x") * (3 * PIECES_PER_TURN) + frame_bytes(CLOSE)
    for refusals in ((), {5}, {PIECES_PER_TURN}):
        compare([data[:100], data[100:]], refusals)
