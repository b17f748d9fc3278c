"""A flood: do those who ignore every limit cost the others anything?

One in five sends far too fast, far too much, or far too often, and has to be refused or closed. The others talk, in the
same rooms, and must not notice.
"""

import time
from collections.abc import Callable

from load import exchanges
from load.chat_line import ChatLine, Wrong
from load.plugin import install
from load.talker import RoomTalker
from load.wire import Closed

install(__file__)

AT_ONCE = 300
HUGE = 100_000
"""Bytes: more than a frame may have, and than a message may."""


class Talker(RoomTalker):
    """Keeps to the limits."""

    weight = 4
    rooms = "flood"


class Flooder(RoomTalker):
    """Keeps to none. What it hears is no measure: it hears late, having so much to send."""

    weight = 1
    rooms = "flood"
    times_deliveries = False

    def enter(self) -> None:
        self.line.join(self.room_id)

    def act(self) -> None:
        how, expected = self.random.choice(WAYS)
        began = time.perf_counter()
        try:
            how(self.line)
            seen = self.line.listen_for_error(10.0)
        except Closed as end:
            seen = str(end.code)
            self.leave_line(with_a_word=False)
        if seen in expected:
            self.done(exchanges.REFUSAL, (time.perf_counter() - began) * 1e3)
        else:
            self.failed(exchanges.REFUSAL, Wrong(f"answered with {seen} instead of {' or '.join(expected)}"))
        if self.is_online:
            self.line.listen_through_errors(3.0)


def too_fast(line: ChatLine) -> None:
    for _ in range(AT_ONCE):
        line.say_nowait()


def too_long(line: ChatLine) -> None:
    line.say_nowait(5_000)


def too_big(line: ChatLine) -> None:
    line.say_nowait(HUGE)


def no_command(line: ChatLine) -> None:
    line.send_text("[" * 5_000)


WAYS: list[tuple[Callable[[ChatLine], None], tuple[str, ...]]] = [
    (too_fast, ("too_many_messages", "1008")),
    (too_long, ("content_too_long", "too_many_messages")),
    (too_big, ("1009",)),
    (no_command, ("invalid_json", "too_many_messages")),
]
