"""Counting and parsing the server's byte stream, split at any position."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from load.bench.counting import CHAT_MARKER, TAIL_BYTES, ReadBuffer, Tally, sender_marker
from load.bench.frames import PING, TEXT, FrameReader, client_frame, find_pings


def server_frame(payload, opcode=TEXT):
    size = len(payload)
    head = bytes([0x80 | opcode])
    if size < 126:
        return head + bytes([size]) + payload
    if size < 65536:
        return head + b"\x7e" + size.to_bytes(2, "big") + payload
    return head + b"\x7f" + size.to_bytes(8, "big") + payload


def chat(number, filling=""):
    return b'{"type":"chat_message","content":"' + sender_marker(number) + filling.encode() + b'"}'


def pieces(data, cuts):
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


STREAM = b"".join(server_frame(chat(number % 3, "x" * (number * 37))) for number in range(12))


@given(st.lists(st.integers(min_value=0)))
def test_read_buffer_counts_messages_at_any_split(cuts):
    buffer, tally = ReadBuffer(capacity=1 << 16), Tally()
    tally.own_marker = sender_marker(1)
    for piece in pieces(STREAM, cuts):
        buffer.feed(piece, tally)
    assert (tally.chats, tally.own) == (12, 4)


@pytest.mark.parametrize("size", [1, 2, TAIL_BYTES, TAIL_BYTES + 1])
def test_read_buffer_counts_with_tiny_reads(size):
    buffer, tally = ReadBuffer(capacity=64), Tally()
    for at in range(0, len(STREAM), size):
        buffer.feed(STREAM[at : at + size], tally)
    assert tally.chats == 12


def test_read_buffer_separates_connections():
    buffer, one, other = ReadBuffer(capacity=64), Tally(), Tally()
    half = len(CHAT_MARKER) // 2
    buffer.feed(CHAT_MARKER[:half], one)
    buffer.feed(CHAT_MARKER[half:], other)
    assert (one.chats, other.chats) == (0, 0)
    buffer.feed(CHAT_MARKER[half:], one)
    assert (one.chats, other.chats) == (1, 0)


def test_markers_have_equal_length():
    """One saved tail serves both markers."""
    assert len(sender_marker(0)) == len(sender_marker(99)) == len(CHAT_MARKER)


@given(st.lists(st.integers(min_value=0)))
def test_frame_reader_decodes_at_any_split(cuts):
    payloads = [b"", b"a" * 125, b"b" * 126, b"c" * 65535, b"d" * 65536]
    reader = FrameReader()
    data = b"".join(server_frame(payload) for payload in payloads)
    frames = [frame for piece in pieces(data, cuts) for frame in reader.feed(piece)]
    assert frames == [(TEXT, payload) for payload in payloads]
    assert reader.take_rest() == b""


def test_frame_reader_returns_incomplete_frame():
    reader = FrameReader()
    whole, rest = server_frame(b"whole"), server_frame(b"not whole")[:-3]
    assert reader.feed(whole + rest) == [(TEXT, b"whole")]
    assert reader.take_rest() == rest
    assert reader.feed(server_frame(b"next")) == [(TEXT, b"next")]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_client_frame_is_masked(size):
    payload = bytes(at % 251 for at in range(size))
    frame = client_frame(payload)
    assert frame[1] & 0x80
    start = {125: 2, 65535: 4}.get(min((limit for limit in (125, 65535) if size <= limit), default=0), 10)
    mask, masked = frame[start : start + 4], frame[start + 4 :]
    assert bytes(byte ^ mask[at % 4] for at, byte in enumerate(masked)) == payload


def test_find_pings_between_messages():
    assert find_pings(server_frame(chat(1)) + server_frame(b"\x89ab\x89", PING) + server_frame(chat(2))) == [
        b"\x89ab\x89"
    ]


@pytest.mark.parametrize("size", [0x89, 0x8900, 0x8989])
def test_find_pings_ignores_lengths(size):
    payload = b'{"a":"' + b"x" * (size - 8) + b'"}'
    assert len(payload) == size
    assert find_pings(server_frame(payload)) == []
