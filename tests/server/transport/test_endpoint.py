"""One accepted WebSocket by itself: without a socket, on virtual time."""

import asyncio

import pytest

from chat_actors.kernel.testing import virtual_asyncio
from chat_actors.server.transport.control import Bounds
from chat_actors.server.transport.endpoint import CONTROL_BACKLOG, MISSED_PONGS, PIECES_IN_A_TURN, Endpoint
from tests.server.transport.fakes import FakeCarrier, FakeReceiver
from tests.wire.peer import CLOSE, PING, PONG, TEXT, frame_bytes

pytestmark = pytest.mark.anyio

SERVERS_PING = b"\x89\x00"


@pytest.fixture
def anyio_backend():
    return virtual_asyncio()


def attached(bounds=None, refuses=(), waiting=0):
    carrier, receiver = FakeCarrier(waiting), FakeReceiver(refuses)
    endpoint = Endpoint(carrier, bounds or Bounds(), FakeReceiver())
    endpoint.attach(receiver)
    return endpoint, carrier, receiver


def close_frame(code, reason=b""):
    return bytes((0x88, 2 + len(reason))) + code.to_bytes(2, "big") + reason


async def test_a_client_is_pinged_at_the_interval_and_closed_when_it_has_missed_too_many():
    endpoint, carrier, receiver = attached(Bounds(ping_seconds=20.0))
    await asyncio.sleep(19)
    assert carrier.written == b""
    await asyncio.sleep(20 * MISSED_PONGS)
    assert carrier.written == SERVERS_PING * MISSED_PONGS
    assert receiver.told == []
    await asyncio.sleep(20)
    assert receiver.told == [1008]
    assert carrier.calls[-1] == ("finish", False)
    await asyncio.sleep(100)
    assert carrier.written.count(SERVERS_PING) == MISSED_PONGS
    assert endpoint.is_over


async def test_a_client_that_answers_stays():
    endpoint, carrier, receiver = attached(Bounds(ping_seconds=20.0))
    for _ in range(10):
        await asyncio.sleep(20.1)
        endpoint.received(frame_bytes(PONG))
    assert receiver.told == []
    assert carrier.written == SERVERS_PING * 10


async def test_while_it_is_not_read_no_pongs_are_missed():
    endpoint, _, receiver = attached(Bounds(ping_seconds=20.0), refuses={0})
    endpoint.received(frame_bytes(TEXT, b"held"))
    await asyncio.sleep(1000)
    assert receiver.told == []
    endpoint.resume()
    assert receiver.told == ["held"]


async def test_a_client_with_a_backlog_is_not_sent_pings_and_gets_no_pongs_but_is_closed_all_the_same():
    endpoint, carrier, receiver = attached(Bounds(ping_seconds=20.0), waiting=CONTROL_BACKLOG)
    endpoint.received(frame_bytes(PING, b"?"))
    await asyncio.sleep(20 * MISSED_PONGS + 1)
    assert carrier.written == b""
    await asyncio.sleep(20)
    assert receiver.told == [1008]


async def test_an_overflow_is_told_once():
    endpoint, carrier, receiver = attached(Bounds(backlog_bytes=1000))
    assert carrier.calls == [("bound", 1000)]
    endpoint.overflowed()
    endpoint.overflowed()
    assert receiver.told == ["overflowed"]


async def test_a_flood_of_small_frames_gives_way_to_the_others():
    endpoint, carrier, receiver = attached()
    endpoint.received(frame_bytes(TEXT, b"x") * (PIECES_IN_A_TURN + 5))
    assert len(receiver.told) == PIECES_IN_A_TURN
    assert not carrier.is_reading
    await asyncio.sleep(0)
    assert len(receiver.told) == PIECES_IN_A_TURN + 5
    assert carrier.is_reading


async def test_what_was_held_when_the_connection_was_lost_is_still_handed_out_before_the_end():
    endpoint, carrier, receiver = attached(refuses={0})
    endpoint.received(frame_bytes(TEXT, b"one") + frame_bytes(TEXT, b"two"))
    assert not carrier.is_reading
    endpoint.lost()
    assert receiver.told == []
    endpoint.resume()
    assert receiver.told == ["one", "two", 1006]
    assert carrier.written == b""


async def test_after_our_close_messages_are_dropped_up_to_the_clients_own():
    endpoint, carrier, receiver = attached()
    endpoint.close(1012, "retry after 5")
    endpoint.received(frame_bytes(TEXT, b"too late") + frame_bytes(CLOSE, b"\x03\xf4"))
    assert receiver.told == [1012]
    assert endpoint.peer_close_code == 1012
    assert carrier.written == close_frame(1012, b"retry after 5")
    assert carrier.calls[-2:] == [("finish", False), ("finish", True)]


async def test_closing_twice_sends_one_close():
    endpoint, carrier, _ = attached()
    endpoint.close(1000)
    endpoint.close(1011)
    assert carrier.written == close_frame(1000)


async def test_what_is_held_does_not_stand_in_the_way_of_a_close():
    endpoint, carrier, receiver = attached(refuses={0})
    endpoint.received(frame_bytes(TEXT, b"held") + frame_bytes(CLOSE, b"\x03\xe8"))
    endpoint.close(4008, "too slow")
    assert carrier.is_reading
    assert receiver.told == [1000]


@pytest.mark.parametrize("reason", ["ü" * 100, "x" * 200, "🙂" * 50])
async def test_a_long_reason_is_cut_to_what_a_control_frame_holds(reason):
    endpoint, carrier, _ = attached()
    endpoint.close(1008, reason)
    assert carrier.written[1] <= 125
    assert reason.startswith(carrier.written[4:].decode())


async def test_abort_ends_it_and_drops_what_is_held():
    endpoint, carrier, receiver = attached(refuses={0})
    endpoint.received(frame_bytes(TEXT, b"held"))
    endpoint.abort()
    endpoint.received(frame_bytes(TEXT, b"more"))
    endpoint.resume()
    assert receiver.told == [1006]
    assert carrier.calls[-1] == "abort"


async def test_a_receiver_that_raises_loses_its_client_and_nobody_elses(caplog):
    endpoint, carrier, receiver = attached()

    def fail(text):
        raise ValueError("injected")

    receiver.text = fail
    endpoint.received(frame_bytes(TEXT, b"x"))
    assert carrier.calls[-1] == "abort"
    assert [record.getMessage() for record in caplog.records] == ["a WebSocket has failed and is cut"]


async def test_an_idle_endpoint_keeps_no_parser():
    endpoint, _, receiver = attached(Bounds(ping_seconds=20.0))
    await asyncio.sleep(21)
    endpoint.received(frame_bytes(PONG) + frame_bytes(TEXT, b"in ", fin=False))
    assert endpoint._parser is not None
    endpoint.received(frame_bytes(0x0, b"pieces"))
    assert endpoint._parser is None
    assert receiver.told == ["in pieces"]
