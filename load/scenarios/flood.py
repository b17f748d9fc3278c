"""Flood: do clients that exceed every limit affect the others?

One user in five sends too many messages, or messages that are too long, too large or invalid. The server must refuse
each or close the connection. The other users send ordinary messages in the same rooms and must not be affected.
"""

import time
from collections.abc import Callable

from load import operations
from load.chat_connection import ChatConnection
from load.outcomes import ProtocolViolation
from load.plugin import install
from load.room_user import RoomUser
from load.wire import Closed

install(__file__)

BURST = 300
"""Messages sent at once: more than the rate limit allows."""
OVERSIZED_BYTES = 100_000
"""More than the server's limits for a frame and for a message."""


class RegularUser(RoomUser):
    """Respects the limits."""

    weight = 4
    room_prefix = "flood"


class FloodingUser(RoomUser):
    """Exceeds the limits. Its delivery latencies are not measured, since its own sending delays its reading."""

    weight = 1
    room_prefix = "flood"
    measures_deliveries = False

    def on_login(self) -> None:
        self.connection.join(self.room_id)

    def act(self) -> None:
        misbehave, expected = self.random.choice(MISBEHAVIORS)
        started = time.perf_counter()
        try:
            misbehave(self.connection)
            outcome = self.connection.listen_for_error(10.0)
        except Closed as end:
            outcome = str(end.code)
            self.disconnect(clean=False)
        if outcome in expected:
            self.report_success(operations.REFUSAL, (time.perf_counter() - started) * 1e3)
        else:
            self.report_failure(
                operations.REFUSAL, ProtocolViolation(f"got {outcome} instead of {' or '.join(expected)}")
            )
        if self.is_connected:
            self.connection.listen_ignoring_errors(3.0)


def send_too_fast(connection: ChatConnection) -> None:
    for _ in range(BURST):
        connection.send_message_nowait()


def send_too_long_content(connection: ChatConnection) -> None:
    connection.send_message_nowait(5_000)


def send_oversized_frame(connection: ChatConnection) -> None:
    connection.send_message_nowait(OVERSIZED_BYTES)


def send_invalid_json(connection: ChatConnection) -> None:
    connection.send_text("[" * 5_000)


MISBEHAVIORS: list[tuple[Callable[[ChatConnection], None], tuple[str, ...]]] = [
    (send_too_fast, ("too_many_messages", "1008")),
    (send_too_long_content, ("content_too_long", "too_many_messages")),
    (send_oversized_frame, ("1009",)),
    (send_invalid_json, ("invalid_json", "too_many_messages")),
]
