"""`WebSocketProtocol` without a socket: how it handles input, and in which turns of the event loop."""

import asyncio

import pytest

from chat_actors.server.transport.control import Bounds
from chat_actors.server.transport.websocket_protocol import PIECES_PER_TURN, WebSocketProtocol
from tests.server.transport.fakes import FakeCarrier, FakeReceiver, Rig
from tests.wire.peer import BINARY, CLOSE, PING, TEXT, frame_bytes

pytestmark = pytest.mark.anyio

CONTINUATION = 0x0
CLOSED_1000 = ("write", b"\x88\x02\x03\xe8")
PONG_EMPTY = ("write", b"\x8a\x00")


# -- messages ----------------------------------------------------------------------------------------------------------


async def test_all_message_types_arrive_in_order(rig):
    rig.send(TEXT, b"plain")
    rig.send(BINARY, b"bytes")
    rig.send(TEXT, b"in ", fin=False)
    rig.send(CONTINUATION, b"pieces")
    rig.send(BINARY, b"", fin=False)
    rig.send(CONTINUATION, b"")
    rig.send(TEXT, b"plain again")
    assert rig.calls == [
        ("text", "plain"),
        ("binary", b"bytes"),
        ("text", "in pieces"),
        ("binary", b""),
        ("text", "plain again"),
    ]


async def test_ping_between_fragments_keeps_the_message(rig):
    rig.send(TEXT, b"in ", fin=False)
    rig.send(PING)
    rig.send(CONTINUATION, b"pieces")
    assert rig.calls == [PONG_EMPTY, ("text", "in pieces")]


async def test_close_between_fragments_drops_the_message(rig):
    rig.send(TEXT, b"never ", fin=False)
    rig.send(CLOSE, b"\x03\xe8")
    rig.send(CONTINUATION, b"finished")
    assert rig.calls == [CLOSED_1000, ("ended", 1000), ("finish", True)]


@pytest.mark.parametrize("unit", [b"x", "ü".encode(), "€".encode(), "😀".encode()])
@pytest.mark.parametrize("way", ["one frame", "fragments of a byte", "a byte at a time"])
@pytest.mark.parametrize("over", [0, 1])
async def test_message_limit_is_exact_in_bytes(unit, way, over):
    limit = 12 * len(unit)
    rig = Rig(frame_bytes=limit)
    payload = unit * 12 + b"x" * over
    match way:
        case "one frame":
            rig.send(TEXT, payload)
        case "fragments of a byte":
            rig.send(TEXT, payload[:1], fin=False)
            for at in range(1, len(payload)):
                rig.send(CONTINUATION, payload[at : at + 1], fin=at == len(payload) - 1)
        case "a byte at a time":
            frame = frame_bytes(TEXT, payload)
            for at in range(len(frame)):
                rig.websocket.received(frame[at : at + 1])
    if over:
        assert rig.calls[0][1][2:4] == b"\x03\xf1"
        assert rig.calls[1:] == [("finish", False), ("ended", 1009)]
    else:
        assert rig.calls == [("text", payload.decode())]


async def test_empty_fragments_use_no_memory(rig):
    rig.send(TEXT, b"", fin=False)
    for _ in range(1000):
        rig.send(CONTINUATION, b"", fin=False)
    assert len(rig.websocket._partial._pieces) == 0
    rig.send(CONTINUATION, b"at last")
    assert rig.calls == [("text", "at last")]


async def test_idle_client_holds_no_parser_and_no_message(rig):
    rig.send(TEXT, b"in ", fin=False)
    rig.send(CONTINUATION, b"pieces")
    rig.send(PING)
    assert (rig.websocket._parser, rig.websocket._partial) == (None, None)


# -- a receiver that cannot take it now --------------------------------------------------------------------------------


async def test_refused_message_pauses_reading():
    rig = Rig(refusals={1, 2})
    rig.websocket.received(b"".join(frame_bytes(TEXT, b"%d" % n) for n in range(3)))
    assert rig.calls == [("text", "0"), ("refused", "1")]
    assert rig.carrier.is_reading, "a paused carrier would not notice the disconnect"
    rig.send(TEXT, b"3")
    assert not rig.carrier.is_reading
    assert len(rig.calls) == 2
    rig.websocket.resume()
    assert rig.calls[2:] == [("refused", "1")]
    assert not rig.carrier.is_reading
    rig.websocket.resume()
    assert rig.calls[3:] == [("text", "1"), ("text", "2"), ("text", "3")]
    assert rig.carrier.is_reading


async def test_refused_fragmented_message_is_kept_whole():
    rig = Rig(refusals={0})
    rig.send(TEXT, b"in ", fin=False)
    rig.send(CONTINUATION, b"pieces")
    rig.send(TEXT, b"next")
    rig.websocket.resume()
    assert rig.calls == [("refused", "in pieces"), ("text", "in pieces"), ("text", "next")]


async def test_resume_without_pause_does_nothing(rig):
    rig.websocket.resume()
    rig.websocket.resume()
    assert rig.calls == []


async def test_resume_within_a_delivery_keeps_the_order():
    rig = Rig(refusals={0})
    rig.websocket.received(b"".join(frame_bytes(TEXT, b"%d" % n) for n in range(60)))
    take = rig.receiver.text

    def resume_within(text):
        rig.websocket.resume()
        return take(text)

    rig.receiver.text = resume_within
    rig.websocket.resume()
    assert rig.calls == [("refused", "0"), *(("text", str(n)) for n in range(60))]


async def test_client_close_waits_behind_a_refused_message():
    rig = Rig(refusals={0})
    rig.websocket.received(frame_bytes(TEXT, b"last words") + frame_bytes(CLOSE, b"\x03\xe8"))
    assert rig.calls == [("refused", "last words")]
    rig.websocket.resume()
    assert rig.calls[1:] == [("text", "last words"), CLOSED_1000, ("ended", 1000), ("finish", True)]


@pytest.mark.parametrize("end", ["peer_ended", "lost"])
async def test_queued_messages_are_delivered_before_the_end(end):
    rig = Rig(refusals={0})
    rig.websocket.received(frame_bytes(TEXT, b"1") + frame_bytes(TEXT, b"2"))
    getattr(rig.websocket, end)()
    rig.websocket.resume()
    calls = [what for what in rig.calls if what[0] in {"text", "ended"}]
    assert calls == [("text", "1"), ("text", "2"), ("ended", 1006)]


async def test_lost_client_is_reported_unreachable_once():
    rig = Rig(refusals={0})
    rig.send(TEXT, b"last words")
    rig.websocket.lost()
    rig.websocket.lost()
    assert rig.calls == [("refused", "last words"), ("unreachable",)]
    rig.websocket.resume()
    assert rig.calls[2:] == [("text", "last words"), ("ended", 1006), ("finish", True)]


async def test_loss_before_the_take_over_is_reported_at_it():
    calls = []
    websocket = WebSocketProtocol(FakeCarrier(), Bounds(), FakeReceiver(refusals={0}))
    websocket.received(frame_bytes(TEXT, b"last words"))
    websocket.lost()
    websocket.attach(FakeReceiver(calls))
    assert calls == [("unreachable",), ("text", "last words"), ("ended", 1006)]


async def test_receiver_attached_after_the_end_is_notified():
    calls = []
    websocket = WebSocketProtocol(FakeCarrier(), Bounds(), FakeReceiver())
    websocket.received(frame_bytes(CLOSE, b"\x0f\xa1"))
    websocket.attach(FakeReceiver(calls))
    assert calls == [("ended", 4001)]


# -- turns -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frame", [frame_bytes(TEXT, b"x"), frame_bytes(PING)], ids=["texts", "pings"])
async def test_burst_of_frames_is_handled_in_turns(rig, frame):
    rig.websocket.received(frame * (2 * PIECES_PER_TURN + 1))
    counts = [len(rig.calls)]
    rig.websocket.received(frame[:1])
    assert not rig.carrier.is_reading
    for _ in range(2):
        await asyncio.sleep(0)
        counts.append(len(rig.calls))
    rig.websocket.received(frame[1:])
    assert counts == [PIECES_PER_TURN, 2 * PIECES_PER_TURN, 2 * PIECES_PER_TURN + 1]
    assert rig.carrier.is_reading


async def test_burst_of_a_lost_client_is_still_delivered():
    rig = Rig()
    rig.carrier.is_gone = True
    rig.websocket.received(frame_bytes(TEXT, b"x") * 10 + frame_bytes(PING))
    rig.websocket.lost()
    assert rig.calls[4] == ("unreachable",)
    others = [call for call in rig.calls if call != ("text", "x")]
    assert others == [("unreachable",), ("ended", 1006), ("finish", True)]
    assert len(rig.calls) == 10 + 3


async def test_burst_of_one_turn_does_not_pause_reading(rig):
    rig.websocket.received(frame_bytes(TEXT, b"x") * PIECES_PER_TURN)
    assert len(rig.calls) == PIECES_PER_TURN
    assert rig.carrier.is_reading


async def test_resume_gives_one_turn_at_a_time(rig):
    rig.websocket.received(frame_bytes(TEXT, b"x") * (4 * PIECES_PER_TURN))
    for _ in range(5):
        rig.websocket.resume()
    assert len(rig.calls) == PIECES_PER_TURN
    await asyncio.sleep(0)
    assert len(rig.calls) == 2 * PIECES_PER_TURN


async def test_abort_cancels_the_scheduled_turn(rig):
    rig.websocket.received(frame_bytes(TEXT, b"x") * (2 * PIECES_PER_TURN))
    rig.websocket.abort()
    await asyncio.sleep(0)
    assert rig.calls[PIECES_PER_TURN:] == [("abort",), ("ended", 1006)]
