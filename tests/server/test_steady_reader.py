"""A client that reads slowly and steadily: only the bytes that wait count, however many have been sent."""

import asyncio

import pytest

from chat_actors.protocol import CloseCode
from tests.server.test_outboxes import BACKLOG, LANES, FakeLane, QueueLane, block_of

pytestmark = pytest.mark.anyio

BLOCK_BYTES = 4000
TIMES_THE_BOUND = 10


@pytest.fixture(params=LANES.values(), ids=LANES.keys())
async def lane(request):
    lane = request.param()
    await lane.open()
    yield lane
    await lane.aclose()


async def read_some(lane, texts):
    """Let the client read a little, and stall it again."""
    match lane:
        case QueueLane():
            texts += await lane.outbox.take()
        case FakeLane():
            waits = lane.writer.waits
            lane.writer.peer.feed(bytes(waits[: BLOCK_BYTES + 10]))
            del waits[: BLOCK_BYTES + 10]
        case _:
            lane.resume()
            texts.append(await lane.peer.receive_text())
            await lane.stall()


@pytest.mark.parametrize("most_waiting", [BACKLOG // 2, BACKLOG - 4 * BLOCK_BYTES], ids=["half", "nearly all"])
async def test_slow_steady_reader_is_not_evicted(lane, most_waiting):
    """A client that is always behind, but never by more than the bound, receives all messages in order."""
    await lane.stall()
    offered, received = [], []

    def offer():
        offered.append(f"{len(offered):>{BLOCK_BYTES}}")
        assert lane.outbox.offer(block_of(offered[-1])), f"evicted at message {len(offered)}"

    async with asyncio.timeout(20):
        while lane.backlog() <= most_waiting:  # on sockets, the system's own buffers are filled first
            offer()
            await asyncio.sleep(0)
        for _ in range(TIMES_THE_BOUND * BACKLOG // BLOCK_BYTES):
            while lane.backlog() > most_waiting:
                await read_some(lane, received)
            offer()
        assert lane.outbox.closing is None
        lane.outbox.close(CloseCode.NORMAL, "")
        texts, closed = await lane.everything()
    assert received + texts == offered
    assert closed == (1000, "")
