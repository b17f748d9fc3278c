"""Text frames, plain and compressed (RFC 6455, section 5.2; RFC 7692, section 7.2.1)."""

import random
import zlib

import pytest

from chat_actors.protocol import compressed_text_frame, text_frame


@pytest.mark.parametrize(
    ("size", "header"),
    [
        (0, b"\x81\x00"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65_535, b"\x81\x7e\xff\xff"),
        (65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_text_frame_has_the_shortest_header(size, header):
    assert text_frame(b"x" * size) == header + b"x" * size


@pytest.mark.parametrize("size", [128, 1000, 100_000])
def test_compressed_frame_inflates_to_its_payload(size):
    payload = (b'{"type":"chat_message"}' * size)[:size]
    frame = compressed_text_frame(payload)
    assert frame[0] == 0xC1
    assert len(frame) < size
    inflated = zlib.decompressobj(wbits=-15).decompress(frame[2 if frame[1] < 126 else 4 :] + b"\x00\x00\xff\xff")
    assert inflated == payload


def test_short_payload_is_not_compressed():
    assert compressed_text_frame(b"x" * 127) == text_frame(b"x" * 127)


def test_incompressible_payload_is_sent_plain():
    payload = random.Random(1).randbytes(1000)
    assert compressed_text_frame(payload) == text_frame(payload)
