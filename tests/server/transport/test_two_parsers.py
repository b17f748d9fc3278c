"""The same bytes, taken at once where that is possible and judged by wsproto throughout: nobody can tell which."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_actors.server.transport.control import Bounds
from chat_actors.server.transport.endpoint import Endpoint
from tests.server.transport.fakes import FakeCarrier, FakeReceiver
from tests.wire.peer import BINARY, CLOSE, PING, PONG, TEXT, frame_bytes

LIMIT = 300
CONTINUATION = 0x0


def outcome(pieces, refusals=(), *, fast):
    """What the receiver and the carrier are told, in order, and whether the client is read, when these pieces come."""
    told = []
    carrier = FakeCarrier(told)
    endpoint = Endpoint(carrier, Bounds(frame_bytes=LIMIT), FakeReceiver(told, refusals))
    if not fast:
        endpoint._splitter.longest = -1
    for piece in pieces:
        endpoint.received(piece)
        while endpoint.is_paused:
            endpoint.resume()
    endpoint.lost()
    return told, carrier.is_reading


def assert_same(pieces, refusals=()):
    expected = outcome(pieces, refusals, fast=False)
    assert outcome(pieces, refusals, fast=True) == expected
    return expected


CONVERSATIONS = {
    "texts": frame_bytes(TEXT, b"one") + frame_bytes(TEXT, b"") + frame_bytes(TEXT, "zwei ü 🙂".encode()),
    "a longer text": frame_bytes(TEXT, b"x" * 200) + frame_bytes(TEXT, b"y"),
    "the limit and one more": frame_bytes(TEXT, b"x" * LIMIT) + frame_bytes(TEXT, b"x" * (LIMIT + 1)),
    "fragments with a ping between": (
        frame_bytes(TEXT, b"in ", fin=False)
        + frame_bytes(PING, b"?")
        + frame_bytes(CONTINUATION, b"pieces")
        + frame_bytes(TEXT, b"whole")
    ),
    "a text within fragments": frame_bytes(TEXT, b"in ", fin=False) + frame_bytes(TEXT, b"not allowed"),
    "binary": frame_bytes(BINARY, b"\x00\xff") + frame_bytes(BINARY, b"") + frame_bytes(TEXT, b"text"),
    "pings and pongs": frame_bytes(PING, b"a") + frame_bytes(PONG, b"b") + frame_bytes(TEXT, b"c"),
    "a close": frame_bytes(TEXT, b"last") + frame_bytes(CLOSE, b"\x0f\xa1bye") + frame_bytes(TEXT, b"too late"),
    "bad utf-8": frame_bytes(TEXT, b"good") + frame_bytes(TEXT, b"\xc3\x28") + frame_bytes(TEXT, b"never"),
    "utf-8 cut between fragments": frame_bytes(TEXT, b"\xc3", fin=False) + frame_bytes(CONTINUATION, b"\xbc"),
    "a surrogate": frame_bytes(TEXT, b"\xed\xa0\x80"),
    "unmasked": frame_bytes(TEXT, b"ok") + frame_bytes(TEXT, b"not masked", masked=False),
    "reserved bit": frame_bytes(TEXT, b"compressed?", rsv1=True),
    "reserved opcode": frame_bytes(0x3, b"what?") + frame_bytes(TEXT, b"never"),
    "length not in its shortest form": bytes((0x81, 0x80 | 126, 0, 3)) + b"\0\0\0\0" + b"abc",
    "length in eight bytes": bytes((0x81, 0x80 | 127)) + (3).to_bytes(8, "big") + b"\0\0\0\0" + b"abc",
    "a fragmented ping": frame_bytes(PING, b"x", fin=False),
    "a long ping": frame_bytes(PING, b"x" * 126),
    "a header and no more": frame_bytes(TEXT, b"begun")[:4],
}


@pytest.mark.parametrize("data", CONVERSATIONS.values(), ids=CONVERSATIONS.keys())
def test_cut_at_every_place(data):
    whole = assert_same([data])
    for at in range(len(data) + 1):
        assert assert_same([data[:at], data[at:]]) == whole
    assert assert_same([data[at : at + 1] for at in range(len(data))]) == whole


FRAMES = st.builds(
    frame_bytes,
    st.sampled_from([TEXT, TEXT, TEXT, CONTINUATION, BINARY, CLOSE, PING, PONG, 0x3]),
    st.one_of(st.text(max_size=80).map(str.encode), st.binary(max_size=20), st.just(b"x" * LIMIT)),
    fin=st.sampled_from([True, True, True, False]),
    masked=st.sampled_from([True] * 9 + [False]),
    rsv1=st.sampled_from([False] * 9 + [True]),
)


@given(st.lists(FRAMES, max_size=8), st.lists(st.integers(0, 400), max_size=6), st.sets(st.integers(0, 6)))
def test_any_frames_cut_anywhere_for_a_receiver_that_cannot_always_take_them(frames, cuts, refusals):
    data = b"".join(frames)
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    assert_same([data[start:end] for start, end in itertools.pairwise(places)], refusals)


@given(st.binary(max_size=60))
def test_any_bytes(data):
    assert_same([data])
