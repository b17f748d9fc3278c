"""`python -m tests.load.faulty_server FAULT ARGUMENT...`: the real server with an injected fault, or none."""

import asyncio
import itertools
import sys

from chat_actors.chat import SessionActor
from chat_actors.cli.main import main
from chat_actors.server.outbox import FrameOutbox

DROP_EVERY = 10_000
DELAY_EVERY = 100
DELAY = 0.3
REORDER_EVERY = 1_000

_offer = FrameOutbox.offer


def is_chat(block):
    return b'"chat_message"' in block.frames


def drop_one_message_in_ten_thousand():
    offered = itertools.count(1)

    def offer(self, block):
        if is_chat(block) and next(offered) % DROP_EVERY == 0:
            return True
        return _offer(self, block)

    FrameOutbox.offer = offer


def delay_one_percent():
    offered = itertools.count(1)
    held = {}

    def release(outbox):
        for block in held.pop(outbox):
            _offer(outbox, block)

    def offer(self, block):
        if self in held:
            held[self].append(block)  # queued behind the delayed block, which keeps the order
            return True
        if is_chat(block) and next(offered) % DELAY_EVERY == 0:
            held[self] = [block]
            asyncio.get_running_loop().call_later(DELAY, release, self)
            return True
        return _offer(self, block)

    FrameOutbox.offer = offer


def leak_a_session_for_each_disconnect():
    leaked = []
    on_stop = SessionActor.on_stop

    async def stop(self, reason):
        leaked.append((self, self.context))
        await on_stop(self, reason)

    SessionActor.on_stop = stop


def reorder_two():
    offered = itertools.count(1)
    held = {}

    def offer(self, block):
        if self in held:
            return _offer(self, block) and _offer(self, held.pop(self))
        if is_chat(block) and next(offered) % REORDER_EVERY == 0:
            held[self] = block
            return True
        return _offer(self, block)

    FrameOutbox.offer = offer


FAULTS = {
    "none": lambda: None,
    "drop": drop_one_message_in_ten_thousand,
    "delay": delay_one_percent,
    "leak": leak_a_session_for_each_disconnect,
    "reorder": reorder_two,
}

if __name__ == "__main__":
    FAULTS[sys.argv[1]]()
    main(sys.argv[2:], prog_name="chat-actors")
