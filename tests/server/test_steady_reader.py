"""A client that reads slowly but steadily is not evicted: only waiting bytes count, not those sent before."""

import asyncio

import pytest

from chat_actors.protocol import CloseCode
from tests.patience import PATIENCE
from tests.server.test_outboxes import BACKLOG, LINKS, FakeLink, QueueLink, block_of

pytestmark = pytest.mark.anyio

BLOCK_BYTES = 4000
TIMES_THE_BOUND = 10


@pytest.fixture(params=LINKS.values(), ids=LINKS.keys())
async def link(request):
    link = request.param()
    await link.open()
    yield link
    await link.aclose()


async def read_some(link, texts):
    """Let the client read a little, and stall it again."""
    match link:
        case QueueLink():
            texts += await link.outbox.take()
        case FakeLink():
            waits = link.writer.waits
            link.writer.peer.feed(bytes(waits[: BLOCK_BYTES + 10]))
            del waits[: BLOCK_BYTES + 10]
        case _:
            link.resume()
            texts.append(await link.peer.receive_text())
            await link.stall()


@pytest.mark.parametrize("most_waiting", [BACKLOG // 2, BACKLOG - 4 * BLOCK_BYTES], ids=["half", "nearly all"])
async def test_slow_steady_reader_is_not_evicted(link, most_waiting):
    """A client whose backlog always stays below the bound receives all messages in order."""
    await link.stall()
    offered, received = [], []

    def offer():
        offered.append(f"{len(offered):>{BLOCK_BYTES}}")
        assert link.outbox.offer(block_of(offered[-1])), f"evicted at message {len(offered)}"

    async with asyncio.timeout(PATIENCE):
        while link.backlog() <= most_waiting:  # on sockets, the system's own buffers are filled first
            offer()
            await asyncio.sleep(0)
        for _ in range(TIMES_THE_BOUND * BACKLOG // BLOCK_BYTES):
            while link.backlog() > most_waiting:
                await read_some(link, received)
            offer()
        assert link.outbox.closing is None
        link.outbox.close(CloseCode.NORMAL, "")
        texts, closed = await link.read_all()
    assert received + texts == offered
    assert closed == (1000, "")
