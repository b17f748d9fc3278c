"""`WebSocketProtocol` without a socket: its end, its output, and its pings."""

import pytest

from chat_actors.server.transport.control import Bounds
from chat_actors.server.transport.websocket_protocol import CONTROL_BACKLOG, WebSocketProtocol
from tests.server.transport.apps import eventually
from tests.server.transport.fakes import FakeCarrier, FakeReceiver, Rig
from tests.wire.peer import BINARY, CLOSE, PING, PONG, TEXT, frame_bytes

pytestmark = pytest.mark.anyio

CONTINUATION = 0x0
CLOSED_1000 = ("write", b"\x88\x02\x03\xe8")
PONG_EMPTY = ("write", b"\x8a\x00")
PING_EMPTY = ("write", b"\x89\x00")


# -- the end -----------------------------------------------------------------------------------------------------------


async def test_two_closes_send_one_close(rig):
    rig.websocket.close(1000)
    rig.websocket.close(1011, "again")
    assert rig.calls == [CLOSED_1000, ("finish", False)]
    rig.send(CLOSE, b"\x03\xe8")
    assert rig.calls[2:] == [("ended", 1000), ("finish", True)]


async def test_after_our_close_only_the_client_close_counts(rig):
    rig.websocket.close(4000)
    rig.take_calls()
    rig.send(TEXT, b"too late")
    rig.send(BINARY, b"too late")
    rig.send(TEXT, b"x" * 1001, fin=False)
    rig.send(CONTINUATION, b"x" * 5000)
    rig.send(PING)
    rig.send(CLOSE, b"\x0f\xa0")
    assert rig.calls == [("ended", 4000), ("finish", True)]


async def test_malformed_frames_after_our_close_just_end_it(rig):
    rig.websocket.close(4000)
    rig.take_calls()
    rig.send(0x3, b"what is this")
    assert rig.calls == [("ended", 1006)]


async def test_events_after_the_end_are_ignored(rig):
    rig.websocket.peer_ended()
    assert rig.take_calls() == [("ended", 1006), ("finish", True)]
    rig.send(TEXT, b"ghost")
    rig.websocket.overflowed()
    rig.websocket.close(1000)
    rig.websocket.lost()
    assert [what for what in rig.calls if what[0] != "finish"] == []


async def test_invalid_close_code_raises_before_closing(rig):
    with pytest.raises(Exception, match="format"):
        rig.websocket.close(70_000)
    assert rig.calls == []
    rig.websocket.close(1000)
    assert rig.calls == [CLOSED_1000, ("finish", False)]


async def test_close_reason_is_cut_to_the_frame_limit(rig):
    rig.websocket.close(1000, "ü" * 200)
    frame = rig.calls[0][1]
    assert len(frame) <= 127
    frame[4:].decode()


async def test_abort_is_immediate_and_idempotent(rig):
    rig.websocket.abort()
    rig.websocket.abort()
    assert [what for what in rig.calls if what[0] != "abort"] == [("ended", 1006)]
    assert rig.calls[0] == ("abort",)


async def test_close_within_a_delivery_drops_later_messages(rig):
    def text(text):
        rig.calls.append(("text", text))
        rig.websocket.close(1000)
        return True

    rig.receiver.text = text
    rig.websocket.received(frame_bytes(TEXT, b"1") + frame_bytes(TEXT, b"2") + frame_bytes(CLOSE, b"\x03\xe8"))
    assert rig.calls == [("text", "1"), CLOSED_1000, ("finish", False), ("ended", 1000), ("finish", True)]


async def test_detach_drops_messages_up_to_the_client_close():
    rig = Rig(refusals={0})
    rig.websocket.received(frame_bytes(TEXT, b"1") + frame_bytes(TEXT, b"2") + frame_bytes(CLOSE, b"\x03\xe8"))
    rig.websocket.detach()
    assert rig.calls == [("refused", "1"), CLOSED_1000, ("ended", 1000), ("finish", True)]


@pytest.mark.parametrize("call", ["text", "binary", "ended", "overflowed", "unreachable"])
async def test_raising_receiver_is_aborted(rig, call, caplog):
    def fail(*args):
        raise ValueError("injected")

    setattr(rig.receiver, call, fail)
    rig.receiver.refusals = {0} if call == "unreachable" else ()
    match call:
        case "text" | "unreachable":
            rig.send(TEXT, b"x")
        case "binary":
            rig.send(BINARY, b"x")
        case "overflowed":
            rig.websocket.overflowed()
    rig.websocket.lost()
    assert rig.websocket.is_over
    assert ("abort",) in rig.calls or call == "ended"
    assert len(caplog.records) == 1


# -- what goes out -----------------------------------------------------------------------------------------------------


async def test_overflow_is_reported_once(rig):
    rig.websocket.overflowed()
    rig.websocket.overflowed()
    assert rig.calls == [("overflowed",)]


async def test_attach_sets_the_backlog_bound():
    carrier = FakeCarrier()
    WebSocketProtocol(carrier, Bounds(backlog_bytes=77), FakeReceiver()).attach(FakeReceiver())
    assert carrier.calls == [("bound", 77)]


async def test_pings_are_not_answered_over_a_backlog(rig):
    rig.carrier.waiting = CONTROL_BACKLOG
    rig.send(PING)
    assert rig.calls == []
    rig.carrier.waiting = CONTROL_BACKLOG - 1
    rig.send(PING)
    assert rig.calls == [PONG_EMPTY]


# -- pings of ours -----------------------------------------------------------------------------------------------------


def fire_ping_timer(rig):
    rig.websocket._ping_timer.cancel()
    rig.websocket._ping()


async def test_two_missed_pongs_close_at_the_third_ping():
    rig = Rig(ping_seconds=3600)
    fire_ping_timer(rig)
    fire_ping_timer(rig)
    assert rig.take_calls() == [PING_EMPTY, PING_EMPTY]
    fire_ping_timer(rig)
    assert rig.calls[0][1][2:4] == b"\x03\xf0"
    assert rig.calls[1:] == [("finish", False), ("ended", 1008)]


async def test_pong_resets_the_missed_pings():
    rig = Rig(ping_seconds=3600)
    for _ in range(5):
        fire_ping_timer(rig)
        fire_ping_timer(rig)
        rig.send(PONG, b"whatever")
    assert rig.calls == [PING_EMPTY] * 10
    rig.websocket.abort()


async def test_paused_client_misses_no_pongs():
    rig = Rig(ping_seconds=3600, refusals={0})
    rig.send(TEXT, b"x")
    for _ in range(5):
        fire_ping_timer(rig)
    assert rig.calls == [("refused", "x")]
    rig.websocket.resume()
    fire_ping_timer(rig)
    assert rig.calls[1:] == [("text", "x"), PING_EMPTY]
    rig.websocket.abort()


@pytest.mark.parametrize("end", ["abort", "peer_ended", "lost"])
async def test_ping_timer_ends_with_the_websocket(end):
    rig = Rig(ping_seconds=3600)
    getattr(rig.websocket, end)()
    assert rig.websocket._ping_timer.cancelled()


async def test_ping_timer_sends_pings():
    rig = Rig(ping_seconds=0.001)
    await eventually(lambda: PING_EMPTY in rig.calls)
    rig.websocket.abort()
