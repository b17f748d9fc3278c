"""The frames that the splitter takes itself, and the pieces that it passes to the full parser."""

import pytest

from chat_actors.server.transport.splitter import FrameSplitter
from tests.wire.peer import BINARY, CLOSE, PING, TEXT, frame_bytes

CONTINUATION = 0x0


def split(*chunks, max_bytes=1000):
    """All pieces that the splitter returns for these chunks."""
    splitter, pieces = FrameSplitter(max_bytes), []
    for chunk in chunks:
        splitter.feed(chunk)
        while (piece := splitter.next()) is not None:
            pieces.append(piece)
    assert len(splitter) == 0
    return pieces


@pytest.mark.parametrize("text", ["", "x", "x" * 125, "x" * 126, "x" * 1000, "zwölf €", "\0", "😀" * 200])
def test_splitter_decodes_a_complete_text_frame(text):
    assert split(frame_bytes(TEXT, text.encode())) == [text]


def test_splitter_accepts_a_mask_of_zeros():
    assert split(b"\x81\x82\0\0\0\0hi") == ["hi"]


def test_splitter_separates_texts_received_together():
    data = b"".join(frame_bytes(TEXT, b"%d" % n) for n in range(5))
    assert split(data) == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize(
    "frame",
    [
        frame_bytes(TEXT, b"x", fin=False),
        frame_bytes(TEXT, b"x", rsv1=True),
        frame_bytes(TEXT, b"xxxxxx", masked=False),
        frame_bytes(TEXT, b"\xff"),
        frame_bytes(TEXT, b"\xed\xa0\x80"),
        frame_bytes(TEXT, "é".encode()[:1]),
        frame_bytes(TEXT, b"x" * 1001),
        frame_bytes(TEXT, b"x" * 65536),
        b"\x81\xfe\x00\x02\0\0\0\0hi",
        b"\x81\xff\0\0\0\0\0\0\0\x02\0\0\0\0hi",
        frame_bytes(BINARY, b"x"),
        frame_bytes(PING, b"x"),
        frame_bytes(CLOSE, b"\x03\xe8"),
        frame_bytes(CONTINUATION, b"x"),
        frame_bytes(0x3, b"x"),
    ],
    ids=[
        "first fragment",
        "extension bit",
        "unmasked",
        "not UTF-8",
        "a surrogate",
        "half a character",
        "longer than allowed",
        "eight bytes of length",
        "two bytes of length where one would do",
        "eight bytes of length where one would do",
        "binary",
        "ping",
        "close",
        "continuation",
        "unknown opcode",
    ],
)
def test_other_frames_go_to_the_parser_unchanged(frame):
    assert split(frame) == [frame]


def test_text_after_another_frame_is_taken_at_once():
    ping, binary = frame_bytes(PING, b"p"), frame_bytes(BINARY, b"b")
    assert split(frame_bytes(TEXT, b"1") + ping + frame_bytes(TEXT, b"2") + binary + frame_bytes(TEXT, b"3")) == [
        "1",
        ping,
        "2",
        binary,
        "3",
    ]


def test_fragmented_message_goes_to_the_parser():
    first, ping, text, last = (
        frame_bytes(TEXT, b"a", fin=False),
        frame_bytes(PING),
        frame_bytes(TEXT, b"an intruder"),
        frame_bytes(CONTINUATION, b"b"),
    )
    assert split(first + ping + text) == [first, ping, text]
    assert split(first + ping + last + frame_bytes(TEXT, b"c")) == [first, ping, last, "c"]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 300, 65536])
def test_split_frame_reaches_the_parser_completely(size):
    frame, text = frame_bytes(TEXT, b"x" * size), frame_bytes(TEXT, b"next")
    for at in [*range(1, min(len(frame), 20)), len(frame) - 1]:
        *pieces, last = split(frame[:at], frame[at:] + text, max_bytes=100_000)
        assert pieces[0] == frame[:at], "nothing is held back"
        assert (b"".join(pieces), last) == (frame, "next")


def test_single_bytes_are_passed_on_at_once():
    data = frame_bytes(TEXT, b"x" * 200) + frame_bytes(PING, b"y") + frame_bytes(TEXT, b"z")
    chunks = [data[at : at + 1] for at in range(len(data))]
    assert split(*chunks) == chunks


def test_splitter_limit_is_in_bytes():
    assert split(frame_bytes(TEXT, "ü".encode() * 5), max_bytes=10) == ["ü" * 5]
    (piece,) = split(frame_bytes(TEXT, "ü".encode() * 5), max_bytes=9)
    assert isinstance(piece, bytes)


def test_all_frames_go_to_the_parser_without_fast_path():
    empty, text = frame_bytes(TEXT, b""), frame_bytes(TEXT, b"hello")
    assert split(empty + text, max_bytes=-1) == [empty, text]


def test_splitter_counts_and_clears_waiting_bytes():
    splitter = FrameSplitter(1000)
    first, second = frame_bytes(TEXT, b"one"), frame_bytes(TEXT, b"two")
    splitter.feed(first)
    splitter.feed(second)
    assert (splitter.next(), len(splitter)) == ("one", len(second))
    splitter.clear()
    assert (splitter.next(), len(splitter)) == (None, 0)


@pytest.mark.parametrize(
    ("data", "is_between"),
    [
        (b"", True),
        (frame_bytes(PING, b"x"), True),
        (frame_bytes(PING, b"x")[:1], False),
        (frame_bytes(PING, b"x")[:-1], False),
        (frame_bytes(TEXT, b"x", fin=False), False),
        (frame_bytes(TEXT, b"x", fin=False) + frame_bytes(PING), False),
        (frame_bytes(TEXT, b"x", fin=False) + frame_bytes(CONTINUATION, b""), True),
    ],
)
def test_splitter_reports_an_open_message(data, is_between):
    splitter = FrameSplitter(1000)
    splitter.feed(data)
    while splitter.next() is not None:
        pass
    assert splitter.is_between_messages == is_between
